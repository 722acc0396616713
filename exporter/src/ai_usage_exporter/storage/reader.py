"""All sums about usage: from the rollups where they have the dimensions, from rows where they have not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.condition import Parameters, row_conditions, statement
from ai_usage_exporter.storage.cover import cover
from ai_usage_exporter.storage.grouping import columns_of, sum_groups, sum_parts
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.ranking import count_users, rank_users
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.sums import add_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.grouping import Group
    from ai_usage_exporter.storage.sums import Sums

MAX_EXACT_PERCENTILE_CALLS: Final = 50_000
"""Above this a percentile under conditions is not computed: it would sort all of them."""


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Hold the sums of a period, in all and by group, and of the period before it."""

    total: Sums
    previous: Sums
    by_provider: Mapping[Group, Sums]
    by_service: Mapping[Group, Sums]
    by_model: Mapping[Group, Sums]
    by_action: Mapping[Group, Sums]
    by_cost_status: Mapping[Group, Sums]
    errors: Mapping[Group, Sums]
    top_users: Mapping[Group, Sums]
    p95_duration_ms: float | None
    p95_error: float


@dataclass(frozen=True, slots=True)
class UserRanking:
    """Hold the first users' sums, largest first, how many users there are, and the sums of all."""

    first: Mapping[Group, Sums]
    count: int
    total: Sums


class UsageReader:
    """Answer questions from a connection pool of its own, so that reading never takes the receiver's connections."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool

    @asynccontextmanager
    async def snapshot(self, query: UsageQuery) -> AsyncIterator[DatabaseConnection]:
        """Give a connection on which every statement sees the same state of the data."""
        # Planned once, not each time: half of what small statements take. How common a value is that is asked for, and
        # how long the period is, makes a difference only where it is looked for in the calls.
        plans = (
            "SET LOCAL plan_cache_mode = force_custom_plan"
            if query.dimensions - {Dimension.USER}
            else "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL max_parallel_workers_per_gather = 0"
        )
        async with self.pool.acquire() as connection:
            # One round trip. Compiling these statements takes longer than running them.
            # A range of an index is read page by page: what is next to it in the index is not so in the table. And few
            # groups come of many rows, which the planner does not know: adding up by hash is half of sorting first.
            await connection.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                "SET LOCAL jit = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_sort = off; "
                f"SET LOCAL work_mem = '32MB'; {plans}"
            )
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")

    async def summarize(self, query: UsageQuery, *, top_users: int = 10) -> UsageSummary:
        """Sum a period by everything, and the equally long one before it in all."""
        before = UsageQuery(query.start - (query.end - query.start), query.start, query.conditions)
        async with self.snapshot(query) as connection:
            models, services, statuses = [
                await sum_groups(connection, query, dimensions) for dimensions in (_BY_MODEL, _BY_SERVICE, _BY_STATUS)
            ]
            total = add_up(statuses.values())
            previous = add_up((await sum_parts(connection, before, ())).values())
            users, _ = await rank_users(connection, query, top_users) if top_users else ({}, None)
            p95, error = await _p95(connection, query, total.timed_calls)
        failed = {group: sums for group, sums in statuses.items() if group[0] == "false"}
        return UsageSummary(
            total=total,
            previous=previous,
            by_provider=_ranked(_merged(models, 0)),
            by_service=_ranked(_merged(services, 0)),
            by_model=_ranked(_merged(models, 1)),
            by_action=_ranked(_merged(services, 1)),
            by_cost_status=_ranked(_merged(statuses, 2)),
            errors=_ranked(_merged(failed, 1)),
            top_users=users,
            p95_duration_ms=p95,
            p95_error=error,
        )

    async def group(self, query: UsageQuery, dimensions: Sequence[Dimension]) -> dict[Group, Sums]:
        """Sum a period by dimensions; an empty choice gives one group, if there were calls."""
        async with self.snapshot(query) as connection:
            return await sum_groups(connection, query, tuple(dimensions))

    async def group_by_time(
        self, query: UsageQuery, edges: Sequence[datetime], dimensions: Sequence[Dimension]
    ) -> dict[tuple[int, Group], Sums]:
        """Sum each ``[edges[i], edges[i + 1])`` within the period by dimensions; keys are (i, group)."""
        async with self.snapshot(query) as connection:
            return await sum_parts(connection, query, tuple(dimensions), edges)

    async def rank_users(self, query: UsageQuery, limit: int, sort: str = "cost_usd") -> UserRanking:
        """Return the first users by ``sort`` (cost_usd, calls or total_tokens), and all of them together."""
        async with self.snapshot(query) as connection:
            users, count = await rank_users(connection, query, limit, sort)
            if count is None:
                count = await count_users(connection, query)
            return UserRanking(users, count, add_up((await sum_groups(connection, query, ())).values()))

    async def rank_users_by_time(
        self, query: UsageQuery, edges: Sequence[datetime], limit: int
    ) -> tuple[dict[Group, Sums], dict[tuple[int, Group], Sums]]:
        """Return the dearest users, and their sums by step beside those of all calls, whose group is ``()``."""
        async with self.snapshot(query) as connection:
            users, _ = await rank_users(connection, query, limit)
            steps = await sum_parts(connection, query, (), edges)
            if users:
                of_them = Condition(Dimension.USER, tuple(user or "" for (user,) in users))
                chosen = UsageQuery(query.start, query.end, (*query.conditions, of_them))
                steps |= await sum_parts(connection, chosen, (Dimension.USER,), edges)
            return users, steps


_BY_MODEL: Final = (Dimension.PROVIDER, Dimension.MODEL)
_BY_SERVICE: Final = (Dimension.SERVICE, Dimension.ACTION)
_BY_STATUS: Final = (Dimension.SUCCESS, Dimension.ERROR_CODE, Dimension.COST_STATUS)


async def _p95(connection: DatabaseConnection, query: UsageQuery, timed_calls: int) -> tuple[float | None, float]:
    """Return the 95th percentile of durations and its relative error bound."""
    if not timed_calls:
        return None, 0.0
    if query.conditions:
        if timed_calls > MAX_EXACT_PERCENTILE_CALLS:
            return None, 0.0
        parameters = Parameters(query.start, query.end)
        text = statement("read_percentile", conditions=row_conditions(query.conditions, parameters))
        return float(await connection.fetchval(text, *parameters.values)), 0.0
    pieces = cover(query.start, query.end, rollups.DURATION.grains_s)
    rolled, rest = [p for p in pieces if p.grain_s], [p for p in pieces if not p.grain_s]
    rows = await connection.fetch(load_statement("read_durations"), *columns_of(rolled)[:3], *columns_of(rest)[1:3])
    wanted = 0.95 * sum(row["calls"] for row in rows)
    counted = 0
    for row in rows:
        counted += row["calls"]
        if counted >= wanted:
            return rollups.duration_of_bin(row["bin"]), rollups.DURATION_ERROR
    return None, 0.0


def _merged(groups: Mapping[Group, Sums], place: int) -> dict[Group, Sums]:
    merged: dict[Group, Sums] = {}
    for group, sums in groups.items():
        key = (group[place],)
        merged[key] = merged[key].plus(sums) if key in merged else sums
    return merged


def _ranked(groups: Mapping[Group, Sums]) -> dict[Group, Sums]:
    return dict(sorted(groups.items(), key=lambda item: (-item[1].cost_usd, item[0][0] or "")))
