"""What is added up about calls."""

from __future__ import annotations

from decimal import Decimal
from operator import add, sub
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Sums(NamedTuple):
    """Hold the sums of a group of calls, in the order of the columns of ``ai_usage_rollups``; money is exact."""

    calls: int = 0
    succeeded: int = 0
    priced_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    duration_ms: int = 0
    timed_calls: int = 0

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(*map(add, self, other))

    def minus(self, other: Sums) -> Sums:
        """Return what is left without ``other``, which is a part of it."""
        return Sums(*map(sub, self, other))


NO_SUMS = Sums()


def add_up(parts: Iterable[Sums]) -> Sums:
    """Return everything together, a column at a time."""
    columns: Iterable[Iterable[Any]] = zip(*parts, NO_SUMS, strict=True)
    return Sums._make(map(sum, columns))
