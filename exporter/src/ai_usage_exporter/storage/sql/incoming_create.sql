-- Make the connection's own waiting room for rows, empty again after every transaction.
-- Parameters: none. No constraints: they are checked on the way out of it.
CREATE TEMP TABLE IF NOT EXISTS ai_usage_incoming (
    position bigint GENERATED ALWAYS AS IDENTITY,
    LIKE ai_usage_logs INCLUDING DEFAULTS
) ON COMMIT DELETE ROWS
