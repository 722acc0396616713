-- Sum the rollups of given users by part of the period and by user.
-- Parameters: $1 to $3 the buckets (grain, start, part), $4 users; '' stands for calls without one.
-- Index: ai_usage_rollups_pkey, once for each bucket.
SELECT
    rollup.part, key.user_key, sum(rollup.calls)::bigint AS calls, sum(rollup.succeeded)::bigint AS succeeded,
    sum(rollup.priced_calls)::bigint AS priced_calls, sum(rollup.input_tokens)::bigint AS input_tokens,
    sum(rollup.output_tokens)::bigint AS output_tokens, sum(rollup.total_tokens)::bigint AS total_tokens,
    sum(rollup.cache_read_tokens)::bigint AS cache_read_tokens,
    sum(rollup.cache_write_tokens)::bigint AS cache_write_tokens,
    sum(rollup.reasoning_tokens)::bigint AS reasoning_tokens, sum(rollup.cost_usd) AS cost_usd,
    sum(rollup.duration_ms)::bigint AS duration_ms, sum(rollup.timed_calls)::bigint AS timed_calls
FROM (
    SELECT wanted.part, kept.*
    FROM unnest($1::integer[], $2::timestamptz[], $3::integer[]) AS wanted (grain_s, bucket, part)
    CROSS JOIN LATERAL (
        SELECT *
        FROM ai_usage_rollups AS stored
        WHERE stored.cuboid = 4 AND stored.grain_s = wanted.grain_s AND stored.bucket = wanted.bucket
            AND stored.key_id = ANY($4::bigint[])
        OFFSET 0
    ) AS kept
) AS rollup
JOIN ai_usage_rollup_keys AS key ON key.id = rollup.key_id
GROUP BY rollup.part, key.user_key
HAVING sum(rollup.calls) <> 0
