-- Remove rows that are shadows now.
-- Parameters: $1 ids, $2 created_at, same order. Index: ai_usage_logs_pkey.
DELETE FROM ai_usage_logs WHERE (id, created_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))
