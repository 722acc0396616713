-- Copy shadows to the rows.
-- Parameters: $1 ids, $2 created_at, same order; {columns} is the fixed list of storage/row.py.
-- Index: ai_usage_shadow_spans_pkey.
INSERT INTO ai_usage_logs ({columns}, ingested_at)
SELECT {qualified}, log.ingested_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, created_at)
JOIN ai_usage_shadow_spans AS log ON log.id = given.id AND log.created_at = given.created_at AND log.variant = 0
