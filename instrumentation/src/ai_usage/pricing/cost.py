"""What a call costs and why: the amount, its status and the price it came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal


class CostStatus(StrEnum):
    """Say how far a cost can be trusted."""

    PRICED = "priced"
    """Computed from a price of the model that answered."""
    REPORTED = "reported"
    """Taken from the provider or the emitter of the span."""
    ESTIMATED = "estimated"
    """No price known: a flat rate stands in, so that spend is not invisible."""
    UNPRICED = "unpriced"
    """No amount can be given; stored as 0 and never counted as a price."""
    UNMETERED = "unmetered"
    """The call reported no usage; stored as 0, which is not known to be right."""
    FREE = "free"
    """Known to cost nothing, e.g. answered from a cache."""


@dataclass(frozen=True)
class PriceRef:
    """Name one price exactly: where it came from, which model it matched and the rates it holds.

    ``rates`` maps a unit (``input``, ``output``, ``cache_read``, …) to US dollars per million of it, as decimal
    strings in unit order.
    """

    source: str
    """``genai-prices``, ``own`` or ``flat-estimate``."""
    version: str
    provider: str
    model: str
    rates: tuple[tuple[str, str], ...]
    tier: str = ""
    """What made this price differ from the model's standard one: a service tier, a prompt size."""

    @cached_property
    def id(self) -> int:
        """Return a signed 64-bit hash of all other fields: equal prices have equal ids everywhere."""
        content = json.dumps([self.source, self.version, self.provider, self.model, self.rates, self.tier])
        return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big", signed=True)


class Cost(NamedTuple):
    """Hold the cost of one call in US dollars, exact; ``amount_usd`` is ``None`` when there is no amount."""

    amount_usd: Decimal | None
    status: CostStatus
    price: PriceRef | None = None
