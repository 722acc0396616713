-- Load all spans of traces, rows and shadows (those have a reason).
-- Parameters: $1 trace ids, $2 and $3 start and end of the time looked at.
-- Index: idx_ai_usage_trace, idx_ai_usage_shadow_trace.
SELECT stored.* FROM unnest($1::bytea[]) AS given (trace_id)
CROSS JOIN LATERAL (
SELECT
    span.id, span.trace_id, span.span_id, span.parent_span_id, span.created_at, span.duration_ms, span.scope_name,
    span.emitter, span.service_name, span.model, span.request_model, span.operation, span.input_tokens,
    span.output_tokens, span.success, span.provider_response_id, span.usage_flags,
    (coalesce(span.cache_read_tokens, 0) > 0)::int + (coalesce(span.cache_write_tokens, 0) > 0)::int
        + (coalesce(span.cache_write_1h_tokens, 0) > 0)::int + (coalesce(span.reasoning_tokens, 0) > 0)::int
        + (coalesce(span.input_audio_tokens, 0) > 0)::int + (coalesce(span.output_audio_tokens, 0) > 0)::int
        + (coalesce(span.cache_read_audio_tokens, 0) > 0)::int + (coalesce(span.input_image_tokens, 0) > 0)::int
        + (coalesce(span.output_image_tokens, 0) > 0)::int AS parts,
    NULL::text AS reason, NULL::uuid AS row_id, false AS is_partly_covered
FROM ai_usage_logs AS span
WHERE span.trace_id = given.trace_id AND span.created_at >= $2 AND span.created_at < $3
ORDER BY hashtext(coalesce(span.scope_name, ''))
) AS stored
UNION ALL
SELECT stored.* FROM unnest($1::bytea[]) AS given (trace_id)
CROSS JOIN LATERAL (
SELECT
    span.id, span.trace_id, span.span_id, span.parent_span_id, span.created_at, span.duration_ms, span.scope_name,
    span.emitter, span.service_name, span.model, span.request_model, span.operation, span.input_tokens,
    span.output_tokens, span.success, span.provider_response_id, span.usage_flags,
    (coalesce(span.cache_read_tokens, 0) > 0)::int + (coalesce(span.cache_write_tokens, 0) > 0)::int
        + (coalesce(span.cache_write_1h_tokens, 0) > 0)::int + (coalesce(span.reasoning_tokens, 0) > 0)::int
        + (coalesce(span.input_audio_tokens, 0) > 0)::int + (coalesce(span.output_audio_tokens, 0) > 0)::int
        + (coalesce(span.cache_read_audio_tokens, 0) > 0)::int + (coalesce(span.input_image_tokens, 0) > 0)::int
        + (coalesce(span.output_image_tokens, 0) > 0)::int AS parts,
    span.reason, span.row_id, span.is_partly_covered
FROM ai_usage_shadow_spans AS span
WHERE span.trace_id = given.trace_id AND span.created_at >= $2 AND span.created_at < $3 AND span.variant = 0
ORDER BY hashtext(coalesce(span.scope_name, ''))
) AS stored
