-- Take the user off calls, and put cleaned texts in place.
-- Parameters: one array each: $1 id, $2 start, $3 variant, $4 whether it is theirs, $5 error message,
-- $6 metadata as JSON text. {table}, {variant}: storage/usage_table.py.
-- Index: ai_usage_logs_pkey.
UPDATE {table} AS log
SET
    user_id = CASE WHEN found.is_theirs THEN NULL ELSE log.user_id END,
    user_ref = CASE WHEN found.is_theirs THEN NULL ELSE log.user_ref END,
    user_email = CASE WHEN found.is_theirs THEN NULL ELSE log.user_email END,
    session_id = CASE WHEN found.is_theirs THEN NULL ELSE log.session_id END,
    error_message = found.error_message,
    request_metadata = found.request_metadata::jsonb
FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::boolean[], $5::text[], $6::text[])
    AS found (id, created_at, variant, is_theirs, error_message, request_metadata)
WHERE log.id = found.id AND log.created_at = found.created_at AND {variant} = found.variant
