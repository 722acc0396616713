"""What a call costs: reference prices, exactness, and what is said when there is no price."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from ai_usage.pricing import CostStatus, calculate_cost, cost_of
from ai_usage.tokens import TokenUsage

MTOK = 1_000_000


@pytest.mark.parametrize(
    ("provider", "model", "input_usd", "output_usd"),
    [
        ("anthropic", "claude-3-5-sonnet", "3.00", "15.00"),
        ("anthropic", "claude-3-sonnet", "3.00", "15.00"),
        ("anthropic", "claude-3-haiku", "0.25", "1.25"),
        ("google", "gemini-2.0-flash", "0.10", "0.40"),
        ("gcp.gemini", "gemini-1.5-flash", "0.075", "0.30"),
        ("gcp.gemini", "gemini-1.5-pro", "1.25", "5.00"),
        ("openai", "gpt-4o", "2.50", "10.00"),
        ("openai", "gpt-4o-mini", "0.15", "0.60"),
    ],
)
def test_reference_prices_per_million_tokens_are_reproduced(
    provider: str, model: str, input_usd: str, output_usd: str
) -> None:
    # A hundredth of a million each: prompts small enough for the first price tier.
    assert calculate_cost(provider, model, MTOK // 100, 0) * 100 == Decimal(input_usd)
    assert calculate_cost(provider, model, 0, MTOK // 100) * 100 == Decimal(output_usd)


@pytest.mark.parametrize(
    ("model", "priced_as"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o-20240806", "gpt-4o"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("GPT-4o", "gpt-4o"),
    ],
)
def test_a_model_is_priced_as_itself_and_never_as_a_shorter_name(model: str, priced_as: str) -> None:
    price = cost_of("openai", model, TokenUsage(1, 1)).price
    assert price is not None
    assert (price.provider, price.model) == ("openai", priced_as)


def test_every_model_id_of_the_price_data_finds_its_own_price() -> None:
    from genai_prices.data_snapshot import get_snapshot

    wrong = []
    for provider in get_snapshot().providers:
        for info in provider.models:
            price = cost_of(provider.id, info.id, TokenUsage(1, 0)).price
            if price is not None and price.source == "genai-prices" and price.model != info.id:
                wrong.append((provider.id, info.id, price.model))
    assert wrong == []


@pytest.mark.parametrize("model", ["gpt-4o-miniature", "claude-99", "", "💸"])
def test_a_model_without_a_price_is_estimated_at_two_dollars_a_million_and_says_so(model: str) -> None:
    cost = cost_of("openai", model, TokenUsage(300_000, 200_000, cache_read_tokens=1000))
    assert cost.amount_usd == Decimal("1.00")
    assert cost.status is CostStatus.ESTIMATED
    assert cost.price is not None
    assert cost.price.source == "flat-estimate"


def test_a_self_hosted_model_never_borrows_a_vendors_price() -> None:
    assert cost_of("vllm", "llama-3.3-70b-versatile", TokenUsage(1, 1)).status is CostStatus.ESTIMATED


def test_unreported_usage_has_no_amount_which_is_not_zero() -> None:
    assert cost_of("openai", "gpt-4o", TokenUsage()) == (None, CostStatus.UNMETERED, None)
    assert cost_of("openai", "gpt-4o", TokenUsage(0, 0)).amount_usd == 0


def test_cached_tokens_are_billed_once_at_their_own_rate() -> None:
    usage = TokenUsage(1210, 30, cache_read_tokens=1000, cache_write_tokens=200, cache_write_1h_tokens=50)
    cost = cost_of("anthropic", "claude-3-5-sonnet", usage)
    by_hand = 10 * 3 + 1000 * Decimal("0.3") + 150 * Decimal("3.75") + 50 * 6 + 30 * 15
    assert cost.amount_usd == by_hand / MTOK


def test_reasoning_tokens_are_part_of_the_output_and_not_added_to_it() -> None:
    plain = cost_of("openai", "o3", TokenUsage(100, 50))
    assert cost_of("openai", "o3", TokenUsage(100, 50, reasoning_tokens=20)) == plain


def test_more_cached_tokens_than_input_cannot_be_priced() -> None:
    cost = cost_of("anthropic", "claude-3-5-sonnet", TokenUsage(10, 30, cache_read_tokens=1000))
    assert (cost.amount_usd, cost.status) == (None, CostStatus.UNPRICED)


def test_the_size_of_the_prompt_selects_the_price_of_every_token() -> None:
    small = cost_of("google", "gemini-1.5-pro", TokenUsage(128_000, 1))
    large = cost_of("google", "gemini-1.5-pro", TokenUsage(128_001, 1))
    assert small.price is not None
    assert large.price is not None
    assert small.price.tier == ""
    assert large.price.tier == "over 128000 input tokens"
    assert large.amount_usd == (128_001 * Decimal("2.5") + 10) / MTOK


def test_the_date_of_the_call_selects_the_price() -> None:
    usage = TokenUsage(MTOK, MTOK)
    assert cost_of("openai", "o3", usage, at=datetime(2025, 5, 1, tzinfo=UTC)).amount_usd == 50
    assert cost_of("openai", "o3", usage, at=datetime(2026, 11, 1, tzinfo=UTC)).amount_usd == 10


def test_the_service_tier_as_served_selects_the_price() -> None:
    standard = cost_of("openai", "gpt-5", TokenUsage(1000, 10))
    batch = cost_of("openai", "gpt-5", TokenUsage(1000, 10), service_tier="batch")
    assert standard.amount_usd is not None
    assert batch.amount_usd == standard.amount_usd / 2
    assert batch.price is not None
    assert batch.price.tier == "batch"
    assert batch.price.id != standard.price.id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("provider", "priced_by"),
    [
        ("azure.ai.openai", "azure"),
        ("gcp.vertex_ai", "google"),
        ("gcp.gen_ai", "google"),
        ("x_ai", "x-ai"),
        ("aws.bedrock", "aws"),
        ("mistral_ai", "mistral"),
        ("moonshot_ai", "moonshotai"),
    ],
)
def test_the_conventions_provider_names_find_their_price_list(provider: str, priced_by: str) -> None:
    from genai_prices.data_snapshot import get_snapshot

    models = next(p.models for p in get_snapshot().providers if p.id == priced_by)
    offered = next(m.id for m in models if cost_of(priced_by, m.id, TokenUsage(1, 0)).status is CostStatus.PRICED)
    price = cost_of(provider, offered, TokenUsage(1, 0)).price
    assert price is not None
    assert price.provider == priced_by


def test_a_low_decimal_precision_in_the_app_does_not_change_what_a_call_costs() -> None:
    with localcontext() as context:
        context.prec = 2
        assert cost_of("openai", "gpt-4o-mini", TokenUsage(123_457, 0)).amount_usd == Decimal("0.01851855")


def test_a_negative_count_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="output_tokens is -1"):
        calculate_cost("openai", "gpt-4o", 1, -1)


@given(
    model=st.sampled_from(["gpt-4o", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "claude-3-haiku"]),
    plain=st.integers(0, 400_000),
    cached=st.integers(0, 400_000),
    written=st.integers(0, 50_000),
    output=st.integers(0, 100_000),
)
def test_costs_equal_the_price_librarys_own_calculation(
    model: str, plain: int, cached: int, written: int, output: int
) -> None:
    provider = {"gpt": "openai", "cla": "anthropic", "gem": "google"}[model[:3]]
    total = plain + cached + written
    at = datetime(2026, 11, 1, tzinfo=UTC)
    usage = TokenUsage(total, output, cache_read_tokens=cached, cache_write_tokens=written)
    theirs = calc_price(
        Usage(input_tokens=total, output_tokens=output, cache_read_tokens=cached, cache_write_tokens=written),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
    )
    assert cost_of(provider, model, usage, at=at).amount_usd == theirs.total_price


def test_importing_the_package_loads_no_price_data_and_no_provider_sdk() -> None:
    code = "import ai_usage, ai_usage.pricing, sys; print(*[m for m in sys.modules if m.partition('.')[0] in %r])"
    heavy = ("genai_prices", "openai", "anthropic", "google", "litellm", "pydantic", "httpx", "httpx2")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
