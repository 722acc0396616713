-- migrate:up

-- Langfuse's wrapper, like a framework, stands around an SDK's call without being the parent of its span.
DROP INDEX idx_ai_usage_framework;
CREATE INDEX idx_ai_usage_framework ON ai_usage_logs (input_tokens, output_tokens, created_at)
    WHERE total_tokens > 0 AND scope_name ~ '(^|[.])(agno|autogen|beeai|crewai|dspy|haystack|instructor|langchain|langfuse[-_]sdk|langgraph|litellm|llama[-_]index|llamaindex|openai[-_]agents|pydantic[-_]ai|smolagents)([.](v0|v1|tracer))?$';

-- migrate:down

DROP INDEX idx_ai_usage_framework;
CREATE INDEX idx_ai_usage_framework ON ai_usage_logs (input_tokens, output_tokens, created_at)
    WHERE total_tokens > 0 AND scope_name ~ '(^|[.])(agno|autogen|beeai|crewai|dspy|haystack|instructor|langchain|langgraph|litellm|llama[-_]index|llamaindex|openai[-_]agents|pydantic[-_]ai|smolagents)([.](v0|v1|tracer))?$';
