-- Write the sums of a long bucket from those of its days.
-- Parameters: $1 cuboid, $2 length of the bucket in seconds, $3 its start. Index: ai_usage_rollups_pkey.
INSERT INTO ai_usage_rollups (
    slot, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
)
SELECT 0, $1::smallint, $2::integer, $3::timestamptz, of_days.*
FROM ai_usage_rollups_of_days($1, $2, $3) AS of_days
