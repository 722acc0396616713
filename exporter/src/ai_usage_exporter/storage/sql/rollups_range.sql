-- Find the first and last UTC day that has rows or rollups.
-- Parameters: none. Index: idx_ai_usage_created_at, ai_usage_rollups_pkey.
SELECT
    date_bin('1 day', least((SELECT min(created_at) FROM ai_usage_logs), min(bucket)), 'epoch') AS first_day,
    date_bin('1 day', greatest((SELECT max(created_at) FROM ai_usage_logs), max(bucket)), 'epoch') AS last_day
FROM ai_usage_rollups
WHERE grain_s <= 86400
