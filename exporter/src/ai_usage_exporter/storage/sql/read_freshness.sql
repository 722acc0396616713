-- Find the starts of the first and the last call.
-- Parameters: the conditions' values. {conditions}: storage/condition.py. Index: idx_ai_usage_created_at; with a user
-- idx_ai_usage_user_date or idx_ai_usage_user_ref_date.
SELECT min(log.created_at) AS first_call, max(log.created_at) AS last_call
FROM ai_usage_logs AS log
WHERE {conditions}
