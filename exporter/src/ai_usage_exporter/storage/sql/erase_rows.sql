-- Calls that name a user, oldest first, after a given one.
-- Parameters: $1 start, $2 id and $3 variant of the last call seen, $4 user ids, $5 users as sent, $6 addresses in
-- lower case, $7 patterns (ILIKE) of what may stand in texts, $8 limit. {table}, {variant}: storage/usage_table.py.
-- Index: idx_ai_usage_created_at; the texts are looked for in every row.
SELECT
    id, created_at, {variant} AS variant, user_id, user_ref, service_name, service_action, provider, model, success, error_code,
    cost_status, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    cost_usd, duration_ms, error_message, request_metadata::text AS request_metadata,
    user_id = ANY($4::uuid[]) OR user_ref = ANY($5::text[]) OR lower(user_email) = ANY($6::text[]) AS is_theirs
FROM {table} AS log
WHERE created_at >= $1 AND (created_at, id, {variant}) > ($1, $2, $3)
    AND (
        user_id = ANY($4::uuid[]) OR user_ref = ANY($5::text[]) OR lower(user_email) = ANY($6::text[])
        OR error_message ILIKE ANY($7::text[]) OR request_metadata::text ILIKE ANY($7::text[])
    )
ORDER BY created_at, id, variant
LIMIT $8
FOR UPDATE
