-- Find the users who used most in long buckets: what each used in a part of them is at most that.
-- Parameters: $1 starts of the buckets, $2 their length in seconds, $3 limit. {sort} is one column of the sums.
-- Index: ai_usage_rollups_pkey.
SELECT key.user_key, top.bound
FROM (
    SELECT key_id, sum({sort}) AS bound
    FROM ai_usage_rollups
    WHERE cuboid = 4 AND grain_s = $2 AND bucket = ANY($1::timestamptz[])
    GROUP BY key_id
    ORDER BY bound DESC
    LIMIT $3
) AS top
JOIN ai_usage_rollup_keys AS key ON key.id = top.key_id
ORDER BY top.bound DESC
