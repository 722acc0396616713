-- Point what was sent again with other contents to the row that now stands for its span.
-- Parameters: $1 ids, $2 their rows, same order. Index: ai_usage_shadow_spans_pkey.
UPDATE ai_usage_shadow_spans AS shadow
SET row_id = given.row_id
FROM unnest($1::uuid[], $2::uuid[]) AS given (id, row_id)
WHERE shadow.id = given.id AND shadow.variant <> 0
