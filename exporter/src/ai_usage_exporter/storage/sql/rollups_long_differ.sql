-- Compare the sums of a long bucket with those of its days; one row for every key that differs.
-- Parameters: $1 cuboid, $2 length of the bucket in seconds, $3 its start. Index: ai_usage_rollups_pkey.
WITH wanted AS (
    SELECT
        key_id, calls, cost_usd,
        ARRAY[
            calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens, cache_read_tokens,
            cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
        ]::numeric[] AS sums
    FROM ai_usage_rollups_of_days($1::smallint, $2::integer, $3::timestamptz)
),
stored AS (
    SELECT
        key_id, sum(calls)::bigint AS calls, sum(cost_usd) AS cost_usd,
        ARRAY[
            sum(calls), sum(succeeded), sum(priced_calls), sum(input_tokens), sum(output_tokens), sum(total_tokens),
            sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(cost_usd), sum(duration_ms),
            sum(timed_calls)
        ] AS sums
    FROM ai_usage_rollups
    WHERE cuboid = $1 AND grain_s = $2 AND bucket = $3
    GROUP BY key_id
)
SELECT
    $1, $2, $3, key.service, key.action, key.provider, key.model, key.success, key.error_code, key.cost_status,
    key.user_key, key.duration_bin, wanted.calls, stored.calls, wanted.cost_usd, stored.cost_usd
FROM wanted
FULL JOIN stored USING (key_id)
LEFT JOIN ai_usage_rollup_keys AS key ON key.id = key_id
WHERE coalesce(wanted.sums, array_fill(0::numeric, ARRAY[12])) <> coalesce(stored.sums, array_fill(0::numeric, ARRAY[12]))
ORDER BY key_id
