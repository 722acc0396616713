-- Revoke a key; nothing when it is revoked already.
-- Parameters: $1 id. Index: ai_usage_keys_pkey.
UPDATE ai_usage_keys
SET revoked_at = now()
WHERE id = $1 AND revoked_at IS NULL
RETURNING revoked_at
