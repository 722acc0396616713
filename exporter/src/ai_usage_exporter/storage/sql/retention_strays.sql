-- Delete some calls before a moment from a table that is no partition of a month; returns what they cost.
-- Parameters: $1 moment, $2 limit. {table} is ai_usage_logs_default or ai_usage_shadow_spans.
-- Index: idx_ai_usage_created_at, idx_ai_usage_shadow_created_at.
DELETE FROM {table}
WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE created_at < $1 ORDER BY created_at LIMIT $2))
RETURNING cost_usd
