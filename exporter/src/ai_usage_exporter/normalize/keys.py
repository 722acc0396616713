"""Which attribute says what: every key read, in order of trust.

Aliases of one fact are listed best first. Compiled into one table, so that a span's attributes are walked once.
"""

from __future__ import annotations

from sys import intern
from typing import Final

from ai_usage import semconv


class Fact:
    """Number what is read from a span's attributes; plain integers, because an enum's are looked up slowly."""

    OPERATION: Final = 0
    PROVIDER: Final = 1
    REQUEST_MODEL: Final = 2
    RESPONSE_MODEL: Final = 3
    RESPONSE_ID: Final = 4
    INPUT: Final = 5
    OUTPUT: Final = 6
    TOTAL: Final = 7
    CACHE_READ: Final = 8
    CACHE_WRITE: Final = 9
    CACHE_WRITE_1H: Final = 10
    REASONING: Final = 11
    INPUT_AUDIO: Final = 12
    OUTPUT_AUDIO: Final = 13
    CACHE_READ_AUDIO: Final = 14
    INPUT_IMAGE: Final = 15
    OUTPUT_IMAGE: Final = 16
    COST: Final = 17
    COST_CURRENCY: Final = 18
    COST_SOURCE: Final = 19
    USER: Final = 20
    EMAIL: Final = 21
    SESSION: Final = 22
    SERVICE: Final = 23
    ACTION: Final = 24
    TIER: Final = 25
    ERROR: Final = 26
    ADDRESS: Final = 27
    PARTIAL: Final = 28
    CACHE_HIT: Final = 29


_ALIASES: Final = {
    Fact.OPERATION: (semconv.OPERATION_NAME,),
    Fact.PROVIDER: (
        semconv.PROVIDER_NAME, "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider",
        "mlflow.llm.provider",
    ),
    Fact.REQUEST_MODEL: (
        semconv.REQUEST_MODEL, "llm.request.model_name", "llm.model_name", "embedding.model_name", "ai.model.id",
        "langfuse.observation.model.name", "mlflow.llm.model", "model",
    ),
    Fact.RESPONSE_MODEL: (
        semconv.RESPONSE_MODEL, "llm.response.model_name", "ai.response.model", "litellm.provider.model",
    ),
    Fact.RESPONSE_ID: (semconv.RESPONSE_ID, "ai.response.id"),
    Fact.INPUT: (
        semconv.USAGE_INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
        "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.response.prompt_token_count",
    ),
    Fact.OUTPUT: (
        semconv.USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
        "gen_ai.response.candidates_token_count",
    ),
    Fact.TOTAL: (
        "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens",
        "gen_ai.response.total_token_count",
    ),
    Fact.CACHE_READ: (
        semconv.USAGE_CACHE_READ_TOKENS, "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read", "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.cachedInputTokens", "gen_ai.usage.details.cache_read_tokens", "cache_read_tokens",
    ),
    Fact.CACHE_WRITE: (
        semconv.USAGE_CACHE_WRITE_TOKENS, "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_input_tokens",
        "llm.token_count.prompt_details.cache_write", "ai.usage.inputTokenDetails.cacheWriteTokens",
        "gen_ai.usage.details.cache_write_tokens", "cache_creation_tokens",
    ),
    Fact.CACHE_WRITE_1H: (
        semconv.USAGE_CACHE_WRITE_1H_TOKENS, "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    Fact.REASONING: (
        semconv.USAGE_REASONING_TOKENS, "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning", "ai.usage.outputTokenDetails.reasoningTokens",
        "ai.usage.reasoningTokens", "gen_ai.usage.details.reasoning_tokens",
    ),
    Fact.INPUT_AUDIO: (semconv.USAGE_INPUT_AUDIO_TOKENS, "llm.token_count.prompt_details.audio"),
    Fact.OUTPUT_AUDIO: (semconv.USAGE_OUTPUT_AUDIO_TOKENS, "llm.token_count.completion_details.audio"),
    Fact.CACHE_READ_AUDIO: (semconv.USAGE_CACHE_READ_AUDIO_TOKENS,),
    Fact.INPUT_IMAGE: (semconv.USAGE_INPUT_IMAGE_TOKENS,),
    Fact.OUTPUT_IMAGE: (semconv.USAGE_OUTPUT_IMAGE_TOKENS,),
    Fact.COST: (
        semconv.COST_AMOUNT, "gen_ai.usage.cost", "operation.cost", "llm.cost.total", "gen_ai.cost.total_cost",
        "litellm.cost.total", "cost_usd",
    ),
    Fact.COST_CURRENCY: (semconv.COST_CURRENCY,),
    Fact.COST_SOURCE: (semconv.COST_SOURCE,),
    Fact.USER: (
        semconv.USER_ID, "enduser.id", "gen_ai.user.id", "gen_ai.user", "llm.user", "gen_ai.request.user",
        "ai.telemetry.metadata.userId", "traceloop.association.properties.user_id", "langfuse.user.id",
        "litellm.end_user.id", "metadata.user_api_key_end_user_id", "metadata.user_api_key_user_id",
    ),
    Fact.EMAIL: (semconv.USER_EMAIL, "ai.telemetry.metadata.userEmail", "metadata.user_api_key_user_email"),
    Fact.SESSION: (
        semconv.CONVERSATION_ID, "session.id", "langfuse.session.id", "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
    ),
    Fact.SERVICE: (semconv.SERVICE_NAME,),
    Fact.ACTION: (semconv.SERVICE_ACTION, "ai.telemetry.functionId"),
    Fact.TIER: (
        semconv.OPENAI_RESPONSE_SERVICE_TIER, semconv.SERVICE_TIER, "gen_ai.openai.response.service_tier",
        "anthropic.response.service_tier",
    ),
    Fact.ERROR: (semconv.ERROR_TYPE,),
    Fact.ADDRESS: (semconv.SERVER_ADDRESS, "gen_ai.openai.api_base", "llm.openai.api_base"),
    Fact.PARTIAL: (semconv.USAGE_PARTIAL,),
    Fact.CACHE_HIT: ("litellm.cache_hit",),
}  # fmt: skip

PLACE_OF: Final = {intern(key): (fact, rank) for fact, keys in _ALIASES.items() for rank, key in enumerate(keys)}
"""Attribute key → (fact, rank): the lower the rank, the more it is trusted."""
TEXTS: Final = frozenset(
    {
        Fact.OPERATION, Fact.PROVIDER, Fact.REQUEST_MODEL, Fact.RESPONSE_MODEL, Fact.RESPONSE_ID, Fact.USER, Fact.EMAIL,
        Fact.SESSION, Fact.SERVICE, Fact.ACTION, Fact.TIER, Fact.ERROR, Fact.ADDRESS,
    }
)  # fmt: skip
"""Facts that are text, whatever type they come in."""
FACTS: Final = len(_ALIASES)
KEYS_OF: Final = _ALIASES
"""Fact → its keys, the most trusted first."""

METADATA_PREFIXES: Final = (
    semconv.METADATA_PREFIX,
    "ai.telemetry.metadata.",
    "traceloop.association.properties.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
)
"""What stands behind one of these is somebody's own label and goes to ``request_metadata``."""
