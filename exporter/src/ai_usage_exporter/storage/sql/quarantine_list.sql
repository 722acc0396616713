-- List parked things, newest first, a page at a time.
-- Parameters: $1 reason or null for all, $2 id to continue below or null, $3 page size.
-- Index: ai_usage_quarantine_pkey, or idx_ai_usage_quarantine_reason with a reason.
SELECT id, parked_at, kind, reason, detail, service_name, raw_bytes
FROM ai_usage_quarantine
WHERE ($1::text IS NULL OR reason = $1) AND ($2::bigint IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3
