"""Rates as integers: explained line by line, refused when they make no sense."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_usage.pricing import Rates
from ai_usage.tokens import TokenUsage


def make_rates(**rates: str) -> Rates:
    return Rates(
        {unit: Decimal(rate) for unit, rate in rates.items()}, source="own", version="1", provider="p", model="m"
    )


def test_the_lines_of_a_calculation_add_up_to_the_amount() -> None:
    rates = make_rates(input="3", output="15", cache_read="0.3", request="5000")
    usage = TokenUsage(1000, 10, cache_read_tokens=400)
    assert rates.lines(usage) == [
        ("input", 600, Decimal(3), Decimal("0.0018")),
        ("output", 10, Decimal(15), Decimal("0.00015")),
        ("cache_read", 400, Decimal("0.3"), Decimal("0.00012")),
        ("request", 1, Decimal(5000), Decimal("0.005")),
    ]
    assert rates.amount(usage) == sum(dollars for *_, dollars in rates.lines(usage))


@given(
    st.decimals("0", "1000", places=6),
    st.decimals("0", "1000", places=3),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_amounts_are_exact_for_any_rate_and_count(
    rate_in: Decimal, rate_out: Decimal, count_in: int, count_out: int
) -> None:
    rates = make_rates(input=str(rate_in), output=str(rate_out))
    exact = int(rate_in * 10**6) * count_in + int(rate_out * 10**6) * count_out
    amount = rates.amount(TokenUsage(count_in, count_out))
    assert amount is not None
    assert amount.as_integer_ratio() == (Decimal(exact).scaleb(-12)).as_integer_ratio()


@given(
    st.decimals("0", "1000", places=6),
    st.decimals("0", "1000", places=3),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
)
def test_units_by_one_are_the_float_nearest_to_the_amount(
    rate_in: Decimal, rate_out: Decimal, count_in: int, count_out: int
) -> None:
    rates = make_rates(input=str(rate_in), output=str(rate_out))
    usage = TokenUsage(count_in, count_out)
    units, amount = rates.units(usage), rates.amount(usage)
    assert units is not None
    assert amount is not None
    assert units / rates.one == float(amount)


def test_audio_that_is_also_cached_is_billed_once() -> None:
    rates = make_rates(input="1", cache_read="0.5", input_audio="10", cache_read_audio="2")
    usage = TokenUsage(100, 0, cache_read_tokens=40, input_audio_tokens=30, cache_read_audio_tokens=10)
    # 10 cached audio, 30 other cached, 20 other audio, and the 40 that are neither.
    assert rates.amount(usage) == (Decimal(10) * 2 + 30 * Decimal("0.5") + 20 * 10 + 40) / 1_000_000


def test_tokens_without_a_rate_leave_no_amount_instead_of_a_wrong_one() -> None:
    assert make_rates(input="1").amount(TokenUsage(10, 1)) is None
    assert make_rates(input="1").amount(TokenUsage(10, 0)) == Decimal("0.00001")


@pytest.mark.parametrize(("unit", "rate"), [("input", "-1"), ("input", "NaN"), ("inputs", "1")])
def test_impossible_rates_are_refused_by_name(unit: str, rate: str) -> None:
    with pytest.raises(ValueError, match=unit):
        make_rates(**{unit: rate})


def test_equal_prices_have_equal_ids_and_any_difference_another() -> None:
    assert make_rates(input="1.0").ref.id == make_rates(input="1").ref.id
    assert make_rates(input="1").ref.id != make_rates(input="2").ref.id
    assert -(2**63) <= make_rates(input="1").ref.id < 2**63
