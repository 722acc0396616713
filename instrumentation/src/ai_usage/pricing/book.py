"""The price of any call: shipped price data behind a memo, a flat estimate behind that."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Final

from ai_usage.pricing.cost import Cost, CostStatus
from ai_usage.pricing.rates import Rates
from ai_usage.tokens import TokenUsage

if TYPE_CHECKING:
    from ai_usage.pricing.rates import TieredRates

_log = logging.getLogger(__name__)

FLAT_USD_PER_MTOK: Final = Decimal("2.00")
"""What a token of a model without a price is estimated at."""
_FLAT = Rates(
    {"input": FLAT_USD_PER_MTOK, "output": FLAT_USD_PER_MTOK},
    source="flat-estimate",
    version="1",
    provider="",
    model="",
)
_UNMETERED: Final = Cost(None, CostStatus.UNMETERED)
_PRICED: Final = CostStatus.PRICED  # an enumeration's members are looked up slowly
_SECONDS_A_DAY: Final = 86_400
_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()

_Key = tuple[str, str, "str | None", int]
# (provider, model, service tier, UTC day) → rates, or None for a model without a price. Prices change on days, so
# the day in the key is what makes a memo of dated prices right.
_memo: dict[_Key, TieredRates | None] = {}
_MEMO_SIZE: Final = 4096


def cost_of(
    provider: str,
    model: str,
    usage: TokenUsage,
    *,
    at: datetime | None = None,
    service_tier: str | None = None,
) -> Cost:
    """Return what a call cost in US dollars, exact, with the price it came from.

    ``at`` is the start of the call (aware; default: now), which selects among dated prices; ``service_tier`` is the
    tier as served (batch, flex, priority, …). Never raises and never uses the network. A model without a price is
    estimated at ``FLAT_USD_PER_MTOK`` with status ``estimated``; a call that reported no tokens has no amount and
    status ``unmetered``; a subset larger than its whole has no amount and status ``unpriced``.
    """
    if usage[0] is None and usage[1] is None:
        return _UNMETERED
    if at is None:
        day = int(time()) // _SECONDS_A_DAY + _EPOCH_ORDINAL
    else:
        day = (at if at.tzinfo is UTC else at.astimezone(UTC)).toordinal()
    try:
        tiered = _memo[provider, model, service_tier, day]
    except KeyError:
        tiered = _find(provider, model, service_tier, day, at)
    if tiered is None:
        amount = _FLAT.amount(_plain(usage))
        return Cost(amount, CostStatus.ESTIMATED, _FLAT.ref)
    rates = tiered.of(usage)
    amount = rates.amount(usage)
    return Cost(amount, CostStatus.UNPRICED if amount is None else _PRICED, rates.ref)


def nearest_cost_of(
    provider: str, model: str, usage: TokenUsage, service_tier: str | None
) -> tuple[float | None, CostStatus]:
    """Return what ``cost_of`` a call made now has as amount, as a float, and as status."""
    if usage[0] is None and usage[1] is None:
        return None, CostStatus.UNMETERED
    day = int(time()) // _SECONDS_A_DAY + _EPOCH_ORDINAL
    try:
        tiered = _memo[provider, model, service_tier, day]
    except KeyError:
        tiered = _find(provider, model, service_tier, day, None)
    if tiered is None:
        rates, usage, status = _FLAT, _plain(usage), CostStatus.ESTIMATED
    else:
        rates, status = tiered.of(usage), _PRICED
    units = rates.units(usage)
    return (None, CostStatus.UNPRICED) if units is None else (units / rates.one, status)


def calculate_cost(provider: str, model: str, input_tokens: int, output_tokens: int) -> Decimal:
    """Return the cost of a call in US dollars at today's prices, exact.

    Counts include cached and reasoning tokens, 0 or more. A model without a price is estimated at $2.00 per million
    tokens; ``cost_of`` tells the two apart. Raises ``ValueError`` for a negative count.
    """
    for name, count in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        if count < 0:
            raise ValueError(f"{name} is {count}: a token count must be 0 or more")
    amount = cost_of(provider, model, TokenUsage(input_tokens, output_tokens)).amount_usd
    # A price that has no rate for one side of the call still leaves a flat estimate to give.
    return amount if amount is not None else _flat(TokenUsage(input_tokens, output_tokens))


def forget_prices() -> None:
    """Look every price up again, after the price data was replaced."""
    _memo.clear()


def _find(provider: str, model: str, service_tier: str | None, day: int, at: datetime | None) -> TieredRates | None:
    from ai_usage.pricing.catalog import find_rates

    try:
        tiered, changes_within_a_day = find_rates(provider, model, at or datetime.now(UTC), service_tier)
    except Exception:
        # Price data is maintained by others; a flaw in it must cost a price, never a call or a row.
        _log.exception("price look-up failed for provider %r, model %r", provider, model)
        tiered, changes_within_a_day = None, False
    if not changes_within_a_day:
        if len(_memo) >= _MEMO_SIZE:
            _memo.clear()
        _memo[provider, model, service_tier, day] = tiered
    return tiered


def _plain(usage: TokenUsage) -> TokenUsage:
    return TokenUsage(usage.input_tokens, usage.output_tokens)


def _flat(usage: TokenUsage) -> Decimal:
    amount = _FLAT.amount(usage)
    if amount is None:  # pragma: no cover - the flat rates cover both sides
        raise AssertionError(usage)
    return amount
