-- List calls, newest first.
-- Parameters: $1 start, $2 end, then the cursor and the conditions' values, then the limit.
-- {conditions} comes from the allow-list in storage/condition.py. Index: idx_ai_usage_created_at; with a user
-- idx_ai_usage_user_date or idx_ai_usage_user_ref_date.
SELECT
    log.id, log.created_at, log.user_id, log.user_ref, log.user_email, log.service_name, log.service_action,
    log.provider, log.model, log.input_tokens, log.output_tokens, log.total_tokens, log.cache_read_tokens,
    log.reasoning_tokens, log.cost_usd, log.cost_status, log.duration_ms, log.success, log.error_code, log.trace_id,
    log.cache_write_tokens, log.request_model, log.operation, log.service_tier, log.session_id, log.error_message
FROM ai_usage_logs AS log
WHERE log.created_at >= $1 AND log.created_at < $2 AND {conditions}
ORDER BY log.created_at DESC, log.id DESC
