"""Spans of nobody known: every key any dialect uses, as long as the span says which model and how many tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.keys import KEYS_OF, Fact
from ai_usage_exporter.normalize.reading import Reading, has_usage

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span

_MODELS = KEYS_OF[Fact.RESPONSE_MODEL] + tuple(key for key in KEYS_OF[Fact.REQUEST_MODEL] if key != "model")


def read(span: Span) -> Reading | None:
    """Return what a span says by the conventions, else by any known key."""
    reading = otel.read_as(span, "otel")
    if reading is not None:
        return reading
    attributes = span.attributes
    if "gen_ai.operation.name" in attributes or not has_usage(attributes):
        return None
    if not any(attributes.get(key) for key in _MODELS):
        return None
    return Reading("generic", "chat", attributes)
