-- Sign somebody in, and forget sessions that are over.
-- Parameters: $1 SHA-256 of the session's secret, $2 key or null, $3 HMAC of what was signed in with, $4 how long.
-- Index: idx_ai_usage_sessions_expires_at.
WITH over AS (
    DELETE FROM ai_usage_sessions WHERE expires_at < now()
)
INSERT INTO ai_usage_sessions (secret_hash, key_id, token_mac, expires_at)
VALUES ($1, $2, $3, now() + $4::interval)
