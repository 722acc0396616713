"""Every service tier, cache lifetime, modality and context size that the price data knows is billed at its rate."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices

from ai_usage.pricing import CostStatus, cost_of
from ai_usage.tokens import TokenUsage

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIERS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}


def _models() -> list[tuple[str, Any]]:
    return [(vendor.id, model) for vendor in get_snapshot().providers for model in vendor.models]


def _prices(model: Any, tier: str | None = None) -> dict[str, Any]:
    found = model.get_prices(AT, TIERS[tier] if tier else {})
    return {key: value for key, value in found.__dict__.items() if value is not None}


def _with_own_price(tier: str) -> list[tuple[str, Any]]:
    """Return the models whose price of a tier differs from the standard one and is for tokens."""
    return [
        (vendor, model)
        for vendor, model in _models()
        if _prices(model, tier) != _prices(model) and "input_mtok" in _prices(model, tier)
    ]


def _with_unit(key: str) -> list[tuple[str, str]]:
    return [(vendor, model.id) for vendor, model in _models() if {key, "input_mtok"} <= _prices(model).keys()]


def _rate(provider: str, model: str, key: str, *, above: bool = False) -> Decimal:
    (found,) = [info for vendor, info in _models() if (vendor, info.id) == (provider, model)]
    rate = _prices(found)[key]
    if isinstance(rate, TieredPrices):
        return rate.tiers[-1].price if above else rate.base
    assert isinstance(rate, Decimal)
    return rate


@pytest.mark.parametrize("tier", TIERS)
def test_service_tiers_are_billed_at_their_own_rates(tier: str) -> None:
    vendors = {vendor.id: vendor for vendor in get_snapshot().providers}
    models = _with_own_price(tier)
    assert len(models) >= 4
    for provider, info in models:
        model, output = info.id, 10 if "output_mtok" in _prices(info, tier) else 0
        usage = TokenUsage(1_000, output, 200)
        cost = cost_of(provider, model, usage, at=AT, service_tier=tier.upper())
        theirs = info.calc_price(
            Usage(input_tokens=1_000, output_tokens=output, cache_read_tokens=200),
            vendors[provider],
            genai_request_timestamp=AT,
            auto_update_timestamp=None,
            price_context=TIERS[tier],
        )
        assert cost.status is CostStatus.PRICED, (provider, model)
        assert cost.amount_usd == theirs.total_price, (provider, model)
        assert cost.price is not None
        assert cost.price.tier.startswith(tier), (provider, model)


@pytest.mark.parametrize(
    ("key", "unit", "usage"),
    [
        ("cache_read_mtok", "cache_read", TokenUsage(7, 0, 7)),
        ("cache_write_mtok", "cache_write", TokenUsage(7, 0, None, 7)),
        ("cache_write_1h_mtok", "cache_write_1h", TokenUsage(7, 0, None, 7, 7)),
        ("input_audio_mtok", "input_audio", TokenUsage(7, 0, input_audio_tokens=7)),
        ("output_audio_mtok", "output_audio", TokenUsage(0, 7, output_audio_tokens=7)),
        ("input_image_mtok", "input_image", TokenUsage(7, 0, input_image_tokens=7)),
        ("output_image_mtok", "output_image", TokenUsage(0, 7, output_image_tokens=7)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kinds_of_tokens_are_billed_at_their_own_rates(key: str, unit: str, usage: TokenUsage) -> None:
    checked = 0
    for provider, model in _with_unit(key):
        cost = cost_of(provider, model, usage, at=AT)
        if cost.status is not CostStatus.PRICED or cost.price is None or cost.price.model != model:
            continue  # found under another model's name: that one's rates are checked in its own turn
        amount = cost.amount_usd
        per_request = Decimal(dict(cost.price.rates).get("request", 0))
        assert amount == (7 * _rate(provider, model, key) + per_request) / 1_000_000, (provider, model)
        assert unit in dict(cost.price.rates)
        checked += 1
    assert checked


def test_prompts_above_a_size_have_the_rate_of_that_size() -> None:
    models = [
        (vendor, info.id, _prices(info)["input_mtok"].tiers[-1].start)
        for vendor, info in _models()
        if isinstance(_prices(info).get("input_mtok"), TieredPrices)
    ]
    checked = 0
    for provider, model, start in models:
        at_most, more = (cost_of(provider, model, TokenUsage(start + extra, 0), at=AT) for extra in (0, 1))
        if more.price is None or more.price.model != model:
            continue
        exact = (start + 1) * _rate(provider, model, "input_mtok", above=True) / 1_000_000
        assert more.amount_usd == exact, (provider, model)
        assert more.price.tier.endswith(f"over {start} input tokens")
        assert at_most.price is not None
        assert not at_most.price.tier.endswith(f"over {start} input tokens")
        checked += 1
    assert checked
