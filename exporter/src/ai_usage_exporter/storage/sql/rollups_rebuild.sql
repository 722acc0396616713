-- Write the rollups of a period from its rows.
-- Parameters: $1 start, $2 end (UTC midnights). Index: idx_ai_usage_created_at.
INSERT INTO ai_usage_rollups (
    slot, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
)
SELECT
    0, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
FROM ai_usage_rollups_of_rows($1::timestamptz, $2::timestamptz)
