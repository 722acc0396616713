-- Find spans with given response ids other than given spans, rows and shadows.
-- Parameters: $1 response ids, an array as text, $2 span ids to leave out, same order, joined, $3 and $4 start and
-- end of the time looked at, $5 how many to return of one id at most. Index: idx_ai_usage_response,
-- idx_ai_usage_shadow_response; idx_ai_usage_shadow_created_at tells once whether there are shadows to look for.
SELECT found.* FROM unnest($1::text::text[]) WITH ORDINALITY AS given (response_id, n)
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
    false AS is_shadow
FROM ai_usage_logs AS span
WHERE hashtextextended(span.provider_response_id, 0) = hashtextextended(given.response_id, 0)
    AND span.provider_response_id = given.response_id AND span.span_id <> substr($2::bytea, (8 * given.n - 7)::integer, 8)
    AND span.created_at >= $3 AND span.created_at < $4
LIMIT $5
) AS found
UNION ALL
SELECT found.* FROM unnest($1::text::text[]) WITH ORDINALITY AS given (response_id, n)
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
    true AS is_shadow
FROM ai_usage_shadow_spans AS span
WHERE hashtextextended(span.provider_response_id, 0) = hashtextextended(given.response_id, 0)
    AND span.provider_response_id = given.response_id AND span.span_id <> substr($2::bytea, (8 * given.n - 7)::integer, 8)
    AND span.created_at >= $3 AND span.created_at < $4 AND span.variant = 0
LIMIT $5
) AS found
WHERE EXISTS (SELECT FROM ai_usage_shadow_spans WHERE created_at >= $3 AND created_at < $4)
