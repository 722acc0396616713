"""LiteLLM: its legacy callback (``litellm_request`` or the parent span itself) and its V2 spans."""

from __future__ import annotations

from ast import literal_eval
from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.keys import KEYS_OF, Fact
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import ESTIMATED_TOKENS, GATEWAY, Reading, has_usage
from ai_usage_exporter.normalize.values import json_object, text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Attributes, AttributeValue, Span

_STATUS_ERROR: Final = 2
_RAW: Final = "raw_gen_ai_request"
_LONGEST_USAGE: Final = 4000
# What LiteLLM calls its calls → the operation; the asynchronous ones start with an "a".
_OPERATIONS: Final = {
    "completion": "chat",
    "responses": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "image_generation": "image_generation",
    "transcription": "transcription",
    "speech": "speech",
    "rerank": "rerank",
    "moderation": "moderation",
    "anthropic_messages": "chat",
}

_SENT_AS: Final = "litellm.provider.model"
_KEY_OWNER: Final = "metadata.user_api_key_user_id"
_NOBODY: Final = "default_user_id"
"""Whom the proxy names for its master key."""
_HAVE_IDS: Final = frozenset({"chat", "text_completion", "generate_content"})
"""Operations whose replies have an id: usage without one was counted by LiteLLM."""


def read(span: Span) -> Reading | None:
    """Return what a request span says; raw request, guardrail and service spans are no calls."""
    attributes = span.attributes
    if span.name == _RAW:
        return None
    named = text(attributes.get(semconv.OPERATION_NAME)) or text(attributes.get("llm.request.type")) or ""
    operation = named if named in CALLS - {"completion"} else _OPERATIONS.get(named) or _OPERATIONS.get(named[1:])
    if operation is None:
        if not has_usage(attributes):
            return None
        operation = "chat"
    elif not has_usage(attributes) and not any(attributes.get(key) for key in KEYS_OF[Fact.REQUEST_MODEL]):
        return None
    hidden = json_object(attributes.get("hidden_params"))
    found = attributes
    cost = hidden.get("response_cost")
    if cost is not None and not any(attributes.get(key) is not None for key in KEYS_OF[Fact.COST]):
        found = {**found, "gen_ai.usage.cost": cost}
    if hidden.get("cache_hit") is True:
        found = {**found, "litellm.cache_hit": True}
    parts = _parts(attributes)
    if parts:
        found = {**parts, **found}
    system, sent_as = text(attributes.get("gen_ai.system")), text(attributes.get(_SENT_AS)) or ""
    if system is not None and sent_as.startswith(system + "/"):
        found = {**found, _SENT_AS: sent_as.removeprefix(system + "/")}
    if attributes.get(_KEY_OWNER) == _NOBODY:
        found = {key: value for key, value in found.items() if key != _KEY_OWNER}
    flags: tuple[str, ...] = (GATEWAY,)
    succeeded = span.status_code != _STATUS_ERROR and has_usage(attributes)
    if operation in _HAVE_IDS and succeeded and text(attributes.get(semconv.RESPONSE_ID)) is None:
        flags += (ESTIMATED_TOKENS,)
    return Reading("litellm", operation, found, flags)


def _parts(attributes: Attributes) -> dict[str, AttributeValue]:
    """Return cached and reasoning tokens, which the legacy callback writes only as the repr of its usage object."""
    written = attributes.get("metadata.usage_object")
    if not isinstance(written, str) or len(written) > _LONGEST_USAGE:
        return {}
    try:
        usage = literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    if not isinstance(usage, dict):
        return {}
    prompt, completion = (usage.get(key) or {} for key in ("prompt_tokens_details", "completion_tokens_details"))
    found = {
        semconv.USAGE_CACHE_READ_TOKENS: json_object(prompt).get("cached_tokens"),
        semconv.USAGE_CACHE_WRITE_TOKENS: usage.get("cache_creation_input_tokens"),
        semconv.USAGE_REASONING_TOKENS: json_object(completion).get("reasoning_tokens"),
    }
    return {key: count for key, count in found.items() if count}
