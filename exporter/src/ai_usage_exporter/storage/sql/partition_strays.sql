-- Find the months with rows in the default partition.
-- Parameters: $1 the earliest and $2 the latest (excluded) time looked at.
-- Index: idx_ai_usage_created_at of the default partition, which is all but empty.
SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month
FROM ai_usage_logs_default
WHERE created_at >= $1 AND created_at < $2
ORDER BY month
