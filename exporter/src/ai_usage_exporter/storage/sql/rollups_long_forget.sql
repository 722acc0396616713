-- Remove the sums of a long bucket.
-- Parameters: $1 cuboid, $2 length of the bucket in seconds, $3 its start. Index: ai_usage_rollups_pkey.
DELETE FROM ai_usage_rollups WHERE cuboid = $1::smallint AND grain_s = $2::integer AND bucket = $3::timestamptz
