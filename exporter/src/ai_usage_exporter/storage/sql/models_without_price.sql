-- Models that calls since a day have no price for, most tokens first.
-- Parameters: $1 first UTC day. Index: ai_usage_rollups_pkey.
SELECT
    key.provider, key.model, key.cost_status, sum(rollup.calls)::bigint AS calls,
    sum(rollup.input_tokens)::bigint AS input_tokens, sum(rollup.output_tokens)::bigint AS output_tokens,
    sum(rollup.total_tokens)::bigint AS total_tokens, sum(rollup.cost_usd) AS cost_usd,
    max(rollup.bucket) FILTER (WHERE rollup.calls > 0) AS last_day
FROM ai_usage_rollups AS rollup
JOIN ai_usage_rollup_keys AS key ON key.id = rollup.key_id
WHERE rollup.cuboid = 0 AND rollup.grain_s = 86400 AND rollup.bucket >= $1
    AND key.cost_status IN ('estimated', 'unpriced')
GROUP BY key.provider, key.model, key.cost_status
HAVING sum(rollup.calls) <> 0
ORDER BY sum(rollup.total_tokens) DESC, key.provider, key.model, key.cost_status
