-- Say which transactions are committed now.
-- Parameters: none. Index: none.
SELECT pg_current_snapshot()::text
