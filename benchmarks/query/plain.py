"""The same answers without rollups: plain GROUP BY on the rows, and fetching the rows and adding in Python."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

_WHERE = "FROM ai_usage_logs WHERE created_at >= $1 AND created_at < $2"
_SUMS = "count(*), sum(total_tokens)::bigint, sum(cost_usd)"

Sums = tuple[int, int, Decimal]


async def summary(connection: asyncpg.Connection[Any], start: datetime, end: datetime) -> dict[str, dict[str, Sums]]:
    """Sum in all, by provider, service, model, action and user, in one statement."""
    rows = await connection.fetch(
        f"SELECT grouping(provider, service_name, model, service_action, user_ref), "
        f"coalesce(provider, service_name, model, service_action, user_ref, ''), {_SUMS} {_WHERE} "
        "GROUP BY GROUPING SETS ((), (provider), (service_name), (model), (service_action), (user_ref))",
        start,
        end,
        timeout=None,
    )
    names = {31: "all", 15: "provider", 23: "service", 27: "model", 29: "action", 30: "user"}
    found: dict[str, dict[str, Sums]] = defaultdict(dict)
    for mask, value, *sums in rows:
        found[names[mask]][value] = tuple(sums)
    return found


async def timeseries(
    connection: asyncpg.Connection[Any], start: datetime, end: datetime, column: str, zone: str
) -> dict[tuple[datetime, str], Sums]:
    """Sum by local day and one column."""
    rows = await connection.fetch(
        f"SELECT date_trunc('day', created_at, $3), {column}, {_SUMS} {_WHERE} GROUP BY 1, 2",
        start,
        end,
        zone,
        timeout=None,
    )
    return {(row[0], row[1]): tuple(row)[2:] for row in rows}


async def breakdown(
    connection: asyncpg.Connection[Any], start: datetime, end: datetime, *columns: str
) -> dict[tuple[str, ...], Sums]:
    """Sum by some columns."""
    chosen = ", ".join(columns)
    rows = await connection.fetch(f"SELECT {chosen}, {_SUMS} {_WHERE} GROUP BY {chosen}", start, end, timeout=None)
    return {tuple(row)[:-3]: tuple(row)[-3:] for row in rows}


async def fetch_and_add(connection: asyncpg.Connection[Any], start: datetime, end: datetime) -> dict[str, Sums]:
    """Fetch the rows and sum them by service in Python."""
    found: dict[str, Sums] = {}
    async with connection.transaction(readonly=True):
        async for service, tokens, cost in connection.cursor(
            f"SELECT service_name, total_tokens, cost_usd {_WHERE}", start, end, prefetch=5_000
        ):
            calls, known_tokens, known_cost = found.get(service, (0, 0, Decimal(0)))
            found[service] = (calls + 1, known_tokens + tokens, known_cost + cost)
    return found
