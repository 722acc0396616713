-- Add the sums that a slot holds of a cuboid to those of the first slot; this transaction owns both.
-- Parameters: $1 cuboid, $2 slot. Index: idx_ai_usage_rollups_spread, ai_usage_rollups_pkey.
INSERT INTO ai_usage_rollups AS stored (
    slot, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
)
SELECT
    0, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
FROM ai_usage_rollups
WHERE cuboid = $1::smallint AND slot = $2::smallint AND slot <> 0
ON CONFLICT (cuboid, grain_s, bucket, key_id, slot) DO UPDATE SET
    calls = stored.calls + excluded.calls,
    succeeded = stored.succeeded + excluded.succeeded,
    priced_calls = stored.priced_calls + excluded.priced_calls,
    input_tokens = stored.input_tokens + excluded.input_tokens,
    output_tokens = stored.output_tokens + excluded.output_tokens,
    total_tokens = stored.total_tokens + excluded.total_tokens,
    cache_read_tokens = stored.cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = stored.cache_write_tokens + excluded.cache_write_tokens,
    reasoning_tokens = stored.reasoning_tokens + excluded.reasoning_tokens,
    cost_usd = stored.cost_usd + excluded.cost_usd,
    duration_ms = stored.duration_ms + excluded.duration_ms,
    timed_calls = stored.timed_calls + excluded.timed_calls
