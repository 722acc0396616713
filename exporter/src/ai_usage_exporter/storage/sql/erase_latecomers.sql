-- Calls of a user that came while they were being erased.
-- Parameters: $1 user ids, $2 users as sent, $3 limit. {table}, {variant}: storage/usage_table.py.
-- Index: idx_ai_usage_user_id, idx_ai_usage_user_ref_date.
SELECT
    id, created_at, {variant} AS variant, user_id, user_ref, service_name, service_action, provider, model, success, error_code,
    cost_status, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    cost_usd, duration_ms, error_message, request_metadata::text AS request_metadata, true AS is_theirs
FROM {table} AS log
WHERE user_id = ANY($1::uuid[]) OR user_ref = ANY($2::text[])
LIMIT $3
FOR UPDATE
