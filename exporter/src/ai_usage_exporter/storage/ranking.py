"""Who used most, and how many did: from the long buckets of all users and the exact sums of few.

Nobody used more in a part of a long bucket than in the whole of it, as no call costs less than nothing. So exact sums
are read only of those users whose long buckets hold enough; if they do not settle it, of more, in the end of all.
"""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.cover import Piece, at_or_after, at_or_before, cover, cover_by_difference, starts_of
from ai_usage_exporter.storage.grouping import columns_of, gather, read_rows, read_user_rollups, sum_groups
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.rollups import DAY_S, THIRTY_DAYS_S
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.sums import NO_SUMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.grouping import Found, Group
    from ai_usage_exporter.storage.sums import Sums

SORTS: Final = frozenset({"cost_usd", "calls", "total_tokens"})
"""The sums users can be ranked by."""

_DAY: Final = timedelta(days=1)
_FEW_DAYS: Final = 3
"""Up to so many days, all users' sums are read at once."""
_CANDIDATES: Final = (4, 16, 64)
"""How many times as many users as are wanted have their exact sums read, before all have."""
_FEW_USERS: Final = 1_000
"""Up to so many users are looked up one by one to count them, before all users' sums are read."""

# The parts of _sums_of: what is added, what is taken away from it again, and whole days that are only begun.
_ADDED, _TAKEN, _BROKEN = range(3)


async def rank_users(
    connection: DatabaseConnection, query: UsageQuery, limit: int, sort: str = "cost_usd"
) -> tuple[dict[Group, Sums], int | None]:
    """Return the first ``limit`` users by one of ``SORTS`` and, if that was found as well, how many users there are."""
    if sort not in SORTS:
        raise ValueError(f"users cannot be ranked by {sort!r}")
    if query.conditions:
        found = await sum_groups(connection, query, (Dimension.USER,))
        return _first(found, limit, sort), len(found)
    if query.end - query.start > _FEW_DAYS * _DAY:
        text = load_statement("read_user_bounds").replace("{sort}", sort)
        for times in _CANDIDATES:
            bounds = await connection.fetch(text, _long_buckets(query), THIRTY_DAYS_S, limit * times)
            users = [row["user_key"] or "" for row in bounds]
            first = _first(await _sums_of(connection, query, users, limit, sort), limit, sort)
            enough = len(first) == limit and getattr(list(first.values())[-1], sort) > bounds[-1]["bound"]
            if enough or len(bounds) < limit * times:
                return first, None
    names, count = await _all(connection, query, limit, sort)
    if not names:
        return {}, 0
    chosen = UsageQuery(query.start, query.end, (Condition(Dimension.USER, names),))
    return _first(await sum_groups(connection, chosen, (Dimension.USER,)), limit, sort), count


async def count_users(connection: DatabaseConnection, query: UsageQuery) -> int:
    """Return how many users called in a period; ``query`` has no conditions.

    Who called within a long bucket that the period holds is counted there. Only the others who called in a bucket it
    holds a part of are looked up.
    """
    added, taken = cover_by_difference(query.start, query.end, THIRTY_DAYS_S, DAY_S)
    broken = cover(query.start, query.end, (DAY_S,))
    whole = [start for piece in added if piece.grain_s == THIRTY_DAYS_S for start in starts_of(piece)]
    if whole:
        partly = {
            at_or_before(piece.start, THIRTY_DAYS_S)
            for pieces, grain_s in ((added, DAY_S), (broken, 0))
            for piece in pieces
            if piece.grain_s == grain_s
        }
        days = [start for piece in taken for start in starts_of(piece)]
        text = load_statement("read_user_presence")
        [(present, users)] = await connection.fetch(text, whole, days, list(partly), THIRTY_DAYS_S, _FEW_USERS + 1)
        if len(users) <= _FEW_USERS:
            found = await _sums_of(connection, query, [user or "" for user in users], len(users) + 1, "calls")
            return int(present) + sum((user,) in found for user in users)
    return (await _all(connection, query, 1, "calls"))[1]


async def _all(connection: DatabaseConnection, query: UsageQuery, limit: int, sort: str) -> tuple[tuple[str, ...], int]:
    """Return the first users' names and how many users there are, from all their sums."""
    pieces = cover(query.start, query.end, rollups.USER.grains_s)
    rolled, rest = [p for p in pieces if p.grain_s], [p for p in pieces if not p.grain_s]
    text = load_statement("read_users").replace("{sort}", sort)
    rows = await connection.fetch(text, *columns_of(rolled)[:3], *columns_of(rest)[1:3], limit)
    return tuple(row["user_key"] or "" for row in rows), rows[0]["users"] if rows else 0


async def _sums_of(
    connection: DatabaseConnection, query: UsageQuery, users: Sequence[str], limit: int, sort: str
) -> dict[Group, Sums]:
    """Return the sums of those of some users who may be the first of them: rows are read of few only."""
    added, taken = cover_by_difference(query.start, query.end, THIRTY_DAYS_S, DAY_S)
    broken = [piece for piece in cover(query.start, query.end, (DAY_S,)) if not piece.grain_s]
    begun = {at_or_before(piece.start, DAY_S) for piece in broken}
    pieces = [
        *added,
        *(piece._replace(part=_TAKEN) for piece in taken),
        *(Piece(DAY_S, day, day + _DAY, _BROKEN) for day in begun),
    ]
    found: Found = {}
    gather(found, await read_user_rollups(connection, pieces, users), 1)
    sums = {group: found[part, group] for part, group in found if part == _ADDED}
    for part, group in found:
        if part == _TAKEN:
            sums[group] = sums.get(group, NO_SUMS).minus(found[part, group])
    at_least = {group: getattr(kept, sort) for group, kept in sums.items()}
    at_most = {
        group: at_least.get(group, 0) + getattr(found.get((_BROKEN, group), NO_SUMS), sort) for _, group in found
    }
    least = sorted(at_least.values(), reverse=True)[limit - 1 : limit]
    first = {group for group, amount in at_most.items() if not least or amount >= least[0]}
    if broken and first:
        of_them = (Condition(Dimension.USER, tuple({group[0] or "" for group in first})),)
        ends: Found = {}
        gather(ends, await read_rows(connection, broken, of_them, (Dimension.USER,)), 1)
        for (_, group), end in ends.items():
            sums[group] = sums.get(group, NO_SUMS).plus(end)
    return {group: sums[group] for group in first if group in sums and sums[group].calls}


def _first(sums: Mapping[Group, Sums], limit: int, sort: str) -> dict[Group, Sums]:
    amount = attrgetter(sort)
    return dict(sorted(sums.items(), key=lambda item: (-amount(item[1]), item[0][0] or ""))[:limit])


def _long_buckets(query: UsageQuery) -> list[datetime]:
    first = at_or_before(query.start, THIRTY_DAYS_S)
    return starts_of(Piece(THIRTY_DAYS_S, first, at_or_after(query.end, THIRTY_DAYS_S)))
