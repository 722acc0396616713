-- Find traces in which a span other than plain calls of the given library is stored.
-- Parameters: $1 trace ids, $2 the library (scope) of each, both arrays as text, $3 and $4 start and end of the time
-- looked at.
-- Index: idx_ai_usage_trace, idx_ai_usage_shadow_trace. Looks at 20 rows a trace: "is_long" says there may be more.
SELECT given.trace_id, bool_or(stored.is_other) AS is_contested, count(*) = 20 AS is_long
FROM unnest($1::text::bytea[], $2::text::text[]) AS given (trace_id, scope_name)
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
FROM unnest($1::text::bytea[]) AS given (trace_id)
CROSS JOIN LATERAL (
    SELECT
    FROM ai_usage_shadow_spans AS shadow
    WHERE shadow.trace_id = given.trace_id AND shadow.variant = 0
    ORDER BY hashtext(coalesce(shadow.scope_name, ''))
    LIMIT 1
) AS stored
