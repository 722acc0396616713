-- Note that a key was used, unless another server has just done so.
-- Parameters: $1 id, $2 how coarse the time is. Index: ai_usage_keys_pkey.
UPDATE ai_usage_keys
SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - $2::interval)
