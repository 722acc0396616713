-- migrate:up

ALTER TABLE ai_usage_logs ADD COLUMN scope_name text;

COMMENT ON COLUMN ai_usage_logs.scope_name IS 'The library that made the span, by its instrumentation scope.';

-- What finds other spans of a trace: any (the first part), or one that another library made (the second, as a range).
-- Statements ask for its order, so that none is planned to go by idx_ai_usage_created_at while statistics are missing.
CREATE INDEX idx_ai_usage_trace ON ai_usage_logs (trace_id, hashtext(coalesce(scope_name, '')), created_at);
-- What finds a span of the same call in another trace; a hash, because ids are long and only ever compared.
CREATE INDEX idx_ai_usage_response ON ai_usage_logs (hashtextextended(provider_response_id, 0), created_at)
    WHERE provider_response_id IS NOT NULL;
CREATE INDEX idx_ai_usage_roles ON ai_usage_logs (trace_id, created_at)
    WHERE usage_flags && ARRAY['agent_total', 'wrapper', 'gateway'];

-- What finds, without trace or response id, the span of an SDK inside a framework's, and the other way round.
CREATE INDEX idx_ai_usage_unlinked ON ai_usage_logs (input_tokens, output_tokens, created_at)
    WHERE parent_span_id IS NULL AND trace_id IS NOT NULL AND total_tokens > 0;
CREATE INDEX idx_ai_usage_framework ON ai_usage_logs (input_tokens, output_tokens, created_at)
    WHERE total_tokens > 0 AND scope_name ~ '(^|[.])(agno|autogen|beeai|crewai|dspy|haystack|instructor|langchain|langgraph|litellm|llama[-_]index|llamaindex|openai[-_]agents|pydantic[-_]ai|smolagents)([.](v0|v1|tracer))?$';

-- Everything a row has, so that a shadow can become the row when better evidence comes.
CREATE TABLE ai_usage_shadow_spans (
    LIKE ai_usage_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    reason text NOT NULL,
    row_id uuid NOT NULL,
    is_partly_covered boolean NOT NULL DEFAULT false,
    variant bigint NOT NULL DEFAULT 0,
    CONSTRAINT ai_usage_shadow_spans_pkey PRIMARY KEY (id, created_at, variant),
    CONSTRAINT ai_usage_shadow_spans_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT known_reason CHECK (
        reason IN (
            'wrapper', 'second_instrumentor', 'gateway', 'agent_total', 'retrieve', 'replay_with_other_content'
        )
    ),
    CONSTRAINT variant_of_replay CHECK ((variant <> 0) = (reason = 'replay_with_other_content'))
);

CREATE INDEX idx_ai_usage_shadow_row ON ai_usage_shadow_spans (row_id);
CREATE INDEX idx_ai_usage_shadow_trace
    ON ai_usage_shadow_spans (trace_id, hashtext(coalesce(scope_name, '')), created_at);
CREATE INDEX idx_ai_usage_shadow_created_at ON ai_usage_shadow_spans (created_at);
CREATE INDEX idx_ai_usage_shadow_user_id ON ai_usage_shadow_spans (user_id);
CREATE INDEX idx_ai_usage_shadow_response
    ON ai_usage_shadow_spans (hashtextextended(provider_response_id, 0), created_at)
    WHERE provider_response_id IS NOT NULL;

CREATE INDEX idx_ai_usage_shadow_numbers ON ai_usage_shadow_spans (input_tokens, output_tokens, created_at)
    WHERE total_tokens > 0;

COMMENT ON TABLE ai_usage_shadow_spans IS 'Spans that restate a call which has its row in ai_usage_logs; never summed.';
COMMENT ON COLUMN ai_usage_shadow_spans.reason IS 'wrapper, second_instrumentor, gateway, agent_total, retrieve or replay_with_other_content.';
COMMENT ON COLUMN ai_usage_shadow_spans.row_id IS 'The row restated: ai_usage_logs.id.';
COMMENT ON COLUMN ai_usage_shadow_spans.is_partly_covered IS 'Sums up more tokens than the traced calls below it have.';
COMMENT ON COLUMN ai_usage_shadow_spans.variant IS 'Tells apart what was sent under one id with other contents; 0 for all else.';

-- migrate:down

DROP TABLE ai_usage_shadow_spans;
DROP INDEX idx_ai_usage_trace;
DROP INDEX idx_ai_usage_response;
DROP INDEX idx_ai_usage_roles;
DROP INDEX idx_ai_usage_unlinked;
DROP INDEX idx_ai_usage_framework;
ALTER TABLE ai_usage_logs DROP COLUMN scope_name;
