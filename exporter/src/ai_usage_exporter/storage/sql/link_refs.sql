-- Users as sent that are written like ids and have calls of nobody in users, with how many.
-- No parameters. Index: idx_ai_usage_user_ref_date.
SELECT key.user_key AS user_ref, called.calls
FROM ai_usage_rollup_keys AS key
CROSS JOIN LATERAL (
    SELECT count(*) AS calls FROM ai_usage_logs AS log WHERE log.user_ref = key.user_key
) AS called
WHERE key.cuboid = 4 AND length(key.user_key) = 36 AND called.calls > 0
ORDER BY key.user_key
