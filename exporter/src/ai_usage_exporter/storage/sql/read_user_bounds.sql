-- Find the users who cost most in long buckets: what each cost in a part of them is at most that.
-- Parameters: $1 and $2 start and end of the buckets, $3 their length in seconds, $4 limit.
-- Index: ai_usage_rollups_pkey.
SELECT key.user_key, top.bound
FROM (
    SELECT key_id, sum(cost_usd) AS bound
    FROM ai_usage_rollups
    WHERE cuboid = 4 AND grain_s = $3 AND bucket >= $1 AND bucket < $2
    GROUP BY key_id
    ORDER BY bound DESC
    LIMIT $4
) AS top
JOIN ai_usage_rollup_keys AS key ON key.id = top.key_id
ORDER BY top.bound DESC
