"""Rollups against rows, day by day, and long buckets against their days: compare them, and build them again."""

from __future__ import annotations

from datetime import timedelta
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.storage.cover import at_or_before
from ai_usage_exporter.storage.retention import rows_complete_from
from ai_usage_exporter.storage.rollups import CUBOIDS, DAY_S, LONG_GRAINS, lock_out_writers
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from ai_usage_exporter.storage.connection import DatabaseConnection

_NAMES: Final = ("full", "service", "model", "status", "user", "duration", "pair")
_DAY: Final = timedelta(days=1)
_KEPT: Final = [(cuboid.number, grain_s) for cuboid in CUBOIDS for grain_s in cuboid.grains_s if grain_s <= DAY_S]
_CUBOIDS, _GRAINS_S = (list(column) for column in zip(*_KEPT, strict=True))


class Difference(NamedTuple):
    """Name one key whose sums are not those of the rows (of the days, if long); ``None`` where one side has nothing."""

    rollup: str
    grain_s: int
    bucket: datetime
    key: dict[str, Any]
    calls_in_rows: int | None
    calls_in_rollups: int | None
    cost_in_rows: Decimal | None
    cost_in_rollups: Decimal | None


async def load_days(connection: DatabaseConnection) -> list[datetime]:
    """Return the UTC midnights of all days between the first and the last that has rows or rollups.

    Days whose rows retention dropped are left out: their sums have nothing to be compared with or rebuilt from.
    """
    found = await connection.fetchrow(load_statement("rollups_range"))
    if found is None or found["first_day"] is None:
        return []
    complete_from = await rows_complete_from(connection)
    first_day = found["first_day"] if complete_from is None else max(found["first_day"], complete_from)
    return list(_days(first_day, found["last_day"]))


async def compare_day(connection: DatabaseConnection, day: datetime) -> list[Difference]:
    """Return what differs on one UTC day; one statement, so that writers at work cannot make it differ."""
    rows = await connection.fetch(load_statement("rollups_differ"), day, day + _DAY, _CUBOIDS, _GRAINS_S, timeout=None)
    return list(starmap(_difference, rows))


class LongBucket(NamedTuple):
    """Name a bucket longer than a day of one cuboid."""

    cuboid: int
    grain_s: int
    start: datetime


async def load_long_buckets(connection: DatabaseConnection) -> list[LongBucket]:
    """Return the long buckets that have sums of their own or of days."""
    return [
        LongBucket(*long, row["bucket"])
        for long in LONG_GRAINS
        for row in await connection.fetch(load_statement("rollups_long"), *long, timeout=None)
    ]


async def compare_long_bucket(connection: DatabaseConnection, bucket: LongBucket) -> list[Difference]:
    """Return what differs between a long bucket and its days; one statement, as ``compare_day``."""
    return list(
        starmap(_difference, await connection.fetch(load_statement("rollups_long_differ"), *bucket, timeout=None))
    )


async def rebuild_day(connection: DatabaseConnection, day: datetime) -> None:
    """Build one UTC day's rollups again from its rows, and the long buckets it is in; writers wait meanwhile."""
    async with connection.transaction():
        await lock_out_writers(connection)
        await connection.execute(load_statement("rollups_forget"), day, day + _DAY, _CUBOIDS, _GRAINS_S, timeout=None)
        await connection.execute(load_statement("rollup_keys_rebuild"), day, day + _DAY, timeout=None)
        await connection.execute(load_statement("rollups_rebuild"), day, day + _DAY, timeout=None)
        for number, grain_s in LONG_GRAINS:
            await rebuild_long_bucket(connection, LongBucket(number, grain_s, at_or_before(day, grain_s)))


async def rebuild_long_bucket(connection: DatabaseConnection, bucket: LongBucket) -> None:
    """Build a long bucket again from its days; writers wait at their last step meanwhile."""
    async with connection.transaction():
        await lock_out_writers(connection)
        for step in ("rollups_long_forget", "rollups_long_rebuild"):
            await connection.execute(load_statement(step), *bucket, timeout=None)


_DIMENSIONS: Final = (
    "service",
    "action",
    "provider",
    "model",
    "success",
    "error_code",
    "cost_status",
    "user",
    "duration_bin",
)
_OF_CUBOID: Final = {
    0: _DIMENSIONS[:7],
    1: _DIMENSIONS[:2],
    2: _DIMENSIONS[2:4],
    3: _DIMENSIONS[4:7],
    4: _DIMENSIONS[7:8],
    5: _DIMENSIONS[8:],
    6: (_DIMENSIONS[0], *_DIMENSIONS[2:4]),
}


def _difference(cuboid: int, grain_s: int, bucket: datetime, *rest: Any) -> Difference:
    return Difference(_NAMES[cuboid], grain_s, bucket, _given(cuboid, list(rest[:9])), *rest[9:])


def _given(cuboid: int, dimensions: list[Any]) -> dict[str, Any]:
    values = dict(zip(_DIMENSIONS, dimensions, strict=True))
    return {name: values[name] for name in _OF_CUBOID[cuboid]}


def _days(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += _DAY
