-- Find a session that is not over.
-- Parameters: $1 SHA-256 of its secret. Index: ai_usage_sessions_pkey.
SELECT key_id, token_mac
FROM ai_usage_sessions
WHERE secret_hash = $1 AND expires_at > now()
