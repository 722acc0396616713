-- Find the exact 95th percentile of durations in rows.
-- Parameters: $1 start, $2 end, then the conditions' values. {conditions}: storage/condition.py.
-- Index: idx_ai_usage_created_at; with a user idx_ai_usage_user_date or idx_ai_usage_user_ref_date.
SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY log.duration_ms)
FROM ai_usage_logs AS log
WHERE log.created_at >= $1 AND log.created_at < $2 AND {conditions}
