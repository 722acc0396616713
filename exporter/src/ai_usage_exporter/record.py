"""What travels through the receiver: a decoded span comes in, a usage record goes out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ai_usage.tokens import NOT_REPORTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from ai_usage.pricing import Cost
    from ai_usage.tokens import TokenUsage

AttributeValue: TypeAlias = (
    "str | bool | int | float | bytes | Sequence[AttributeValue] | Mapping[str, AttributeValue] | None"
)
Attributes: TypeAlias = Mapping[str, AttributeValue]


class SpanEvent(NamedTuple):
    """Hold one event of a span."""

    name: str
    attributes: Attributes
    time_ns: int = 0


_NO_ATTRIBUTES: Final[Attributes] = MappingProxyType({})


class Span(NamedTuple):
    """Hold one span as it came over the wire, with the resource and scope it came under.

    Ids are raw bytes (16 and 8); times are Unix nanoseconds; ``kind`` and ``status_code`` are the OTLP enum
    integers. Owned by the receiver; normalisers read it and never change it.
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    resource: Attributes = _NO_ATTRIBUTES
    scope_name: str = ""
    scope_version: str = ""
    status_code: int = 0
    status_message: str = ""
    events: Sequence[SpanEvent] = ()


class UsageRecord(NamedTuple):
    """Hold one provider call as it will be stored, before its cost is known.

    Produced by ``normalize``; pure data, ready for ``storage.row``.
    """

    id: UUID
    """Derived from (trace id, span id, start), so a replay has the same id."""
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None
    created_at: datetime
    """Start of the call, UTC."""
    duration_ms: int | None
    """``None`` when the clock ran backwards."""
    service_name: str
    service_action: str | None
    operation: str
    """gen_ai.operation.name or its translation: chat, embeddings, …"""
    provider: str
    """Canonical name, e.g. openai, azure.ai.openai, gcp.gemini."""
    model: str
    """The model that answered (response model, else request model, else 'unknown'): what prices follow."""
    request_model: str | None
    usage: TokenUsage = NOT_REPORTED
    reported_cost_usd: Decimal | None = None
    """A cost that came with the span, kept beside ours."""
    success: bool = True
    error_code: str | None = None
    error_message: str | None = None
    user: str | None = None
    """The user as sent; the writer resolves UUIDs of known users to ``user_id``, others stay text (``user_ref``)."""
    user_email: str | None = None
    session_id: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    """As served, lower case; changes the price."""
    cache_hit: bool = False
    """Answered by a gateway's own cache: no charge."""
    emitter: str = "otel"
    """The dialect that was read, i.e. the module name in ``normalize``."""
    usage_flags: tuple[str, ...] = ()
    """What could not be repaired in the numbers, e.g. 'partial', 'estimated_tokens'."""
    metadata: Mapping[str, AttributeValue] | None = None
    scope: str = ""
    """The library that made the span, by its instrumentation scope; the emitter where there is none."""


class PricedCall(NamedTuple):
    """Pair a usage record with its cost: what the writer stores."""

    record: UsageRecord
    cost: Cost
