"""Anthropic's own spans: the SDK's native tracing (2.x) and the server-side export of the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage_exporter.normalize import otel
from ai_usage_exporter.normalize.reading import COMPACTION_ADDED, GATEWAY
from ai_usage_exporter.normalize.values import whole

if TYPE_CHECKING:
    from ai_usage_exporter.normalize.reading import Reading
    from ai_usage_exporter.record import Span

_PLATFORM: Final = "com.anthropic.claude-platform"
_COMPACTION: Final = "anthropic.usage.compaction.{}_tokens"


def read(span: Span) -> Reading | None:
    """Return what a native span says; the platform's view of a call is a second one of the client's."""
    if span.scope_name.startswith(_PLATFORM) or span.resource.get("service.name") == "claude-platform":
        return otel.read_as(span, "anthropic_platform", flags=(GATEWAY,))
    reading = otel.read_as(span, "anthropic_sdk")
    return reading if reading is None else _with_compaction(reading)


def _with_compaction(reading: Reading) -> Reading:
    """Return the reading with what summing up a long conversation cost: billed with the call, counted beside it."""
    found = dict(reading.attributes)
    for side in ("input", "output"):
        beside, counted = _COMPACTION.format(side), f"gen_ai.usage.{side}_tokens"
        if extra := whole(found.get(beside), beside):
            found[counted] = (whole(found.get(counted), counted) or 0) + extra
    if found == reading.attributes:
        return reading
    return reading._replace(attributes=found, flags=(*reading.flags, COMPACTION_ADDED))
