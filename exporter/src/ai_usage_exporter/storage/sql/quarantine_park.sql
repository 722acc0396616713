-- Park one thing; the same thing again changes nothing.
-- Parameters: $1 digest, $2 kind, $3 reason, $4 detail, $5 service name, $6 raw, $7 size of what was received.
-- Index: ai_usage_quarantine_digest_key.
INSERT INTO ai_usage_quarantine (digest, kind, reason, detail, service_name, raw, raw_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (digest) DO NOTHING
