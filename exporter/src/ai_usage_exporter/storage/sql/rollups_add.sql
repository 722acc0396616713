-- Add deltas to the sums of a slot this transaction owns; one row a key and bucket.
-- Parameters: $1 slot, $2 start of the thirty days that users' deltas are added to as well or NULL, then one array as text
-- for each column. Index: ai_usage_rollups_pkey.
INSERT INTO ai_usage_rollups AS stored (
    slot, cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
)
WITH delta AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $3::text::smallint[], $4::text::integer[], $5::text::timestamptz[], $6::text::bigint[], $7::text::bigint[],
        $8::text::bigint[], $9::text::bigint[], $10::text::bigint[], $11::text::bigint[], $12::text::bigint[],
        $13::text::bigint[], $14::text::bigint[], $15::text::bigint[], $16::text::numeric[], $17::text::bigint[],
        $18::text::bigint[]
    ) AS delta (
        cuboid, grain_s, bucket, key_id, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
    )
)
SELECT $1::smallint, delta.*
FROM delta
UNION ALL
SELECT
    $1::smallint, cuboid, 30 * 86400, $2::timestamptz, key_id, calls, succeeded, priced_calls, input_tokens,
    output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms,
    timed_calls
FROM delta
WHERE cuboid = 4 AND $2::timestamptz IS NOT NULL
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
