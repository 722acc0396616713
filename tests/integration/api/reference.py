"""What the API must answer, computed a second time: from plain rows, in Python, call by call.

Knows nothing of rollups, cuboids or the reader: a row is what ``SELECT * FROM ai_usage_logs`` gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.insert import copy_rows
from ai_usage_exporter.storage.row import to_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from ai_usage_exporter.record import PricedCall

    Connection = asyncpg.Connection[asyncpg.Record]

PREFIX = "/api/admin/ai-usage"


class Row(NamedTuple):
    id: str
    created_at: datetime
    user: str | None
    service: str
    action: str | None
    provider: str
    model: str
    success: bool
    error_code: str | None
    cost_status: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal
    duration_ms: int | None


_ROWS = """
SELECT id::text, created_at, coalesce(user_id::text, user_ref), service_name, service_action, provider, model, success,
    error_code, cost_status, input_tokens, output_tokens, total_tokens, coalesce(cache_read_tokens, 0),
    coalesce(cache_write_tokens, 0), coalesce(reasoning_tokens, 0), cost_usd, duration_ms
FROM ai_usage_logs
"""


async def write_calls(connection: Connection, calls: Sequence[PricedCall]) -> None:
    """Insert calls and add them to the sums, as the writer does."""
    rows = [to_row(call, {}) for call in calls]
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        await copy_rows(connection, rows)
        await rollups.apply(connection, [rollups.entry_of(row) for row in rows])


async def read_rows(connection: Connection) -> list[Row]:
    """Return every row there is."""
    return [Row(*row) for row in await connection.fetch(_ROWS)]


@dataclass(frozen=True)
class Filters:
    """What a question asks for: dimension → values, as the parameters of the same names."""

    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)
    success: bool | None = None

    def parameters(self) -> dict[str, Any]:
        given: dict[str, Any] = {name: list(values) for name, values in self.only.items()}
        given |= {f"not_{name}": list(values) for name, values in self.without.items()}
        return given if self.success is None else given | {"success": str(self.success).lower()}

    def match(self, row: Row) -> bool:
        return (
            all((getattr(row, name) or "") in values for name, values in self.only.items())
            and all((getattr(row, name) or "") not in values for name, values in self.without.items())
            and self.success in (None, row.success)
        )

    def choose(self, rows: Iterable[Row], start: datetime, end: datetime) -> list[Row]:
        return [row for row in rows if start <= row.created_at < end and self.match(row)]


def check_measures(answer: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Assert that ``Measures`` are those of the rows: counts and exact money equal, shares and means as rounded."""
    calls, failed = len(rows), sum(not row.success for row in rows)
    priced = sum(row.cost_status in {"priced", "reported", "free"} for row in rows)
    cost = sum((row.cost_usd for row in rows), Decimal(0))
    timed = [row.duration_ms for row in rows if row.duration_ms is not None]
    whole = {
        "requests": calls,
        "failed": failed,
        "tokens": sum(row.total_tokens for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cache_read_tokens": sum(row.cache_read_tokens for row in rows),
        "cache_write_tokens": sum(row.cache_write_tokens for row in rows),
        "reasoning_tokens": sum(row.reasoning_tokens for row in rows),
        "priced_requests": priced,
    }
    assert {name: answer[name] for name in whole} == whole
    check_money(answer, cost)
    check_share(answer["success_rate"], calls - failed, calls)
    assert (answer["priced_share"] is None) == (not calls)
    if calls:
        check_share(answer["priced_share"], priced, calls)
    assert (answer["avg_duration_ms"] is None) == (not timed)
    if timed:
        assert abs(answer["avg_duration_ms"] - Fraction(sum(timed), len(timed))) <= Fraction(51, 1000)


def check_money(answer: Mapping[str, Any], cost: Decimal, *, digits: int = 4) -> None:
    """Assert that ``cost_usd`` is exact, with all 12 decimals, and ``cost`` what it rounds to."""
    assert answer["cost_usd"] == f"{cost:.12f}"
    assert abs(Decimal(repr(answer["cost"])) - cost) <= Decimal(5).scaleb(-digits - 1)


def check_share(percent: float, part: int | Decimal, whole: int | Decimal) -> None:
    """Assert that a percentage with 1 decimal is part ÷ whole; 0 of nothing."""
    assert abs(Fraction(repr(percent)) - (100 * Fraction(part) / Fraction(whole) if whole else 0)) <= Fraction(51, 1000)


def check_groups(answer: Mapping[str, Any], rows: Iterable[Row], dimension: str, *, exact: bool) -> None:
    """Assert that a ``by_…`` mapping has each value of a dimension with its sums, and no other."""
    expected = group(rows, lambda row: getattr(row, dimension) or "")
    assert set(answer) == set(expected)
    for name, chosen in expected.items():
        cost = sum((row.cost_usd for row in chosen), Decimal(0))
        assert answer[name]["requests"] == len(chosen)
        assert answer[name]["tokens"] == sum(row.total_tokens for row in chosen)
        assert set(answer[name]) == {"requests", "tokens", "cost", *(("cost_usd",) if exact else ())}
        check_money({"cost_usd": f"{cost:.12f}"} | answer[name], cost)


def group(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return rows by key."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def check_page(items: Sequence[Mapping[str, Any]], rows: Iterable[Row]) -> None:
    """Assert that listed calls are exactly the rows, newest first."""
    ordered = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    assert [item["id"] for item in items] == [row.id for row in ordered]
    for item, row in zip(items, ordered, strict=True):
        shown = {name: item[name] for name in ("user", "service", "action", "provider", "model", "success")}
        assert shown == {name: getattr(row, name) for name in shown}
        check_money(item, row.cost_usd, digits=6)
