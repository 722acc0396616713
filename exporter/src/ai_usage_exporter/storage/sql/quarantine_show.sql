-- Load one parked thing with what was received.
-- Parameters: $1 id. Index: ai_usage_quarantine_pkey.
SELECT id, parked_at, kind, reason, detail, service_name, raw_bytes, raw
FROM ai_usage_quarantine
WHERE id = $1
