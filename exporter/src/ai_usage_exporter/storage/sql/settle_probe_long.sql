-- The same for traces with many rows: two looks into the index around the given library, one for spans with a role.
-- Parameters: $1 trace ids, joined, $2 the library (scope) of each, an array as text, $3 and $4 start and end of the
-- time looked at.
-- Index: idx_ai_usage_trace, idx_ai_usage_roles.
SELECT given.trace_id
FROM unnest($2::text::text[]) WITH ORDINALITY AS library (scope_name, n)
CROSS JOIN LATERAL (SELECT substr($1::bytea, (16 * n - 15)::integer, 16) AS trace_id, scope_name) AS given
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
FROM unnest($2::text::text[]) WITH ORDINALITY AS library (scope_name, n)
CROSS JOIN LATERAL (SELECT substr($1::bytea, (16 * n - 15)::integer, 16) AS trace_id, scope_name) AS given
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
FROM generate_series(1, length($1::bytea), 16) AS n
CROSS JOIN LATERAL (SELECT substr($1::bytea, n, 16) AS trace_id) AS given
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_logs AS log
    WHERE log.trace_id = given.trace_id AND log.created_at >= $3 AND log.created_at < $4
        AND log.usage_flags && ARRAY['agent_total', 'wrapper', 'gateway']
    ORDER BY log.created_at
    LIMIT 1
) AS stored
