-- Write the dimensions behind the keys of a period's rows, as they must be.
-- Parameters: $1 start, $2 end (UTC midnights). Index: idx_ai_usage_created_at, ai_usage_rollup_keys_pkey.
INSERT INTO ai_usage_rollup_keys AS stored (
    id, cuboid, service, action, provider, model, success, error_code, cost_status, user_key, duration_bin
)
SELECT DISTINCT
    key_id, cuboid, service, action, provider, model, success, error_code, cost_status, user_key, duration_bin
FROM ai_usage_rollups_of_rows($1::timestamptz, $2::timestamptz)
ORDER BY key_id
ON CONFLICT (id) DO NOTHING
