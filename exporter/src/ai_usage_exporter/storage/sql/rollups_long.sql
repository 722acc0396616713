-- Find the long buckets that have sums, or days with sums.
-- Parameters: $1 cuboid, $2 length of a long bucket in seconds. Index: ai_usage_rollups_pkey.
SELECT DISTINCT date_bin(make_interval(secs => $2::integer), bucket, 'epoch') AS bucket
FROM ai_usage_rollups
WHERE cuboid = $1::smallint AND grain_s IN (86400, $2)
ORDER BY bucket
