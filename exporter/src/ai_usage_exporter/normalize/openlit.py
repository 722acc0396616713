"""OpenLIT: OTel keys, but Anthropic's cache and Gemini's thoughts are left out, and missing counts are estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.keys import KEYS_OF, Fact
from ai_usage_exporter.normalize.providers import canonical_provider
from ai_usage_exporter.normalize.reading import ESTIMATED_TOKENS, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.normalize.reading import Reading
    from ai_usage_exporter.record import Span

# It writes 0 for every part it has no number for.
_ZERO_IS_NOTHING: Final = frozenset(KEYS_OF[Fact.CACHE_READ] + KEYS_OF[Fact.CACHE_WRITE] + KEYS_OF[Fact.REASONING])

_GEMINI: Final = frozenset({"gcp.gemini", "gcp.vertex_ai"})
_STATUS_ERROR: Final = 2
_SCOPE: Final = "openlit.instrumentation."


def read(span: Span) -> Reading | None:
    """Return what a span says, with parts that were not reported left out instead of 0."""
    if span.status_code == _STATUS_ERROR and semconv.OPERATION_NAME not in span.attributes:
        span = _named(span)
    reading = otel.read_as(span, "openlit")
    if reading is None:
        return None
    attributes = {
        key: value
        for key, value in reading.attributes.items()
        if not (key in _ZERO_IS_NOTHING and value == 0 and value is not False)
    }
    named = text(attributes.get(semconv.PROVIDER_NAME)) or text(attributes.get("gen_ai.system"))
    provider = canonical_provider(named, None, text(attributes.get(semconv.REQUEST_MODEL)))
    flags = reading.flags
    if reading.operation == "chat" and has_usage(attributes) and text(attributes.get(semconv.RESPONSE_ID)) is None:
        flags += (ESTIMATED_TOKENS,)
    return reading._replace(
        attributes=attributes,
        flags=flags,
        cache_apart=provider == "anthropic",
        reasoning_apart=provider in _GEMINI,
        output_may_lack=provider in _GEMINI,
    )


def _named(span: Span) -> Span:
    """Return a span that failed before it was given attributes, with what its name and scope tell."""
    operation, _, model = span.name.partition(" ")
    if operation not in otel.CALLS or not model or not span.scope_name.startswith(_SCOPE):
        return span
    told = {
        semconv.OPERATION_NAME: operation,
        semconv.REQUEST_MODEL: model,
        semconv.PROVIDER_NAME: span.scope_name.removeprefix(_SCOPE),
    }
    return span._replace(attributes={**told, **span.attributes})
