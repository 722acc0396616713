"""Codex: bare keys on ``codex.sse_event`` of kind ``response.completed``; counts as in OpenAI Responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.reading import Reading
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue, Span

NAMES: Final = frozenset({"codex.sse_event", "handle_responses"})
_KEYS: Final = {
    "input_token_count": "gen_ai.usage.input_tokens",
    "cached_token_count": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_token_count": "gen_ai.usage.cache_write.input_tokens",
    "output_token_count": "gen_ai.usage.output_tokens",
    "reasoning_token_count": "gen_ai.usage.reasoning.output_tokens",
    "conversation.id": "gen_ai.conversation.id",
    "user.account_id": "user.id",
}


def read(span: Span) -> Reading | None:
    """Return what the end of a response says; other events and deltas say nothing of usage."""
    if span.name not in NAMES:
        return otel.read_as(span, "codex")
    attributes = span.attributes
    if "input_token_count" not in attributes and attributes.get("event.kind") != "response.failed":
        return None
    found: dict[str, AttributeValue] = {
        key: value for key, value in attributes.items() if key not in {"tool_token_count"}
    }
    for name, key in _KEYS.items():
        if name in found and found.get(key) is None:
            found[key] = found.pop(name)
    error = text(attributes.get("error.message"))
    failed = attributes.get("event.kind") == "response.failed" or error is not None
    return Reading("codex", "chat", found, provider="openai", error="_OTHER" if failed else None)
