-- The same for traces with many rows: two looks into the index around the given library, one for spans with a role.
-- Parameters: $1 trace ids, $2 the library (scope) of each, both arrays as text, $3 and $4 start and end of the time
-- looked at.
-- Index: idx_ai_usage_trace, idx_ai_usage_roles.
SELECT given.trace_id
FROM unnest($1::text::bytea[], $2::text::text[]) AS given (trace_id, scope_name)
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_logs AS log
    WHERE log.trace_id = given.trace_id AND log.created_at >= $3 AND log.created_at < $4
        AND hashtext(coalesce(log.scope_name, '')) < hashtext(given.scope_name)
    ORDER BY hashtext(coalesce(log.scope_name, ''))
    LIMIT 1
) AS stored
UNION
SELECT given.trace_id
FROM unnest($1::text::bytea[], $2::text::text[]) AS given (trace_id, scope_name)
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_logs AS log
    WHERE log.trace_id = given.trace_id AND log.created_at >= $3 AND log.created_at < $4
        AND hashtext(coalesce(log.scope_name, '')) > hashtext(given.scope_name)
    ORDER BY hashtext(coalesce(log.scope_name, ''))
    LIMIT 1
) AS stored
UNION
SELECT given.trace_id
FROM unnest($1::text::bytea[]) AS given (trace_id)
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_logs AS log
    WHERE log.trace_id = given.trace_id AND log.created_at >= $3 AND log.created_at < $4
        AND log.usage_flags && ARRAY['agent_total', 'wrapper', 'gateway']
    ORDER BY log.created_at
    LIMIT 1
) AS stored
