-- Find framework spans that may lie around spans without a parent, rows and shadows.
-- Parameters: $1 span ids of spans without a parent, $2 their input tokens, $3 output tokens, $4 starts, same order,
-- $1 joined, the others arrays as text, $5 how many to return of one at most.
-- Index: idx_ai_usage_framework, idx_ai_usage_shadow_numbers.
SELECT found.* FROM unnest($2::text::bigint[], $3::text::bigint[], $4::text::timestamptz[]) WITH ORDINALITY AS given (input_tokens, output_tokens, started_at, n)
CROSS JOIN LATERAL (
SELECT
    span.id, span.trace_id, span.span_id, span.parent_span_id, span.created_at, span.duration_ms, span.scope_name,
    span.emitter, span.service_name, span.model, span.request_model, span.operation, span.input_tokens,
    span.output_tokens, span.success, span.provider_response_id, span.usage_flags,
    (coalesce(span.cache_read_tokens, 0) > 0)::int + (coalesce(span.cache_write_tokens, 0) > 0)::int
        + (coalesce(span.cache_write_1h_tokens, 0) > 0)::int + (coalesce(span.reasoning_tokens, 0) > 0)::int
        + (coalesce(span.input_audio_tokens, 0) > 0)::int + (coalesce(span.output_audio_tokens, 0) > 0)::int
        + (coalesce(span.cache_read_audio_tokens, 0) > 0)::int + (coalesce(span.input_image_tokens, 0) > 0)::int
        + (coalesce(span.output_image_tokens, 0) > 0)::int AS parts
FROM ai_usage_logs AS span
WHERE span.input_tokens = given.input_tokens AND span.output_tokens = given.output_tokens AND span.total_tokens > 0
    AND span.span_id <> substr($1::bytea, (8 * given.n - 7)::integer, 8) AND span.scope_name ~ '(^|[.])(agno|autogen|beeai|crewai|dspy|haystack|instructor|langchain|langfuse[-_]sdk|langgraph|litellm|llama[-_]index|llamaindex|openai[-_]agents|pydantic[-_]ai|smolagents)([.](v0|v1|tracer))?$'
    AND span.created_at >= given.started_at - interval '1 hour'
    AND span.created_at <= given.started_at + interval '10 milliseconds'
LIMIT $5
) AS found
UNION ALL
SELECT found.* FROM unnest($2::text::bigint[], $3::text::bigint[], $4::text::timestamptz[]) WITH ORDINALITY AS given (input_tokens, output_tokens, started_at, n)
CROSS JOIN LATERAL (
SELECT
    span.id, span.trace_id, span.span_id, span.parent_span_id, span.created_at, span.duration_ms, span.scope_name,
    span.emitter, span.service_name, span.model, span.request_model, span.operation, span.input_tokens,
    span.output_tokens, span.success, span.provider_response_id, span.usage_flags,
    (coalesce(span.cache_read_tokens, 0) > 0)::int + (coalesce(span.cache_write_tokens, 0) > 0)::int
        + (coalesce(span.cache_write_1h_tokens, 0) > 0)::int + (coalesce(span.reasoning_tokens, 0) > 0)::int
        + (coalesce(span.input_audio_tokens, 0) > 0)::int + (coalesce(span.output_audio_tokens, 0) > 0)::int
        + (coalesce(span.cache_read_audio_tokens, 0) > 0)::int + (coalesce(span.input_image_tokens, 0) > 0)::int
        + (coalesce(span.output_image_tokens, 0) > 0)::int AS parts
FROM ai_usage_shadow_spans AS span
WHERE span.input_tokens = given.input_tokens AND span.output_tokens = given.output_tokens AND span.total_tokens > 0
    AND span.span_id <> substr($1::bytea, (8 * given.n - 7)::integer, 8) AND span.scope_name ~ '(^|[.])(agno|autogen|beeai|crewai|dspy|haystack|instructor|langchain|langfuse[-_]sdk|langgraph|litellm|llama[-_]index|llamaindex|openai[-_]agents|pydantic[-_]ai|smolagents)([.](v0|v1|tracer))?$'
    AND span.created_at >= given.started_at - interval '1 hour'
    AND span.created_at <= given.started_at + interval '10 milliseconds' AND span.variant = 0
LIMIT $5
) AS found
