-- Remove what was parked before a moment.
-- Parameters: $1 moment. Index: none, the table is small.
WITH removed AS (DELETE FROM ai_usage_quarantine WHERE parked_at < $1 RETURNING id)
SELECT count(*) FROM removed
