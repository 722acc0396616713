-- Copy rows to the shadows.
-- Parameters: $1 ids, $2 created_at, $3 reasons, $4 rows restated, $5 whether partly covered, all in the same order;
-- {columns} is the fixed list of storage/row.py. Index: ai_usage_logs_pkey.
INSERT INTO ai_usage_shadow_spans ({columns}, ingested_at, reason, row_id, is_partly_covered)
SELECT {qualified}, log.ingested_at, given.reason, given.row_id, given.is_partly_covered
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::boolean[])
    AS given (id, created_at, reason, row_id, is_partly_covered)
JOIN ai_usage_logs AS log ON log.id = given.id AND log.created_at = given.created_at
