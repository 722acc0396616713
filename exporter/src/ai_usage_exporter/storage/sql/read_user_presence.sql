-- Count the users with calls in some buckets, and list those who have none there but in others.
-- Parameters: $1 starts of long buckets, $2 starts of days that are taken away from them, $3 starts of the other long
-- buckets, $4 length of the long ones in seconds, $5 limit of the list. Index: ai_usage_rollups_pkey.
WITH present AS MATERIALIZED (
    SELECT key_id
    FROM (
        SELECT key_id, calls
        FROM ai_usage_rollups
        WHERE cuboid = 4 AND grain_s = $4 AND bucket = ANY($1::timestamptz[])
        UNION ALL
        SELECT key_id, -calls
        FROM ai_usage_rollups
        WHERE cuboid = 4 AND grain_s = 86400 AND bucket = ANY($2::timestamptz[])
    ) AS counted
    GROUP BY key_id
    HAVING sum(calls) <> 0
)
SELECT
    (SELECT count(*) FROM present) AS present,
    ARRAY(
        SELECT key.user_key
        FROM (
            SELECT key_id
            FROM ai_usage_rollups
            WHERE cuboid = 4 AND grain_s = $4 AND bucket = ANY($3::timestamptz[])
            EXCEPT
            SELECT key_id FROM present
            LIMIT $5
        ) AS absent
        JOIN ai_usage_rollup_keys AS key ON key.id = absent.key_id
    ) AS elsewhere
