-- Entries of the audit trail, newest first.
-- Parameters: $1 action or null, $2 only ids below this or null, $3 limit.
-- Index: idx_ai_usage_audit_action, else ai_usage_audit_pkey.
SELECT id, recorded_at, actor, action, subject, details::text AS details
FROM ai_usage_audit
WHERE ($1::text IS NULL OR action = $1)
    AND ($2::bigint IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3
