-- Remove the rollups of a period.
-- Parameters: $1 start, $2 end (UTC midnights), $3 and $4 cuboids and their grains. Index: ai_usage_rollups_pkey.
DELETE FROM ai_usage_rollups AS rollup
USING unnest($3::smallint[], $4::integer[]) AS kept (cuboid, grain_s)
WHERE rollup.cuboid = kept.cuboid AND rollup.grain_s = kept.grain_s AND rollup.bucket >= $1 AND rollup.bucket < $2
