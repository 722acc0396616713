-- Sign somebody out.
-- Parameters: $1 SHA-256 of the session's secret. Index: ai_usage_sessions_pkey.
DELETE FROM ai_usage_sessions WHERE secret_hash = $1
