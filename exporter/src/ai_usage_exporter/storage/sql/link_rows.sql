-- Give calls of a user as sent to the user with that id.
-- Parameters: $1 user as sent, $2 the id, $3 how many calls at most. {table}, {variant}: storage/usage_table.py.
-- Index: idx_ai_usage_user_ref_date.
UPDATE {table} AS log
SET user_id = $2, user_ref = NULL
FROM (
    SELECT id, created_at, {variant} AS variant FROM {table} AS log WHERE user_ref = $1 LIMIT $3 FOR UPDATE
) AS found
WHERE log.id = found.id AND log.created_at = found.created_at AND {variant} = found.variant
RETURNING
    log.created_at, log.user_id, log.user_ref, log.service_name, log.service_action, log.provider, log.model,
    log.success, log.error_code, log.cost_status, log.input_tokens, log.output_tokens, log.total_tokens,
    log.cache_read_tokens, log.cache_write_tokens, log.reasoning_tokens, log.cost_usd, log.duration_ms
