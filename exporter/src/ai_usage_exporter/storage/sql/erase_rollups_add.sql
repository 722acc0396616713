-- Add the sums of users to those of calls without a user.
-- Parameters: $1 user keys. Run it while no writer is at work (rollup_slots_all).
-- Index: idx_ai_usage_rollup_keys_cuboid, ai_usage_rollups_pkey.
INSERT INTO ai_usage_rollups AS stored (
    cuboid, grain_s, bucket, key_id, slot, calls, succeeded, priced_calls, input_tokens, output_tokens,
    total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
)
SELECT
    4, grain_s, bucket, ai_usage_rollup_key(4, ai_usage_rollup_part(NULL)), 0, sum(calls), sum(succeeded),
    sum(priced_calls), sum(input_tokens), sum(output_tokens), sum(total_tokens), sum(cache_read_tokens),
    sum(cache_write_tokens), sum(reasoning_tokens), sum(cost_usd), sum(duration_ms), sum(timed_calls)
FROM ai_usage_rollups
WHERE cuboid = 4 AND key_id IN (
    SELECT id FROM ai_usage_rollup_keys WHERE cuboid = 4 AND user_key = ANY($1::text[])
)
GROUP BY grain_s, bucket
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
