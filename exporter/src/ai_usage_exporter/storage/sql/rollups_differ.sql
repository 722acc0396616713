-- Compare the rollups of a period with its rows; one row for every key whose sums differ.
-- Parameters: $1 start, $2 end (UTC midnights). Index: ai_usage_rollups_pkey, idx_ai_usage_created_at.
WITH wanted AS (
    SELECT * FROM ai_usage_rollups_of_rows($1::timestamptz, $2::timestamptz)
),
stored AS (
    SELECT
        rollup.cuboid, rollup.grain_s, rollup.bucket, rollup.key_id, sum(rollup.calls)::bigint AS calls,
        ARRAY[
            sum(rollup.calls), sum(rollup.succeeded), sum(rollup.priced_calls), sum(rollup.input_tokens),
            sum(rollup.output_tokens), sum(rollup.total_tokens), sum(rollup.cache_read_tokens),
            sum(rollup.cache_write_tokens), sum(rollup.reasoning_tokens), sum(rollup.cost_usd),
            sum(rollup.duration_ms), sum(rollup.timed_calls)
        ] AS sums
    FROM ai_usage_rollups AS rollup
    JOIN unnest($3::smallint[], $4::integer[]) AS kept (cuboid, grain_s)
        ON kept.cuboid = rollup.cuboid AND kept.grain_s = rollup.grain_s
    WHERE rollup.bucket >= $1 AND rollup.bucket < $2
    GROUP BY 1, 2, 3, 4
)
SELECT
    cuboid, grain_s, bucket,
    coalesce(wanted.service, key.service) AS service, coalesce(wanted.action, key.action) AS action,
    coalesce(wanted.provider, key.provider) AS provider, coalesce(wanted.model, key.model) AS model,
    coalesce(wanted.success, key.success) AS success, coalesce(wanted.error_code, key.error_code) AS error_code,
    coalesce(wanted.cost_status, key.cost_status) AS cost_status, coalesce(wanted.user_key, key.user_key) AS user_key,
    coalesce(wanted.duration_bin, key.duration_bin) AS duration_bin,
    wanted.calls AS calls_in_rows, stored.calls AS calls_in_rollups,
    wanted.cost_usd AS cost_in_rows, stored.sums[10] AS cost_in_rollups
FROM wanted
FULL JOIN stored USING (cuboid, grain_s, bucket, key_id)
LEFT JOIN ai_usage_rollup_keys AS key (id, of_cuboid) ON key.id = key_id
WHERE CASE
    -- No such row: right when what is stored adds up to nothing.
    WHEN wanted.calls IS NULL THEN stored.sums <> array_fill(0::numeric, ARRAY[12])
    ELSE ARRAY[
        wanted.calls, wanted.succeeded, wanted.priced_calls, wanted.input_tokens, wanted.output_tokens,
        wanted.total_tokens, wanted.cache_read_tokens, wanted.cache_write_tokens, wanted.reasoning_tokens,
        wanted.cost_usd, wanted.duration_ms, wanted.timed_calls
    ]::numeric[] <> coalesce(stored.sums, array_fill(0::numeric, ARRAY[12]))
END
OR key.id IS NULL
ORDER BY cuboid, grain_s, bucket, key_id
