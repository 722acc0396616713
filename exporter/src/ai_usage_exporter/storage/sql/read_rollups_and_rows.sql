-- Sum rollups and rows together, by part of the period and by dimensions.
-- Parameters: $1 to $4 the pieces of rollups (grain, start, end, part), those of {pieces}, then the conditions' values.
-- {dimensions}, {conditions}, {row_conditions} and {same_group} come from the allow-list in storage/condition.py, {pieces}
-- from storage/grouping.py; {cuboid} is a number written out, for the plan to have one partition. What a row would add to
-- is there: its day is summed in every cuboid. Index: ai_usage_rollups_pkey, idx_ai_usage_created_at.
WITH key AS MATERIALIZED (
    SELECT chosen.*, dense_rank() OVER (ORDER BY {names}) AS group_number
    FROM (
        SELECT key.id, {dimensions}
        FROM ai_usage_rollup_keys AS key
        WHERE key.cuboid = {cuboid} AND {conditions}
    ) AS chosen
),
grouped AS MATERIALIZED (
    SELECT DISTINCT group_number, {names} FROM key
),
summed AS (
    SELECT
        part, group_number,
        sum(calls)::bigint AS calls, sum(succeeded)::bigint AS succeeded, sum(priced_calls)::bigint AS priced_calls,
        sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
        sum(total_tokens)::bigint AS total_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens,
        sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(reasoning_tokens)::bigint AS reasoning_tokens,
        sum(cost_usd) AS cost_usd, sum(duration_ms)::bigint AS duration_ms, sum(timed_calls)::bigint AS timed_calls
    FROM (
        SELECT
            piece.part, key.group_number, rollup.calls, rollup.succeeded, rollup.priced_calls, rollup.input_tokens,
            rollup.output_tokens, rollup.total_tokens, rollup.cache_read_tokens, rollup.cache_write_tokens,
            rollup.reasoning_tokens, rollup.cost_usd, rollup.duration_ms, rollup.timed_calls
        FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[])
            AS piece (grain_s, lower, upper, part)
        -- OFFSET 0, here and below, keeps the planner from joining anything first: each piece is one range of an index.
        CROSS JOIN LATERAL (
            SELECT *
            FROM ai_usage_rollups AS kept
            WHERE kept.cuboid = {cuboid} AND kept.grain_s = piece.grain_s
                AND kept.bucket >= piece.lower AND kept.bucket < piece.upper
            OFFSET 0
        ) AS rollup
        JOIN key ON key.id = rollup.key_id
        UNION ALL
        SELECT
            piece.part, grouped.group_number, 1, log.success::integer,
            (log.cost_status IN ('priced', 'reported', 'free'))::integer, log.input_tokens, log.output_tokens,
            log.total_tokens, coalesce(log.cache_read_tokens, 0), coalesce(log.cache_write_tokens, 0),
            coalesce(log.reasoning_tokens, 0), log.cost_usd, coalesce(log.duration_ms, 0),
            (log.duration_ms IS NOT NULL)::integer
        FROM {pieces} AS piece (lower, upper, part)
        CROSS JOIN LATERAL (
            SELECT * FROM ai_usage_logs AS log
            WHERE log.created_at >= piece.lower AND log.created_at < piece.upper AND {row_conditions}
            OFFSET 0
        ) AS log
        JOIN grouped ON {same_group}
    ) AS both_kinds
    GROUP BY part, group_number
)
SELECT summed.part, {names}, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
FROM summed
JOIN grouped USING (group_number)
WHERE calls <> 0
