-- How calls since a day got their cost.
-- Parameters: $1 first UTC day. Index: ai_usage_rollups_pkey.
SELECT key.cost_status, sum(rollup.calls)::bigint AS calls
FROM ai_usage_rollups AS rollup
JOIN ai_usage_rollup_keys AS key ON key.id = rollup.key_id
WHERE rollup.cuboid = 3 AND rollup.grain_s = 86400 AND rollup.bucket >= $1
GROUP BY key.cost_status
