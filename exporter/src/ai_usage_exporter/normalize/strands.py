"""Strands Agents: counts on ``chat``, running totals on ``invoke_agent`` and event-loop spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_usage import semconv
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span


def read(span: Span) -> Reading | None:
    """Return what a chat span says, or the running total of the agent around it."""
    attributes = span.attributes
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation == "chat" or span.name in {"chat", "Model invoke"}:
        return Reading("strands", "chat", attributes)
    return Reading("strands", "invoke_agent", attributes, (AGENT_TOTAL,)) if has_usage(attributes) else None
