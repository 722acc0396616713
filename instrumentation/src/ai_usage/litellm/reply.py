"""What LiteLLM's answers say about usage: OpenAI's shape for every vendor, input with cache, output with reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ai_usage import semconv
from ai_usage._fields import field, whole, word
from ai_usage.openai import reply as openai_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from ai_usage._invocation import Reply
    from ai_usage.tokens import TokenUsage

CACHE_HIT: Final = "litellm.cache_hit"
"""bool: answered from LiteLLM's own cache."""
COST: Final = "litellm.cost.total"
"""double, USD: what LiteLLM's own price map says; kept beside the cost computed here."""

# Names LiteLLM has for providers → those of the conventions.
_PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "text-completion-openai": "openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "cohere_chat": "cohere",
    "watsonx": "ibm.watsonx.ai",
}


def provider_of(name: object) -> str:
    """Return gen_ai.provider.name for LiteLLM's ``custom_llm_provider``."""
    own = word(name) or "unknown"
    return _PROVIDERS.get(own, own)


def read_usage(usage: Any) -> TokenUsage:
    """Return the tokens of LiteLLM's ``Usage``, with what it adds for Anthropic and Bedrock."""
    found = openai_reply.read_usage(usage)
    if not found.is_reported:
        return found
    details = field(usage, "prompt_tokens_details")
    written = whole(field(usage, "cache_creation_input_tokens")) or whole(field(details, "cache_creation_tokens"))
    lifetimes = field(details, "cache_creation_token_details")
    read = whole(field(usage, "cache_read_input_tokens"))
    return found._replace(
        cache_read_tokens=read if found.cache_read_tokens is None else found.cache_read_tokens,
        cache_write_tokens=written if found.cache_write_tokens is None else found.cache_write_tokens,
        cache_write_1h_tokens=whole(field(lifetimes, "ephemeral_1h_input_tokens")),
    )


def read_answer(answer: Any, details: Mapping[str, Any]) -> Reply:
    """Read any answer of LiteLLM, with what its call details say about cost, cache and end user."""
    is_response = field(answer, "object") == "response"
    found = openai_reply.read_response(answer) if is_response else openai_reply.read_chat(answer)
    extra: dict[str, AttributeValue] = dict(found.extra or {})
    logged = details.get("standard_logging_object")
    if details.get("cache_hit") is True:
        # Nobody was paid for this: the tokens are those of the call that filled the cache.
        extra |= {
            CACHE_HIT: True,
            semconv.COST_AMOUNT: 0.0,
            semconv.COST_CURRENCY: "USD",
            semconv.COST_SOURCE: "local",
            semconv.COST_STATUS: "free",
        }
    else:
        cost = field(logged, "response_cost")
        if isinstance(cost, int | float) and cost > 0:
            extra[COST] = float(cost)
    return found._replace(usage=read_usage(field(answer, "usage")), extra=extra or None)


def end_user_of(details: Mapping[str, Any]) -> str | None:
    """Return whom the proxy or the caller names as user of a call."""
    logged = details.get("standard_logging_object")
    return (
        word(field(logged, "end_user"))
        or word((details.get("optional_params") or {}).get("user"))
        or word(field(field(logged, "metadata"), "user_api_key_user_id"))
    )
