"""Sums as the API shows them: percentages, means, money rounded and exact."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from ai_usage_exporter.api.schemas import ExactGroupSums, GroupSums, Measures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.storage.grouping import Group
    from ai_usage_exporter.storage.sums import Sums


class MeasureFields(TypedDict):
    """Name the fields of ``schemas.Measures``."""

    requests: int
    failed: int
    success_rate: float
    tokens: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: float
    cost_usd: str
    priced_requests: int
    priced_share: float | None
    avg_duration_ms: float | None


def measure_fields(sums: Sums) -> MeasureFields:
    """Return sums as the fields every row of an answer has."""
    return MeasureFields(
        requests=sums.calls,
        failed=sums.calls - sums.succeeded,
        success_rate=percent(sums.succeeded, sums.calls),
        tokens=sums.total_tokens,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cache_read_tokens=sums.cache_read_tokens,
        cache_write_tokens=sums.cache_write_tokens,
        reasoning_tokens=sums.reasoning_tokens,
        cost=rounded(sums.cost_usd),
        cost_usd=exact(sums.cost_usd),
        priced_requests=sums.priced_calls,
        priced_share=percent(sums.priced_calls, sums.calls) if sums.calls else None,
        avg_duration_ms=round(sums.duration_ms / sums.timed_calls, 1) if sums.timed_calls else None,
    )


def measures(sums: Sums) -> Measures:
    """Return sums as a document."""
    return Measures(**measure_fields(sums))


def groups(found: Mapping[Group, Sums]) -> dict[str, GroupSums]:
    """Return sums by the first dimension's value in the base shape; calls without one are under ``""``."""
    return {
        name: GroupSums(tokens=sums.total_tokens, cost=rounded(sums.cost_usd), requests=sums.calls)
        for name, sums in _by_name(found).items()
    }


def exact_groups(found: Mapping[Group, Sums]) -> dict[str, ExactGroupSums]:
    """Return what ``groups`` does, with exact money beside the rounded."""
    return {
        name: ExactGroupSums(
            tokens=sums.total_tokens,
            cost=rounded(sums.cost_usd),
            requests=sums.calls,
            cost_usd=exact(sums.cost_usd),
        )
        for name, sums in _by_name(found).items()
    }


def percent(part: int | Decimal, whole: int | Decimal) -> float:
    """Return a share in percent with 1 decimal; 0 of nothing."""
    return round(float(100 * part / whole), 1) if whole else 0.0


def rounded(cost_usd: Decimal, digits: int = 4) -> float:
    """Return money to show."""
    return float(round(cost_usd, digits))


def exact(cost_usd: Decimal) -> str:
    """Return money to add up, with the 12 decimals a row holds."""
    return format(cost_usd.quantize(Decimal("0.000000000001")), "f")


def group_of(names: tuple[str, ...], values: Group) -> dict[str, Any]:
    """Return a group as name → value, success as a boolean."""
    return {name: (value == "true" if name == "success" else value) for name, value in zip(names, values, strict=True)}


def _by_name(found: Mapping[Group, Sums]) -> dict[str, Sums]:
    named: dict[str, Sums] = {}
    for group, sums in found.items():
        name = group[0] or ""  # calls without a value, and calls whose value is empty
        named[name] = named[name].plus(sums) if name in named else sums
    return named
