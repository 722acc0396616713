-- Say anew why spans are shadows and of which row.
-- Parameters: $1 ids, $2 created_at, $3 reasons, $4 rows restated, $5 whether partly covered, all in the same order.
-- Index: ai_usage_shadow_spans_pkey.
UPDATE ai_usage_shadow_spans AS shadow
SET reason = given.reason, row_id = given.row_id, is_partly_covered = given.is_partly_covered
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::boolean[])
    AS given (id, created_at, reason, row_id, is_partly_covered)
WHERE shadow.id = given.id AND shadow.created_at = given.created_at AND shadow.variant = 0
