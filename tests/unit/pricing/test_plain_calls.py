"""The short way taken for nearly every call gives what the long way gives."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ai_usage.pricing.rates import Rates
from ai_usage.tokens import TokenUsage

counts = st.none() | st.integers(0, 5_000_000)
prices = st.decimals(min_value=0, max_value=200, places=6)
kept = st.fixed_dictionaries({}, optional={"input": prices, "output": prices, "cache_read": prices, "request": prices})


@given(rates=kept, input_tokens=counts, output_tokens=counts, cache_read=counts)
def test_short_and_long_way_agree(
    rates: dict[str, Decimal], input_tokens: int | None, output_tokens: int | None, cache_read: int | None
) -> None:
    made = Rates(rates, source="test", version="1", provider="p", model="m")
    usage = TokenUsage(input_tokens, output_tokens, cache_read)
    amount = made.amount(usage)
    units = made._split(usage)
    assert amount == (None if units is None else Decimal(units).scaleb(made._exponent))
    if amount is not None:
        assert sum((line[3] for line in made.lines(usage)), Decimal(0)) == amount
