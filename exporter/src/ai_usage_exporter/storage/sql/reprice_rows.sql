-- Calls of a period with what their price follows from, oldest first, after a given one.
-- Parameters: $1 start, $2 end, $3 start, $4 id and $5 variant of the last call seen, $6 provider or null, $7 model or
-- null, $8 limit. {lock} is empty or FOR UPDATE; {table}, {variant}: storage/usage_table.py. Index: idx_ai_usage_created_at.
SELECT
    id, created_at, {variant} AS variant, user_id, user_ref, service_name, service_action, provider, model, success, error_code,
    cost_status, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens, cache_read_audio_tokens,
    input_image_tokens, output_image_tokens, cost_usd, reported_cost_usd, duration_ms, service_tier
FROM {table} AS log
WHERE created_at >= $1 AND created_at < $2 AND created_at >= $3 AND (created_at, id, {variant}) > ($3, $4, $5)
    AND ($6::text IS NULL OR provider = $6) AND ($7::text IS NULL OR model = $7)
ORDER BY created_at, id, variant
LIMIT $8
{lock}
