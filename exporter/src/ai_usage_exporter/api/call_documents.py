"""Rows of ``ai_usage_logs`` as documents, with the calculation of their cost."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai_usage.pricing.rates import Rates
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.api.figures import exact, rounded
from ai_usage_exporter.api.schemas import Call, CallDetail, CostLine, PriceUsed, ShadowSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def call_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``schemas.Call``."""
    user_id = row["user_id"]
    return {
        "id": str(row["id"]),
        "created_at": row["created_at"],
        "user": str(user_id) if user_id is not None else row["user_ref"],
        "user_email": row["user_email"],
        "service": row["service_name"],
        "action": row["service_action"],
        "provider": row["provider"],
        "model": row["model"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "total_tokens": row["total_tokens"],
        "cache_read_tokens": row["cache_read_tokens"],
        "reasoning_tokens": row["reasoning_tokens"],
        "cost": rounded(row["cost_usd"], 6),
        "cost_usd": exact(row["cost_usd"]),
        "cost_status": row["cost_status"],
        "duration_ms": row["duration_ms"],
        "success": row["success"],
        "error_code": row["error_code"],
        "trace_id": _hex(row["trace_id"]),
    }


def call_document(row: Mapping[str, Any]) -> Call:
    """Return a row of a list."""
    return Call(**call_fields(row))


def call_detail(row: Mapping[str, Any], shadows: Sequence[Any]) -> CallDetail:
    """Return a row with everything known about it."""
    price = _price_of(row)
    reported = row["reported_cost_usd"]
    return CallDetail(
        **call_fields(row),
        user_id=None if row["user_id"] is None else str(row["user_id"]),
        user_ref=row["user_ref"],
        request_model=row["request_model"],
        operation=row["operation"],
        cache_write_tokens=row["cache_write_tokens"],
        cache_write_1h_tokens=row["cache_write_1h_tokens"],
        input_audio_tokens=row["input_audio_tokens"],
        output_audio_tokens=row["output_audio_tokens"],
        cache_read_audio_tokens=row["cache_read_audio_tokens"],
        input_image_tokens=row["input_image_tokens"],
        output_image_tokens=row["output_image_tokens"],
        reported_cost_usd=None if reported is None else exact(reported),
        error_message=row["error_message"],
        metadata=_metadata(row["request_metadata"]),
        service_tier=row["service_tier"],
        session_id=row["session_id"],
        provider_response_id=row["provider_response_id"],
        span_id=_hex(row["span_id"]),
        parent_span_id=_hex(row["parent_span_id"]),
        emitter=row["emitter"],
        usage_flags=list(row["usage_flags"] or ()),
        ingested_at=row["ingested_at"],
        price=price,
        calculation=_calculation(row, price) if price is not None else [],
        shadows=[_shadow(shadow) for shadow in shadows],
    )


def _price_of(row: Mapping[str, Any]) -> PriceUsed | None:
    if row["price_source"] is None:
        return None
    return PriceUsed(
        source=row["price_source"],
        version=row["price_version"],
        provider=row["price_provider"],
        model=row["price_model"],
        tier=row["price_tier"],
        rates_usd_per_mtok=json.loads(row["price_rates"]),
    )


def _calculation(row: Mapping[str, Any], price: PriceUsed) -> list[CostLine]:
    rates = Rates(
        {unit: Decimal(rate) for unit, rate in price.rates_usd_per_mtok.items()},
        source=price.source,
        version=price.version,
        provider=price.provider,
        model=price.model,
        tier=price.tier,
    )
    usage = TokenUsage(**{field: row[field] for field in TokenUsage._fields})
    return [
        CostLine(unit=unit, quantity=quantity, rate_usd_per_mtok=format(rate, "f"), amount_usd=format(amount, "f"))
        for unit, quantity, rate, amount in rates.lines(usage)
    ]


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = json.loads(text)
    return value if isinstance(value, dict) else {"value": value}


def _shadow(text: str) -> ShadowSpan:
    details = json.loads(text)
    return ShadowSpan(
        trace_id=_without_prefix(details.pop("trace_id", None)),
        span_id=_without_prefix(details.pop("span_id", None)),
        reason=str(details.pop("reason", "")),
        details=details,
    )


def _without_prefix(text: str | None) -> str | None:
    return None if text is None else text.removeprefix("\\x")


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
