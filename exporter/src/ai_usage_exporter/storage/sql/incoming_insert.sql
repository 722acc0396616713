-- Insert what waits and is not there yet; returns the ids of the new rows.
-- Parameters: none; {columns} is the fixed list of storage/row.py. Index: ai_usage_logs_pkey.
INSERT INTO ai_usage_logs ({columns})
SELECT {columns} FROM ai_usage_incoming ORDER BY position
ON CONFLICT (id, created_at) DO NOTHING
RETURNING id
