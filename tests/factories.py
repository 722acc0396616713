"""Build spans, records and priced calls with every field set to something plausible; name what matters in the test."""

from __future__ import annotations

import hashlib
import itertools
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ai_usage.pricing import Cost, CostStatus, PriceRef
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.record import PricedCall, Span, UsageRecord

_numbers = itertools.count(1)

PRICE = PriceRef(
    source="genai-prices",
    version="2026.11.1",
    provider="openai",
    model="gpt-4o-mini",
    rates=(("input", "0.15"), ("output", "0.6")),
)


def make_span(**changes: Any) -> Span:
    """Return a decoded chat span of the current conventions, as an instrumented app sends it."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "parent_span_id": b"",
        "name": "chat gpt-4o-mini",
        "kind": 3,
        "start_ns": 1_795_000_000_000_000_000 + number,
        "end_ns": 1_795_000_001_250_000_000 + number,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.id": f"chatcmpl-{number}",
            "gen_ai.usage.input_tokens": 1_000,
            "gen_ai.usage.output_tokens": 200,
        },
        "resource": {"service.name": "xray_analyzer"},
        "scope_name": "ai_usage.openai",
        "scope_version": "0.1.0",
    }
    return Span(**(fields | changes))


def make_record(**changes: Any) -> UsageRecord:
    """Return the record of one chat call; its id follows from trace id, span id and start, as everywhere."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "parent_span_id": None,
        "created_at": datetime.now(UTC) - timedelta(minutes=1) + timedelta(microseconds=number),
        "duration_ms": 1_250,
        "service_name": "xray_analyzer",
        "service_action": "analyze",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "request_model": "gpt-4o-mini",
        "usage": TokenUsage(input_tokens=1_000, output_tokens=200, cache_read_tokens=100),
        "user": "radiology-7",
        "user_email": "radiology-7@example.com",
        "session_id": "session-1",
        "response_id": f"chatcmpl-{number}",
        "service_tier": "default",
    } | changes
    if "id" not in fields:
        fields["id"] = make_id(fields["trace_id"], fields["span_id"], fields["created_at"])
    return UsageRecord(**fields)


def make_call(*, amount_usd: Decimal | str | None = "0.00027", **changes: Any) -> PricedCall:
    """Return a record with its cost; ``amount_usd=None`` gives one without a price."""
    if amount_usd is None:
        return PricedCall(make_record(**changes), Cost(None, CostStatus.UNPRICED))
    return PricedCall(make_record(**changes), Cost(Decimal(amount_usd), CostStatus.PRICED, PRICE))


def make_id(trace_id: bytes, span_id: bytes, created_at: datetime) -> UUID:
    """Return a time-ordered id that is a pure function of its arguments."""
    start_us = int(created_at.timestamp() * 1_000_000)
    digest = hashlib.blake2b(trace_id + span_id + start_us.to_bytes(8, "big"), digest_size=10).digest()
    number = int.from_bytes((start_us // 1000).to_bytes(6, "big") + digest, "big")
    number = number & ~(0xF << 76) | (8 << 76)
    return UUID(int=number & ~(0x3 << 62) | (0x2 << 62))
