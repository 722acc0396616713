-- Find traces in which a span other than plain calls of the given library is stored.
-- Parameters: $1 trace ids, joined, $2 the library (scope) of each, an array as text, $3 and $4 start and end of the
-- time looked at.
-- Index: idx_ai_usage_trace, idx_ai_usage_shadow_trace; idx_ai_usage_shadow_created_at tells once whether there are shadows
-- to look for. Looks at 20 rows a trace: "is_long" says there may be more.
SELECT given.trace_id, bool_or(stored.is_other) AS is_contested, count(*) = 20 AS is_long
FROM unnest($2::text::text[]) WITH ORDINALITY AS library (scope_name, n)
CROSS JOIN LATERAL (SELECT substr($1::bytea, (16 * n - 15)::integer, 16) AS trace_id, scope_name) AS given
CROSS JOIN LATERAL (
    SELECT
        coalesce(log.scope_name, '') <> given.scope_name
            OR coalesce(log.usage_flags && ARRAY['agent_total', 'wrapper', 'gateway'], false) AS is_other
    FROM ai_usage_logs AS log
    WHERE log.trace_id = given.trace_id AND log.created_at >= $3 AND log.created_at < $4
    ORDER BY hashtext(coalesce(log.scope_name, ''))
    LIMIT 20
) AS stored
GROUP BY given.trace_id
HAVING bool_or(stored.is_other) OR count(*) = 20
UNION ALL
SELECT given.trace_id, true, false
FROM generate_series(1, length($1::bytea), 16) AS n
CROSS JOIN LATERAL (SELECT substr($1::bytea, n, 16) AS trace_id) AS given
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_shadow_spans AS shadow
    WHERE shadow.trace_id = given.trace_id AND shadow.variant = 0
    ORDER BY hashtext(coalesce(shadow.scope_name, ''))
    LIMIT 1
) AS stored
WHERE EXISTS (SELECT FROM ai_usage_shadow_spans WHERE created_at >= $3 AND created_at < $4)
