"""Which own price holds for a call, and that what is kept with a row is enough to compute its cost again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_usage.pricing import CostStatus, PriceRef, Rates, cost_of
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.book import OwnPrice, PriceBook, discounted
from ai_usage_exporter.storage.row import COLUMNS, to_row
from tests.factories import make_record

AT = datetime(2026, 11, 5, 12, tzinfo=UTC)
MILLION = TokenUsage(1_000_000, 0)


def own(model: str = "gpt-4o", provider: str = "openai", **fields: Any) -> OwnPrice:
    rates = {unit: Decimal(rate) for unit, rate in fields.pop("rates", {"input": "1", "output": "2"}).items()}
    if "discount_percent" in fields:
        rates = {}
    return OwnPrice(**{"provider": provider, "model": model, "origin": "contract", "rates": rates} | fields)


def dollars(book: PriceBook, model: str, usage: TokenUsage = MILLION, *, provider: str = "openai", **at: Any) -> Any:
    cost = book.cost_of(provider, model, usage, **{"at": AT} | at)
    return None if cost is None else cost.amount_usd


def test_own_price_wins_over_the_shipped_one() -> None:
    pricing = Pricing(PriceBook([own()]))
    ours = pricing.price(make_record(model="gpt-4o", created_at=AT, usage=MILLION)).cost
    assert (ours.amount_usd, ours.status) == (1, CostStatus.PRICED)
    assert ours.price == PriceRef("own", "contract", "openai", "gpt-4o", (("input", "1"), ("output", "2")))
    other = pricing.price(make_record(model="gpt-4o-mini", created_at=AT, usage=MILLION)).cost
    assert other == cost_of("openai", "gpt-4o-mini", MILLION, at=AT)


def test_first_layer_wins() -> None:
    book = PriceBook([own(rates={"input": "3"})], [own(), own("o3")])
    assert dollars(book, "gpt-4o") == 3
    assert dollars(book, "o3") == 1


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-2024-08-06", 1),  # itself
        ("GPT-4o-2024-08-06", 1),
        ("gpt-4o-2024-11-20", 2),  # filed under gpt-4o in the shipped data
        ("gpt-4o", 2),
        ("gpt-4o-mini", 3),  # gpt-4o*, the longer beginning
        ("gpt-5", 4),  # gpt-*
        ("o3", 5),  # *
    ],
)
def test_most_specific_name_wins(model: str, expected: int) -> None:
    names = ["gpt-4o-2024-08-06", "gpt-4o", "gpt-4o*", "gpt-*", "*"]
    book = PriceBook([own(name, rates={"input": str(number)}) for number, name in enumerate(names, 1)])
    assert dollars(book, model) == expected
    assert dollars(book, model, provider="anthropic") is None


@pytest.mark.parametrize(
    ("written", "on_the_row"),
    [("azure", "azure.ai.openai"), ("Bedrock", "aws.bedrock"), ("google", "gcp.gemini"), ("openrouter", "openrouter")],
)
def test_provider_may_be_written_in_any_usual_way(written: str, on_the_row: str) -> None:
    assert dollars(PriceBook([own("m", written)]), "m", provider=on_the_row) == 1


def test_price_holds_from_its_first_moment_to_just_before_its_last() -> None:
    start, end = datetime(2026, 11, 5, 10, 30, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 11, 6, tzinfo=UTC)
    book = PriceBook([own(rates={"input": "1"}, effective_to=start), own(effective_from=start, effective_to=end)])
    moment = timedelta(microseconds=1)
    for _ in range(2):  # the second time from the memo, where that may be used
        assert dollars(book, "gpt-4o", TokenUsage(0, 10**6), at=start) == 2
        assert dollars(book, "gpt-4o", TokenUsage(0, 10**6), at=start - moment) is None
        assert dollars(book, "gpt-4o", TokenUsage(0, 10**6), at=end - moment) == 2
        assert book.cost_of("openai", "gpt-4o", MILLION, at=end) is None


def test_service_tier_without_a_price_of_its_own_has_the_general_one() -> None:
    book = PriceBook([own(), own(service_tier="Batch", rates={"input": "0.5"})])
    assert dollars(book, "gpt-4o", service_tier="batch") == Decimal("0.5")
    assert dollars(book, "gpt-4o", service_tier="flex") == 1
    assert dollars(book, "gpt-4o", service_tier=None) == 1


def test_context_size_changes_the_rate_of_every_token() -> None:
    above = own(above_input_tokens=200_000, rates={"input": "6"})
    book = PriceBook([above, own(rates={"input": "3", "output": "15"})])
    assert dollars(book, "gpt-4o", TokenUsage(200_000, 1_000)) == Decimal("0.615")
    assert dollars(book, "gpt-4o", TokenUsage(200_001, 1_000)) == Decimal("1.215006")
    cost = book.cost_of("openai", "gpt-4o", TokenUsage(200_001, 0), at=AT)
    assert cost is not None
    assert cost.price is not None
    assert cost.price.tier == "over 200000 input tokens"


def test_price_for_large_calls_alone_leaves_small_ones_to_the_shipped_price() -> None:
    pricing = Pricing(PriceBook([own(above_input_tokens=1_000, rates={"input": "6", "output": "6"})]))
    small, large = (
        pricing.price(make_record(model="gpt-4o", created_at=AT, usage=TokenUsage(tokens, 0))).cost.price
        for tokens in (1_000, 1_001)
    )
    assert small is not None
    assert large is not None
    assert (small.source, large.source) == ("genai-prices", "own")


def test_discount_is_taken_off_every_rate_of_the_shipped_price() -> None:
    book = PriceBook([own("gpt-4o*", discount_percent=Decimal("12.5"))])
    usage = TokenUsage(10_000, 1_000, cache_read_tokens=4_000)
    shipped = cost_of("openai", "gpt-4o", usage, at=AT)
    cost = book.cost_of("openai", "gpt-4o", usage, at=AT)
    assert cost is not None
    assert cost.price is not None
    assert shipped.amount_usd is not None
    assert shipped.price is not None
    assert cost.amount_usd == shipped.amount_usd * Decimal("0.875")
    assert cost.price.version == f"contract, genai-prices {shipped.price.version}"
    assert (cost.price.model, cost.price.tier) == ("gpt-4o", "12.5 % off")


def test_discount_follows_the_shipped_price_of_the_service_tier() -> None:
    book = PriceBook([own(discount_percent=Decimal(10))])
    standard, batch = (cost_of("openai", "gpt-4o", MILLION, at=AT, service_tier=tier) for tier in (None, "batch"))
    assert standard.amount_usd is not None
    assert batch.amount_usd == standard.amount_usd / 2
    assert dollars(book, "gpt-4o", service_tier="batch") == batch.amount_usd * Decimal("0.9")


def test_discount_on_an_unknown_model_is_no_price() -> None:
    assert PriceBook([own("*", discount_percent=Decimal(10))]).cost_of("openai", "our-own", MILLION, at=AT) is None


def test_surcharge_is_a_negative_discount() -> None:
    assert discounted(Decimal("2.50"), Decimal(-10)) == Decimal("2.75")


def test_price_by_the_call_needs_no_tokens() -> None:
    book = PriceBook([own("dall-e", rates={"request": "40000"})])
    assert dollars(book, "dall-e", TokenUsage()) == Decimal("0.04")
    assert dollars(PriceBook([own()]), "gpt-4o", TokenUsage()) is None


def test_cache_and_audio_have_rates_of_their_own() -> None:
    rates = {
        "input": "3", "output": "15", "cache_read": "0.3", "cache_write": "3.75", "cache_write_1h": "6",
        "input_audio": "40", "output_audio": "80", "input_image": "5", "output_image": "30",
    }  # fmt: skip
    usage = TokenUsage(100, 50, 10, 30, 20, None, 7, 3, None, 5, 2)
    expected = (
        (100 - 10 - 30 - 7 - 5) * 3 + 10 * Decimal("0.3") + 10 * Decimal("3.75") + 20 * 6 + 7 * 40 + 5 * 5
        + (50 - 3 - 2) * 15 + 3 * 80 + 2 * 30
    )  # fmt: skip
    assert dollars(PriceBook([own(rates=rates)]), "gpt-4o", usage) == expected / 1_000_000


count = st.none() | st.integers(0, 3_000_000)
rate = st.decimals(0, 500, places=6)
units = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio"]
own_prices = st.one_of(
    st.none(),
    st.builds(lambda rates: own("*", rates={"input": "1", "output": "2"} | rates), st.dictionaries(
        st.sampled_from(units), rate.map(str), max_size=8
    )),
    st.builds(lambda percent: own("*", discount_percent=percent), st.decimals(-100, 100, places=4)),
)  # fmt: skip


@st.composite
def usages(draw: Any) -> TokenUsage:
    """Draw counts of which the subsets fit into their wholes."""
    cache_read, cache_write, audio, output_audio, reasoning = (draw(st.integers(0, 200_000)) for _ in range(5))
    return TokenUsage(
        cache_read + cache_write + audio + draw(st.integers(0, 300_000)),
        output_audio + reasoning + draw(st.integers(0, 300_000)),
        draw(st.sampled_from([cache_read, None])),
        cache_write,
        draw(st.none() | st.integers(0, cache_write)),
        reasoning,
        audio,
        output_audio,
    )


@given(
    price=own_prices,
    model=st.sampled_from(["gpt-4o", "gpt-5.5", "gpt-4o-audio-preview", "o3-pro", "gpt-4.1-nano", "nobody-knows"]),
    tier=st.sampled_from([None, "batch", "flex", "priority", "default"]),
    usage=usages(),
    day=st.integers(0, 700),
)
def test_cost_computed_again_from_the_row_and_its_kept_rates_is_the_cost_of_the_row(
    price: OwnPrice | None, model: str, tier: str | None, usage: TokenUsage, day: int
) -> None:
    pricing = Pricing(PriceBook([price] if price else []))
    record = make_record(model=model, usage=usage, service_tier=tier, created_at=AT - timedelta(days=day))
    call = pricing.price(record)
    row = dict(zip(COLUMNS, to_row(call, {}), strict=True))
    kept = call.cost.price
    assert kept is not None
    assert row["price_ref"] == kept.id
    rates = Rates(
        {unit: Decimal(text) for unit, text in kept.rates},
        source=kept.source, version=kept.version, provider=kept.provider, model=kept.model, tier=kept.tier,
    )  # fmt: skip
    assert rates.ref == kept
    again = TokenUsage(*(row[field] for field in TokenUsage._fields))
    if call.cost.status is CostStatus.ESTIMATED:
        again = TokenUsage(again.input_tokens, again.output_tokens)
    amount = rates.amount(again)
    lines = rates.lines(again)
    if amount is None:
        assert row["cost_status"] == CostStatus.UNPRICED
        assert row["cost_usd"] == 0
        return
    assert sum((line[3] for line in lines), Decimal(0)) == amount
    assert row["cost_usd"] == amount.quantize(Decimal("1e-12"), ROUND_HALF_UP)
    if kept.source == "own":
        assert row["cost_usd"] == amount  # own rates need no rounding, ever
