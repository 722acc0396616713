"""Semantic Kernel: OTel keys with older operation names, zero counts left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_usage_exporter.normalize import otel

if TYPE_CHECKING:
    from ai_usage_exporter.normalize.reading import Reading
    from ai_usage_exporter.record import Span


def read(span: Span) -> Reading | None:
    """Return what a span says."""
    return otel.read_as(span, "semantic_kernel")
