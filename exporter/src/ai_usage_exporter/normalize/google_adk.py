"""Google ADK: v2 counts on ``generate_content``; v1 on ``call_llm`` and again, without thoughts, on the call inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, EMITTER_MISCOUNTS, WRAPPER, Reading, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Attributes, Span

_THOUGHTS: Final = "gen_ai.usage.experimental.reasoning_tokens"
_OUTER: Final = "call_llm"
_STATUS_ERROR: Final = 2


def read(span: Span) -> Reading | None:
    """Return what a model span says."""
    attributes = span.attributes
    session = attributes.get("gcp.vertex.agent.session_id")
    if session is not None and semconv.CONVERSATION_ID not in attributes:
        attributes = {**attributes, semconv.CONVERSATION_ID: session}
    if span.name == _OUTER:
        return _read_outer(span, attributes)
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation in CALLS:
        lacks_thoughts = span.scope_version.startswith("1.") and has_usage(attributes)
        return Reading("google_adk", operation or "", attributes, (EMITTER_MISCOUNTS,) if lacks_thoughts else ())
    return Reading("google_adk", "invoke_agent", attributes, (AGENT_TOTAL,)) if has_usage(attributes) else None


def _read_outer(span: Span, attributes: Attributes) -> Reading | None:
    """Return what v1's own span around a call says.

    Early versions leave thoughts out: then it is the row only when nothing inside it was traced. Later ones report them
    here and nowhere else, so it is the better of two spans of one call, and read as a library of its own.
    """
    if not has_usage(attributes) and span.status_code != _STATUS_ERROR:
        return None
    if has_usage(attributes) and attributes.get(_THOUGHTS) is None:
        return Reading("google_adk", "generate_content", attributes, (WRAPPER, EMITTER_MISCOUNTS))
    found = {**attributes, semconv.USAGE_REASONING_TOKENS: attributes.get(_THOUGHTS)}
    scope = f"{span.scope_name}.{_OUTER}"
    return Reading("google_adk", "generate_content", found, reasoning_apart=True, scope=scope)
