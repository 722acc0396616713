-- Sum rollups by part of the period and by dimensions.
-- Parameters: $1 to $4 the pieces (grain, start, end, part), then the conditions' values.
-- {dimensions} and {conditions} come from the allow-list in storage/condition.py; {cuboid} is a number written out, for
-- the plan to have one partition. Index: ai_usage_rollups_pkey.
WITH key AS MATERIALIZED (
    SELECT chosen.*, dense_rank() OVER (ORDER BY {names}) AS group_number
    FROM (
        SELECT key.id, {dimensions}
        FROM ai_usage_rollup_keys AS key
        WHERE key.cuboid = {cuboid} AND {conditions}
    ) AS chosen
),
summed AS (
    SELECT
        piece.part, key.group_number,
        sum(rollup.calls)::bigint AS calls, sum(rollup.succeeded)::bigint AS succeeded,
        sum(rollup.priced_calls)::bigint AS priced_calls, sum(rollup.input_tokens)::bigint AS input_tokens,
        sum(rollup.output_tokens)::bigint AS output_tokens, sum(rollup.total_tokens)::bigint AS total_tokens,
        sum(rollup.cache_read_tokens)::bigint AS cache_read_tokens,
        sum(rollup.cache_write_tokens)::bigint AS cache_write_tokens,
        sum(rollup.reasoning_tokens)::bigint AS reasoning_tokens, sum(rollup.cost_usd) AS cost_usd,
        sum(rollup.duration_ms)::bigint AS duration_ms, sum(rollup.timed_calls)::bigint AS timed_calls
    FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[]) AS piece (grain_s, lower, upper, part)
    -- OFFSET 0 keeps the planner from joining anything to all rollups first: each piece is one range of the index.
    CROSS JOIN LATERAL (
        SELECT *
        FROM ai_usage_rollups AS kept
        WHERE kept.cuboid = {cuboid} AND kept.grain_s = piece.grain_s
            AND kept.bucket >= piece.lower AND kept.bucket < piece.upper
        OFFSET 0
    ) AS rollup
    JOIN key ON key.id = rollup.key_id
    GROUP BY piece.part, key.group_number
)
SELECT summed.part, {names}, calls, succeeded, priced_calls, input_tokens, output_tokens, total_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, duration_ms, timed_calls
FROM summed
JOIN (SELECT DISTINCT group_number, {names} FROM key) AS grouped USING (group_number)
WHERE calls <> 0
