-- Sum by user, dearest (or busiest) first, over rollups and the rows at the broken ends.
-- Parameters: $1 to $3 pieces of rollups (grain, start, end), $4 and $5 pieces of rows (start, end), $6 limit.
-- {sort} is one column of the result. Index: ai_usage_rollups_pkey, idx_ai_usage_created_at.
WITH rolled AS (
    SELECT rollup.key_id, sum(rollup.calls) AS calls, sum(rollup.total_tokens) AS total_tokens,
        sum(rollup.cost_usd) AS cost_usd
    FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]) AS piece (grain_s, lower, upper)
    CROSS JOIN LATERAL (
        SELECT *
        FROM ai_usage_rollups AS kept
        WHERE kept.cuboid = 4 AND kept.grain_s = piece.grain_s
            AND kept.bucket >= piece.lower AND kept.bucket < piece.upper
        OFFSET 0
    ) AS rollup
    GROUP BY rollup.key_id
),
both_ends AS (
    SELECT key.user_key, rolled.calls, rolled.total_tokens, rolled.cost_usd
    FROM rolled
    JOIN ai_usage_rollup_keys AS key ON key.id = rolled.key_id
    UNION ALL
    SELECT coalesce(log.user_id::text, log.user_ref), count(*), sum(log.total_tokens), sum(log.cost_usd)
    FROM unnest($4::timestamptz[], $5::timestamptz[]) AS piece (lower, upper)
    CROSS JOIN LATERAL (
        SELECT * FROM ai_usage_logs AS kept WHERE kept.created_at >= piece.lower AND kept.created_at < piece.upper
        OFFSET 0
    ) AS log
    GROUP BY log.user_id, log.user_ref
)
SELECT
    user_key, sum(calls)::bigint AS calls, sum(total_tokens)::bigint AS total_tokens, sum(cost_usd) AS cost_usd,
    count(*) OVER () AS users
FROM both_ends
GROUP BY user_key
HAVING sum(calls) <> 0
ORDER BY {sort} DESC, user_key
LIMIT $6
