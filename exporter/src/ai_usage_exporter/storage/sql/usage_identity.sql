-- Load what tells whether a call sent again is still the same call, and the row that stands for it.
-- Parameters: $1 ids, $2 their created_at, same order. Index: ai_usage_logs_pkey, ai_usage_shadow_spans_pkey.
SELECT span.id, span.id AS row_id, span.provider, span.model, span.input_tokens, span.output_tokens, span.service_name
FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, created_at)
JOIN ai_usage_logs AS span ON span.id = given.id AND span.created_at = given.created_at
UNION ALL
SELECT span.id, span.row_id, span.provider, span.model, span.input_tokens, span.output_tokens, span.service_name
FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, created_at)
JOIN ai_usage_shadow_spans AS span
    ON span.id = given.id AND span.created_at = given.created_at AND span.variant = 0
