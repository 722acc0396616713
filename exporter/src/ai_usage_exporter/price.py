"""Put a cost on a record: which of own, shipped and reported prices counts, and what nothing known means."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ai_usage.pricing import Cost, CostStatus, cost_of
from ai_usage_exporter.prices.book import NO_PRICES
from ai_usage_exporter.record import PricedCall

if TYPE_CHECKING:
    from ai_usage_exporter.prices.book import PriceBook
    from ai_usage_exporter.record import UsageRecord

_NOTHING: Final = Decimal(0)
_PRICED: Final = CostStatus.PRICED  # an enumeration's members are looked up slowly


class Pricing:
    """Price records with the own prices of ``book``, which may be replaced by a newer one at any time."""

    __slots__ = ("book",)

    def __init__(self, book: PriceBook = NO_PRICES) -> None:
        self.book = book

    def price(self, record: UsageRecord) -> PricedCall:
        """Return the record with its cost.

        In this order: an answer from a cache is free; an own price counts; else a shipped price of the model that
        answered; else a cost reported on the span, unless it is 0 beside tokens (unknown model, error and free tier
        all look like that); else the flat estimate. What was reported stays on the row either way.
        """
        if record.cache_hit:
            return PricedCall(record, Cost(_NOTHING, CostStatus.FREE))
        computed = None
        if self.book.prices:
            computed = self.book.cost_of(
                record.provider, record.model, record.usage, at=record.created_at, service_tier=record.service_tier
            )
        if computed is None:
            computed = cost_of(
                record.provider, record.model, record.usage, at=record.created_at, service_tier=record.service_tier
            )
        if computed.status is _PRICED:
            return PricedCall(record, computed)
        reported = record.reported_cost_usd
        if reported is not None and (reported > 0 or not record.usage.total_tokens):
            return PricedCall(record, Cost(reported, CostStatus.REPORTED))
        return PricedCall(record, computed)


price: Final = Pricing().price
"""Price a record with shipped prices only."""
