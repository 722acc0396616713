-- Read the newest calls, newest first.
-- Parameters: $1 how many. Index: idx_ai_usage_created_at, newest partition first.
SELECT
    id,
    created_at,
    coalesce(user_email, user_id::text, user_ref) AS user_name,
    service_name,
    service_action,
    provider,
    model,
    input_tokens,
    output_tokens,
    total_tokens,
    cache_read_tokens,
    cache_write_tokens,
    reasoning_tokens,
    cost_usd,
    cost_status,
    duration_ms,
    success,
    error_code,
    error_message
FROM ai_usage_logs
ORDER BY created_at DESC, id DESC
LIMIT $1
