-- Every key, oldest first: tens to thousands, read whole.
-- No parameters. Index: none, the table is small.
SELECT id, name, role, token_hash, services, spans_per_s, created_at, expires_at, revoked_at, last_used_at
FROM ai_usage_keys
ORDER BY created_at, id
