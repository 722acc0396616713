"""All sums about usage: from the rollups where they have the dimensions, from rows where they have not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.condition import (
    KEY_COLUMNS,
    ROW_COLUMNS,
    Parameters,
    is_as_kept,
    key_conditions,
    row_conditions,
    statement,
)
from ai_usage_exporter.storage.cover import Piece, at_or_after, at_or_before, cover
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.sums import Sums, add_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    import asyncpg

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.rollups import Cuboid

MAX_EXACT_PERCENTILE_CALLS: Final = 50_000
"""Above this a percentile under conditions is not computed: it would sort all of them."""

_DAY: Final = timedelta(days=1)
_FEW_DAYS: Final = 3
"""As many whole days as are ranked by reading all users' sums at once."""
_CANDIDATES: Final = (4, 16, 64)
"""How many times as many users as are wanted have their exact sums read, before all have."""

Group: TypeAlias = "tuple[str | None, ...]"
"""The values of the dimensions grouped by, in their order."""
_Found: TypeAlias = "dict[tuple[int, Group], Sums]"

# Smallest first: the first one that has the dimensions answers.
_CUBOIDS: Final = (rollups.STATUS, rollups.MODEL, rollups.SERVICE, rollups.PAIR, rollups.FULL)


class UserTotals(NamedTuple):
    """Hold what one user used; ``user`` is ``None`` for calls without one."""

    user: str | None
    calls: int
    total_tokens: int
    cost_usd: Decimal


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
    top_users: Sequence[UserTotals]
    p95_duration_ms: float | None
    p95_error: float


class UsageReader:
    """Answer questions from a connection pool of its own, so that reading never takes the receiver's connections."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[DatabaseConnection]:
        """Give a connection on which every statement sees the same state of the data."""
        async with self.pool.acquire() as connection:
            # One round trip. Compiling these statements takes longer than running them.
            # A range of an index is read page by page: what is next to it in the index is not so in the table. And few
            # groups come of many rows, which the planner does not know: adding up by hash is half of sorting first.
            await connection.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                "SET LOCAL jit = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_sort = off; "
                "SET LOCAL work_mem = '32MB'"
            )
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")

    async def summarize(self, query: UsageQuery, *, top_users: int = 10) -> UsageSummary:
        """Sum a period by everything, and the equally long one before it in all."""
        before = UsageQuery(query.start - (query.end - query.start), query.start, query.conditions)
        async with self.snapshot() as connection:
            models, services, statuses = [
                await _by_group(connection, query, dimensions) for dimensions in (_BY_MODEL, _BY_SERVICE, _BY_STATUS)
            ]
            total = add_up(statuses.values())
            previous = add_up((await _sums(connection, before, ())).values())
            users = await _top_users(connection, query, top_users)
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
        async with self.snapshot() as connection:
            return await _by_group(connection, query, tuple(dimensions))

    async def group_by_time(
        self, query: UsageQuery, edges: Sequence[datetime], dimensions: Sequence[Dimension]
    ) -> dict[tuple[int, Group], Sums]:
        """Sum each ``[edges[i], edges[i + 1])`` within the period by dimensions; keys are (i, group)."""
        async with self.snapshot() as connection:
            return await _sums(connection, query, tuple(dimensions), edges)

    async def rank_users(self, query: UsageQuery, limit: int, sort: str = "cost_usd") -> tuple[dict[Group, Sums], int]:
        """Return the first users by ``sort`` (cost_usd, calls or total_tokens) with all sums, and how many."""
        async with self.snapshot() as connection:
            users, count = await _rank_users(connection, query, limit, sort)
            if not users:
                return {}, 0
            names = tuple(found.user or "" for found in users)
            chosen = UsageQuery(query.start, query.end, (*query.conditions, Condition(Dimension.USER, names)))
            return await _by_group(connection, chosen, (Dimension.USER,)), count


_BY_MODEL: Final = (Dimension.PROVIDER, Dimension.MODEL)
_BY_SERVICE: Final = (Dimension.SERVICE, Dimension.ACTION)
_BY_STATUS: Final = (Dimension.SUCCESS, Dimension.ERROR_CODE, Dimension.COST_STATUS)


async def _sums(
    connection: DatabaseConnection,
    query: UsageQuery,
    dimensions: tuple[Dimension, ...],
    edges: Sequence[datetime] | None = None,
) -> _Found:
    """Sum by part and dimensions, from rollups and rows together."""
    users = _only_users(query, dimensions)
    cuboid = rollups.USER if users is not None else _cuboid_for(query.dimensions.union(dimensions))
    grains_s = cuboid.grains_s if cuboid is not None else ()
    steps = list(pairwise(edges)) if edges is not None else [(query.start, query.end)]
    pieces = [
        piece
        for part, (start, end) in enumerate(steps)
        for piece in cover(max(start, query.start), min(end, query.end), grains_s, part)
    ]
    found: _Found = {}
    if cuboid is not None and (rolled := [piece for piece in pieces if piece.grain_s]):
        if users is not None:
            rows = await _from_user_rollups(connection, rolled, users)
        else:
            rows = await _from_rollups(connection, cuboid, rolled, query.conditions, dimensions)
        _gather(found, rows, len(dimensions))
    if rest := [piece for piece in pieces if not piece.grain_s]:
        _gather(found, await _from_rows(connection, rest, query.conditions, dimensions), len(dimensions))
    return found


async def _from_rollups(
    connection: DatabaseConnection,
    cuboid: Cuboid,
    pieces: Sequence[Piece],
    conditions: Sequence[Condition],
    dimensions: Sequence[Dimension],
) -> list[asyncpg.Record]:
    parameters = Parameters(cuboid.number, *_columns(pieces))
    text = statement(
        "read_rollups",
        conditions=key_conditions(conditions, parameters),
        dimensions=[KEY_COLUMNS[dimension] for dimension in dimensions],
    )
    return await connection.fetch(text, *parameters.values)


async def _from_user_rollups(
    connection: DatabaseConnection, pieces: Sequence[Piece], users: Sequence[str]
) -> list[asyncpg.Record]:
    buckets = [
        (piece.grain_s, start, piece.part)
        for piece in pieces
        for start in _starts(piece.start, piece.end, piece.grain_s)
    ]
    columns = [list(column) for column in zip(*buckets, strict=True)]
    return await connection.fetch(load_statement("read_user_rollups"), *columns, rollups.user_key_ids(users))


async def _from_rows(
    connection: DatabaseConnection,
    pieces: Sequence[Piece],
    conditions: Sequence[Condition],
    dimensions: Sequence[Dimension],
) -> list[asyncpg.Record]:
    parameters = Parameters(*_columns(pieces)[1:])
    text = statement(
        "read_rows",
        conditions=row_conditions(conditions, parameters),
        dimensions=[ROW_COLUMNS[dimension] for dimension in dimensions],
    )
    return await connection.fetch(text, *parameters.values)


async def _rank_users(
    connection: DatabaseConnection, query: UsageQuery, limit: int, sort: str
) -> tuple[list[UserTotals], int]:
    if sort not in {"cost_usd", "calls", "total_tokens"}:
        raise ValueError(f"users cannot be ranked by {sort!r}")
    if query.conditions:
        found = await _sums(connection, query, (Dimension.USER,))
        ranked = sorted(found.items(), key=lambda item: (-getattr(item[1], sort), item[0][1][0] or ""))
        return [UserTotals(group[0], *_of_user(sums)) for (_, group), sums in ranked[:limit]], len(found)
    pieces = cover(query.start, query.end, rollups.USER.grains_s)
    rolled, rest = [p for p in pieces if p.grain_s], [p for p in pieces if not p.grain_s]
    text = load_statement("read_users").replace("{sort}", sort)
    rows = await connection.fetch(text, *_columns(rolled)[:3], *_columns(rest)[1:3], limit)
    return [UserTotals(*row[:4]) for row in rows], rows[0]["users"] if rows else 0


async def _top_users(connection: DatabaseConnection, query: UsageQuery, limit: int) -> list[UserTotals]:
    """Return the dearest users.

    Exact sums are read of those only whose long buckets hold enough: nobody used more in a part of a bucket than in
    the whole of it, as no call costs less than nothing.
    """
    if not limit:
        return []
    start, end = query.start.astimezone(UTC), query.end.astimezone(UTC)
    if not query.conditions and end - start > _FEW_DAYS * _DAY:
        first, last = at_or_before(start, rollups.THIRTY_DAYS_S), at_or_after(end, rollups.THIRTY_DAYS_S)
        text = load_statement("read_user_bounds")
        for times in _CANDIDATES:
            bounds = await connection.fetch(text, first, last, rollups.THIRTY_DAYS_S, limit * times)
            users = [row["user_key"] or "" for row in bounds]
            ranked = _ranked(await _dearest_of(connection, query, users, limit))
            top = [UserTotals(group[0], *_of_user(sums)) for group, sums in islice(ranked.items(), limit)]
            if len(bounds) < limit * times or (len(top) == limit and top[-1].cost_usd > bounds[-1]["bound"]):
                return top
    return (await _rank_users(connection, query, limit, "cost_usd"))[0]


async def _dearest_of(
    connection: DatabaseConnection, query: UsageQuery, users: Sequence[str], limit: int
) -> dict[Group, Sums]:
    """Return the sums of those of some users who may be the dearest of them: rows are read of few only."""
    pieces = cover(query.start, query.end, rollups.USER.grains_s)
    whole, broken = [piece for piece in pieces if piece.grain_s], [piece for piece in pieces if not piece.grain_s]
    days = [Piece(rollups.DAY_S, day, day + _DAY, 1) for day in {at_or_before(p.start, rollups.DAY_S) for p in broken}]
    found: _Found = {}
    _gather(found, await _from_user_rollups(connection, [*whole, *days], users), 1)
    at_least = {group: sums.cost_usd for (part, group), sums in found.items() if part == 0}
    at_most = {group: at_least.get(group, 0) + sums.cost_usd for (part, group), sums in found.items() if part == 1}
    limit_usd = sorted(at_least.values(), reverse=True)[limit - 1 : limit]
    names = {group[0] or "" for group, cost in (at_least | at_most).items() if not limit_usd or cost >= limit_usd[0]}
    if broken and names:
        of_them = (Condition(Dimension.USER, tuple(names)),)
        _gather(found, await _from_rows(connection, broken, of_them, (Dimension.USER,)), 1)
    return {group: sums for (part, group), sums in found.items() if part == 0 and (group[0] or "") in names}


async def _by_group(
    connection: DatabaseConnection, query: UsageQuery, dimensions: tuple[Dimension, ...]
) -> dict[Group, Sums]:
    return {group: sums for (_, group), sums in (await _sums(connection, query, dimensions)).items()}


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
    rows = await connection.fetch(load_statement("read_durations"), *_columns(rolled)[:3], *_columns(rest)[1:3])
    wanted = 0.95 * sum(row["calls"] for row in rows)
    counted = 0
    for row in rows:
        counted += row["calls"]
        if counted >= wanted:
            return rollups.duration_of_bin(row["bin"]), rollups.DURATION_ERROR
    return None, 0.0


def _cuboid_for(dimensions: frozenset[Dimension]) -> Cuboid | None:
    return next((cuboid for cuboid in _CUBOIDS if dimensions <= cuboid.dimensions), None)


def _only_users(query: UsageQuery, dimensions: Iterable[Dimension]) -> Sequence[str] | None:
    """Return the users asked for, should nothing else be asked for; their sums are kept under just these names."""
    if query.dimensions != {Dimension.USER} or set(dimensions) != {Dimension.USER} or len(query.conditions) != 1:
        return None
    asked = query.conditions[0]
    return None if asked.exclude or not all(map(is_as_kept, asked.values)) else asked.values


def _starts(start: datetime, end: datetime, step_s: int) -> list[datetime]:
    """Return the starts of the buckets of a piece."""
    step = timedelta(seconds=step_s)
    return [start + number * step for number in range((end - start) // step)]


def _columns(pieces: Sequence[Piece]) -> list[list[Any]]:
    """Return pieces as the arrays a statement takes: grains, starts, ends, parts."""
    return [list(column) for column in zip(*pieces, strict=True)] if pieces else [[], [], [], []]


def _gather(found: _Found, rows: Iterable[asyncpg.Record], width: int) -> None:
    for row in rows:
        values = tuple(row)
        key = (values[0], values[1 : 1 + width])
        sums = Sums(*values[-12:])
        found[key] = found[key].plus(sums) if key in found else sums


def _of_user(sums: Sums) -> tuple[int, int, Decimal]:
    return sums.calls, sums.total_tokens, sums.cost_usd


def _merged(groups: Mapping[Group, Sums], place: int) -> dict[Group, Sums]:
    merged: dict[Group, Sums] = {}
    for group, sums in groups.items():
        key = (group[place],)
        merged[key] = merged[key].plus(sums) if key in merged else sums
    return merged


def _ranked(groups: Mapping[Group, Sums]) -> dict[Group, Sums]:
    return dict(sorted(groups.items(), key=lambda item: (-item[1].cost_usd, item[0][0] or "")))
