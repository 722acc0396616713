"""Sums by part of a period and by group: from the rollups where they have the dimensions, else from rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.condition import (
    KEY_COLUMNS,
    ROW_COLUMNS,
    Parameters,
    is_as_kept,
    key_conditions,
    row_conditions,
    same_group,
    statement,
)
from ai_usage_exporter.storage.cover import cover, starts_of
from ai_usage_exporter.storage.query import Dimension
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import asyncpg

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.cover import Piece
    from ai_usage_exporter.storage.query import Condition, UsageQuery
    from ai_usage_exporter.storage.rollups import Cuboid

Group: TypeAlias = "tuple[str | None, ...]"
"""The values of the dimensions grouped by, in their order."""
Found: TypeAlias = "dict[tuple[int, Group], Sums]"

# Smallest first: the first one that has the dimensions answers.
_CUBOIDS: Final = (rollups.STATUS, rollups.MODEL, rollups.SERVICE, rollups.PAIR, rollups.FULL)


async def sum_parts(
    connection: DatabaseConnection,
    query: UsageQuery,
    dimensions: tuple[Dimension, ...],
    edges: Sequence[datetime] | None = None,
) -> Found:
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
    rolled, rest = [piece for piece in pieces if piece.grain_s], [piece for piece in pieces if not piece.grain_s]
    found: Found = {}
    if cuboid is not None and rolled and users is None:
        gather(
            found, await _from_rollups(connection, cuboid, rolled, rest, query.conditions, dimensions), len(dimensions)
        )
        return found
    if rolled and users is not None:
        gather(found, await read_user_rollups(connection, rolled, users), 1)
    if rest:
        gather(found, await read_rows(connection, rest, query.conditions, dimensions), len(dimensions))
    return found


async def sum_groups(
    connection: DatabaseConnection, query: UsageQuery, dimensions: tuple[Dimension, ...]
) -> dict[Group, Sums]:
    """Sum a period by dimensions; an empty choice gives one group, if there were calls."""
    return {group: sums for (_, group), sums in (await sum_parts(connection, query, dimensions)).items()}


async def read_user_rollups(
    connection: DatabaseConnection, pieces: Sequence[Piece], users: Sequence[str]
) -> list[asyncpg.Record]:
    """Read sums of users, by part and user, from the buckets of pieces."""
    buckets = [(piece.grain_s, start, piece.part) for piece in pieces for start in starts_of(piece)]
    columns = [list(column) for column in zip(*buckets, strict=True)]
    return await connection.fetch(load_statement("read_user_rollups"), *columns, rollups.user_key_ids(users))


async def read_rows(
    connection: DatabaseConnection,
    pieces: Sequence[Piece],
    conditions: Sequence[Condition],
    dimensions: Sequence[Dimension],
) -> list[asyncpg.Record]:
    """Read sums of the rows that pieces hold, by part and dimensions."""
    parameters = Parameters()
    text = statement(
        "read_rows",
        pieces=_as_relation(pieces, parameters),
        conditions=row_conditions(conditions, parameters),
        dimensions=[ROW_COLUMNS[dimension] for dimension in dimensions],
    )
    return await connection.fetch(text, *parameters.values)


def _as_relation(pieces: Sequence[Piece], parameters: Parameters) -> str:
    """Return the pieces (start, end, part) as SQL.

    One piece is written as values, not as arrays, for the planner to know how long it is: else it takes every piece for
    a two-hundredth of all rows, and reads a day of the time index to find the few rows of a rare service.
    """
    if len(pieces) == 1:
        [(_, *values)] = pieces
        places = map(parameters.add, values, ("timestamptz", "timestamptz", "integer"))
        return f"(SELECT {', '.join(places)})"
    places = map(parameters.add, columns_of(pieces)[1:], ("timestamptz[]", "timestamptz[]", "integer[]"))
    return f"unnest({', '.join(places)})"


def columns_of(pieces: Sequence[Piece]) -> list[list[Any]]:
    """Return pieces as the arrays a statement takes: grains, starts, ends, parts."""
    return [list(column) for column in zip(*pieces, strict=True)] if pieces else [[], [], [], []]


def gather(found: Found, rows: Iterable[asyncpg.Record], width: int) -> None:
    """Add what a statement read by part and ``width`` dimensions to what was found before."""
    for row in rows:
        values = tuple(row)
        key = (values[0], values[1 : 1 + width])
        sums = Sums(*values[-12:])
        found[key] = found[key].plus(sums) if key in found else sums


async def _from_rollups(
    connection: DatabaseConnection,
    cuboid: Cuboid,
    rolled: Sequence[Piece],
    rest: Sequence[Piece],
    conditions: Sequence[Condition],
    dimensions: Sequence[Dimension],
) -> list[asyncpg.Record]:
    """Read sums of buckets, and of the rows of the pieces in ``rest``, by part and dimensions."""
    parameters = Parameters(*columns_of(rolled))
    text = statement(
        "read_rollups_and_rows" if rest else "read_rollups",
        pieces=_as_relation(rest, parameters) if rest else "",
        conditions=key_conditions(conditions, parameters),
        dimensions=[KEY_COLUMNS[dimension] for dimension in dimensions],
    ).replace("{cuboid}", str(cuboid.number))
    if rest:
        text = text.replace("{row_conditions}", row_conditions(conditions, parameters))
        text = text.replace("{same_group}", same_group(dimensions))
    return await connection.fetch(text, *parameters.values)


def _cuboid_for(dimensions: frozenset[Dimension]) -> Cuboid | None:
    return next((cuboid for cuboid in _CUBOIDS if dimensions <= cuboid.dimensions), None)


def _only_users(query: UsageQuery, dimensions: Iterable[Dimension]) -> Sequence[str] | None:
    """Return the users asked for, should nothing else be asked for; their sums are kept under just these names."""
    if query.dimensions != {Dimension.USER} or set(dimensions) != {Dimension.USER} or len(query.conditions) != 1:
        return None
    asked = query.conditions[0]
    return None if asked.exclude or not all(map(is_as_kept, asked.values)) else asked.values
