-- Remove one parked thing after its replay was stored.
-- Parameters: $1 id. Index: ai_usage_quarantine_pkey.
DELETE FROM ai_usage_quarantine WHERE id = $1 RETURNING id
