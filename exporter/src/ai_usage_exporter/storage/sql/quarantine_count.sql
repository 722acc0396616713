-- Count parked things by reason.
-- Parameters: none. Index: idx_ai_usage_quarantine_reason.
SELECT reason, count(*) AS entries
FROM ai_usage_quarantine
GROUP BY reason
ORDER BY reason
