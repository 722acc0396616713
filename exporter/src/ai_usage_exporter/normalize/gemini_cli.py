"""Gemini CLI: bare keys on ``llm_call`` spans and ``gemini_cli.api_response`` events; thoughts are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.reading import Reading
from ai_usage_exporter.normalize.values import text, whole

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue, Span

_STATUS_ERROR: Final = 2
NAMES: Final = frozenset({"llm_call", "gemini_cli.api_response", "gemini_cli.api_error"})
_KEYS: Final = {
    "output_token_count": "gen_ai.usage.output_tokens",
    "cached_content_token_count": "gen_ai.usage.cache_read.input_tokens",
    "thoughts_token_count": "gen_ai.usage.reasoning.output_tokens",
    "total_token_count": "gen_ai.usage.total_tokens",
    "prompt_id": "ai_usage.metadata.prompt_id",
    "installation.id": "user.id",
    "model_name": "gen_ai.request.model",
}


def read(span: Span) -> Reading | None:
    """Return what a reply says; prompt of tool use is input too."""
    if span.name not in NAMES:
        return otel.read_as(span, "gemini_cli")
    found: dict[str, AttributeValue] = dict(span.attributes)
    for name, key in _KEYS.items():
        if name in found and found.get(key) is None:
            found[key] = found.pop(name)
    prompt = whole(found.get("input_token_count"), "input_token_count")
    if prompt is not None:
        found["gen_ai.usage.input_tokens"] = prompt + (whole(found.get("tool_token_count"), "tool_token_count") or 0)
    elif span.name == "llm_call" and "gen_ai.usage.input_tokens" not in found:
        # Of a stream the event has the numbers, in another trace; a failure is told by both in one.
        return otel.read_as(span, "gemini_cli") if span.status_code == _STATUS_ERROR else None
    error = None
    if span.name.endswith("api_error"):
        error = text(found.get("error_type")) or text(found.get("status_code")) or "_OTHER"
    return Reading("gemini_cli", "generate_content", found, reasoning_apart=True, provider="gcp.gemini", error=error)
