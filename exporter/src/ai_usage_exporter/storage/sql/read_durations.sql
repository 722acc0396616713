-- Count the calls of a period by bin of duration.
-- Parameters: $1 to $3 pieces of rollups (grain, start, end), $4 and $5 pieces of rows (start, end).
-- Index: ai_usage_rollups_pkey, idx_ai_usage_created_at.
SELECT bin, sum(calls)::bigint AS calls
FROM (
    SELECT key.duration_bin AS bin, rolled.calls
    FROM (
        SELECT rollup.key_id, sum(rollup.calls) AS calls
        FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]) AS piece (grain_s, lower, upper)
        CROSS JOIN LATERAL (
            SELECT *
            FROM ai_usage_rollups AS kept
            WHERE kept.cuboid = 5 AND kept.grain_s = piece.grain_s
                AND kept.bucket >= piece.lower AND kept.bucket < piece.upper
            OFFSET 0
        ) AS rollup
        GROUP BY rollup.key_id
    ) AS rolled
    JOIN ai_usage_rollup_keys AS key ON key.id = rolled.key_id
    UNION ALL
    SELECT ai_usage_duration_bin(log.duration_ms), count(*)
    FROM unnest($4::timestamptz[], $5::timestamptz[]) AS piece (lower, upper)
    CROSS JOIN LATERAL (
        SELECT * FROM ai_usage_logs AS kept WHERE kept.created_at >= piece.lower AND kept.created_at < piece.upper
        OFFSET 0
    ) AS log
    GROUP BY 1
) AS both_ends
WHERE bin IS NOT NULL
GROUP BY bin
ORDER BY bin
