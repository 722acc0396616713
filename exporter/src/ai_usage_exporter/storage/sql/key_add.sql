-- Add a key.
-- Parameters: $1 id, $2 name, $3 role, $4 SHA-256 of the key, $5 services or null, $6 spans a second or null,
-- $7 when it expires or null.
INSERT INTO ai_usage_keys (id, name, role, token_hash, services, spans_per_s, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
