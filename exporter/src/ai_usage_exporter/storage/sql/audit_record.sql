-- Add one entry to the audit trail.
-- Parameters: $1 actor, $2 action, $3 subject, $4 details as a JSON object in text.
INSERT INTO ai_usage_audit (actor, action, subject, details)
VALUES ($1, $2, $3, $4::text::jsonb)
RETURNING id
