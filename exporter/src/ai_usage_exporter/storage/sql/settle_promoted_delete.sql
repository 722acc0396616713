-- Remove shadows that are rows now.
-- Parameters: $1 ids, $2 created_at, same order. Index: ai_usage_shadow_spans_pkey.
DELETE FROM ai_usage_shadow_spans
WHERE (id, created_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[])) AND variant = 0
