"""Claude Code: bare keys on events and ``claude_code.llm_request`` spans; input leaves out the cache, cost is its own.

Its newer spans have the conventions' keys too, and in these the input includes the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.reading import Reading
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue, Span

SPAN: Final = "claude_code.llm_request"
NAMES: Final = frozenset({SPAN, "claude_code.api_request", "claude_code.api_error"})
_KEYS: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_creation_1h_tokens": semconv.USAGE_CACHE_WRITE_1H_TOKENS,
    "request_id": "gen_ai.response.id",
    "query_source": "ai_usage.metadata.query_source",
    "organization.id": "ai_usage.metadata.organization_id",
    "speed": "ai_usage.service_tier",
}


def read(span: Span) -> Reading | None:
    """Return what a request says."""
    if span.name not in NAMES:
        return otel.read_as(span, "claude_code")
    found: dict[str, AttributeValue] = dict(span.attributes)
    cache_apart = found.get(semconv.USAGE_INPUT_TOKENS) is None
    for name, key in _KEYS.items():
        if name in found and found.get(key) is None:
            found[key] = found.pop(name)
    if found.get("ai_usage.service_tier") == "normal":
        del found["ai_usage.service_tier"]
    if found.get("user.id") is None:
        found["user.id"] = found.get("user.account_uuid")
    error = None
    if span.name.endswith("api_error") or found.get("success") in (False, "false"):
        error = text(found.get("status_code")) or text(found.get("error")) or "_OTHER"
    return Reading("claude_code", "chat", found, cache_apart=cache_apart, provider="anthropic", error=error)
