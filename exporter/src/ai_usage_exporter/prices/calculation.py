"""How a row's cost was computed, in lines anybody can check by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage.pricing import CostStatus, Rates
from ai_usage.tokens import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage.pricing import PriceRef

_WORDS: Final = {
    CostStatus.PRICED: "computed from the price of the model that answered",
    CostStatus.REPORTED: "taken as it was reported with the span: there was no price for this model",
    CostStatus.ESTIMATED: "estimated: there was no price for this model, a flat rate stands in",
    CostStatus.UNPRICED: "unknown: the token counts contradict each other or have no rate; counted as 0",
    CostStatus.UNMETERED: "unknown: the call reported no usage; counted as 0",
    CostStatus.FREE: "nothing: answered from a gateway's cache",
}


class Line(NamedTuple):
    """Hold one step: ``quantity`` units at ``rate_usd_per_mtok`` dollars per million are ``amount_usd`` dollars."""

    unit: str
    quantity: int
    rate_usd_per_mtok: Decimal
    amount_usd: Decimal


class Calculation(NamedTuple):
    """Hold everything a cost was made of; the amounts of all lines and ``rounding_usd`` add up to ``cost_usd``."""

    cost_usd: Decimal
    status: CostStatus
    words: str
    price: PriceRef | None
    lines: tuple[Line, ...] = ()
    rounding_usd: Decimal = Decimal(0)
    """What rounding to 12 decimals changed: not 0 only for shipped rates with more than 6 decimals."""
    reported_cost_usd: Decimal | None = None


def explain(row: Mapping[str, Any]) -> Calculation:
    """Return the calculation behind a row of ``ai_usage_logs`` joined with its price (``price_…`` columns)."""
    cost: Decimal = row["cost_usd"]
    status = CostStatus(row["cost_status"])
    bare = Calculation(cost, status, _WORDS[status], None, reported_cost_usd=row["reported_cost_usd"])
    if row["price_source"] is None:
        return bare
    kept: dict[str, str] = json.loads(row["price_rates"])
    rates = Rates(
        {unit: Decimal(rate) for unit, rate in kept.items()},
        source=row["price_source"],
        version=row["price_version"],
        provider=row["price_provider"],
        model=row["price_model"],
        tier=row["price_tier"],
    )
    usage = TokenUsage(*(row[field] for field in TokenUsage._fields))
    if status is CostStatus.ESTIMATED:
        usage = TokenUsage(usage.input_tokens, usage.output_tokens)
    lines = tuple(Line(*line) for line in rates.lines(usage))
    summed = sum((line.amount_usd for line in lines), Decimal(0))
    return bare._replace(price=rates.ref, lines=lines, rounding_usd=cost - summed if lines else Decimal(0))


def dollars(amount: Decimal) -> str:
    """Return an amount with 12 decimals, as rows hold it, or with as many more as it has: never rounded."""
    whole, _, decimals = format(amount, "f").partition(".")
    return f"{whole}.{decimals.ljust(12, '0')}"
