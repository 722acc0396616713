-- Count the spans of traces, rows and shadows.
-- Parameters: $1 trace ids, $2 and $3 start and end of the time looked at. Index: idx_ai_usage_trace, idx_ai_usage_shadow_trace.
SELECT stored.trace_id, count(*) AS spans
FROM unnest($1::bytea[]) AS given (trace_id)
CROSS JOIN LATERAL (
    (
        SELECT log.trace_id
        FROM ai_usage_logs AS log
        WHERE log.trace_id = given.trace_id AND log.created_at >= $2 AND log.created_at < $3
        ORDER BY hashtext(coalesce(log.scope_name, ''))
    )
    UNION ALL
    (
        SELECT shadow.trace_id
        FROM ai_usage_shadow_spans AS shadow
        WHERE shadow.trace_id = given.trace_id AND shadow.created_at >= $2 AND shadow.created_at < $3
            AND shadow.variant = 0
        ORDER BY hashtext(coalesce(shadow.scope_name, ''))
    )
) AS stored
GROUP BY stored.trace_id
