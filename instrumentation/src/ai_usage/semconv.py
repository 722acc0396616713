"""Every attribute, metric and scope name this package writes, one constant each.

Names follow the OTel GenAI semantic conventions (repository ``semantic-conventions-genai``, November 2026) where
these have one; ``ai_usage.*`` is ours. The comment behind each constant gives type and unit. The receiver also
reads older and foreign names; those live with their dialect in ``ai_usage_exporter.normalize``.
"""

from __future__ import annotations

from typing import Final

# --- what kind of call, by whom, with what -------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"  # string: chat, generate_content, text_completion, embeddings, …
PROVIDER_NAME: Final = "gen_ai.provider.name"  # string: openai, anthropic, gcp.gemini, …
REQUEST_MODEL: Final = "gen_ai.request.model"  # string
RESPONSE_MODEL: Final = "gen_ai.response.model"  # string; prices follow this one
RESPONSE_ID: Final = "gen_ai.response.id"  # string
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"  # string[]
REQUEST_STREAM: Final = "gen_ai.request.stream"  # bool; absent means false
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"  # int
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"  # double
CONVERSATION_ID: Final = "gen_ai.conversation.id"  # string
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # double, seconds
SERVER_ADDRESS: Final = "server.address"  # string
SERVER_PORT: Final = "server.port"  # int
ERROR_TYPE: Final = "error.type"  # string, low cardinality

# --- content, only when the app opts in; JSON in the conventions' message schema --------------------------------
INPUT_MESSAGES: Final = "gen_ai.input.messages"  # string: [{role, parts: [{type, content, …}]}]
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"  # string: the same
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"  # string: [{type, content}]

# --- tokens (int) --------------------------------------------------------------------------------------------
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"  # includes cached and every other input kind
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"  # includes reasoning
USAGE_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"  # subset of input
USAGE_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"  # subset of input
USAGE_CACHE_WRITE_1H_TOKENS: Final = "ai_usage.usage.cache_write_1h.input_tokens"  # subset of cache write
USAGE_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"  # subset of output
USAGE_INPUT_AUDIO_TOKENS: Final = "gen_ai.usage.audio.input_tokens"  # subset of input
USAGE_OUTPUT_AUDIO_TOKENS: Final = "gen_ai.usage.audio.output_tokens"  # subset of output
USAGE_CACHE_READ_AUDIO_TOKENS: Final = "gen_ai.usage.audio.cache_read.input_tokens"  # subset of cache read
USAGE_INPUT_IMAGE_TOKENS: Final = "gen_ai.usage.image.input_tokens"  # subset of input
USAGE_OUTPUT_IMAGE_TOKENS: Final = "gen_ai.usage.image.output_tokens"  # subset of output
USAGE_PARTIAL: Final = "ai_usage.usage.partial"  # bool: the stream ended before the provider's final numbers
USAGE_COMPACTION_ADDED: Final = "ai_usage.usage.compaction_added"  # bool: totals hold what is billed beside the reply's

UNSAMPLED: Final = "ai_usage.unsampled"  # bool: the sampler dropped the trace; usage backends only
COUNTED_BY: Final = "ai_usage.counted_by"  # string, span id in hex: the span of this package that counts the call

# --- cost (the open OTel proposal) ---------------------------------------------------------------------------
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"  # double, in COST_CURRENCY
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"  # string, ISO 4217: always USD here
COST_SOURCE: Final = "gen_ai.usage.cost.source"  # string: provider (reported by it) or local (computed)
COST_STATUS: Final = "ai_usage.cost.status"  # string, see ai_usage.pricing.CostStatus

# --- who and what pays ---------------------------------------------------------------------------------------
USER_ID: Final = "user.id"  # string
USER_EMAIL: Final = "user.email"  # string
SERVICE_NAME: Final = "ai_usage.service.name"  # string: the feature, e.g. xray_analyzer
SERVICE_ACTION: Final = "ai_usage.service.action"  # string: e.g. analyze
METADATA_PREFIX: Final = "ai_usage.metadata."  # + key: string, bool, int or double
RESOURCE_SERVICE_NAME: Final = "service.name"  # string, on the resource

# --- provider extras that change the price -------------------------------------------------------------------
OPENAI_API_TYPE: Final = "openai.api.type"  # string: chat_completions, responses
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"  # string
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"  # string, as served
SERVICE_TIER: Final = "ai_usage.service_tier"  # string, as served, for providers without a name of their own

# --- metrics -------------------------------------------------------------------------------------------------
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - a metric name; histogram, {token}
METRIC_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"  # histogram, s
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute name; string: input, output
