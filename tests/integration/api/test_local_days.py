"""Days are those of the asker's time zone: 23, 24, 24.5 or 25 hours long, beginning at any quarter of a UTC hour."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.insert import copy_rows
from ai_usage_exporter.storage.row import to_row
from tests.factories import make_call

if TYPE_CHECKING:
    import asyncpg
    import httpx2

PREFIX = "/api/admin/ai-usage"


class LocalDay(NamedTuple):
    zone: str
    day: str
    following: str
    hours: float
    begins: str
    """In UTC."""


DAYS = (
    LocalDay("America/New_York", "2026-03-08", "2026-03-09", 23, "2026-03-08T05:00:00+00:00"),
    LocalDay("America/New_York", "2026-11-01", "2026-11-02", 25, "2026-11-01T04:00:00+00:00"),
    LocalDay("Australia/Lord_Howe", "2026-10-04", "2026-10-05", 23.5, "2026-10-03T13:30:00+00:00"),
    LocalDay("Australia/Lord_Howe", "2026-04-05", "2026-04-06", 24.5, "2026-04-04T13:00:00+00:00"),
    LocalDay("Asia/Kathmandu", "2026-10-04", "2026-10-05", 24, "2026-10-03T18:15:00+00:00"),
)


@pytest.mark.parametrize("local", DAYS, ids=lambda local: f"{local.zone.split('/')[1]}-{local.day}")
@pytest.mark.parametrize("group_by", ["model", "user"])
async def test_day_buckets_hold_exactly_the_calls_of_the_local_day(
    admin: httpx2.AsyncClient, connection: asyncpg.Connection[asyncpg.Record], local: LocalDay, group_by: str
) -> None:
    zone = ZoneInfo(local.zone)
    begins = datetime.fromisoformat(local.begins)
    ends = begins + timedelta(hours=local.hours)
    dice = random.Random(local.day)
    # Right at, before and after both ends of the day, and all over the three days.
    moments = [edge + timedelta(microseconds=step) for edge in (begins, ends) for step in (-1, 0, 1)]
    moments += [begins + timedelta(seconds=dice.randrange(-86_400, 2 * 86_400)) for _ in range(120)]
    rows = [
        to_row(make_call(created_at=moment, model=dice.choice(["a", "b"]), amount_usd="0.000000000007"), {})
        for moment in moments
    ]
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        await copy_rows(connection, rows)
        await rollups.apply(connection, [rollups.entry_of(row) for row in rows])
    first = datetime.fromisoformat(local.day).date() - timedelta(days=1)
    period = {"from": first.isoformat(), "to": (first + timedelta(days=3)).isoformat(), "tz": local.zone}

    answer = (await admin.get(f"{PREFIX}/timeseries", params=period | {"interval": "day", "group_by": group_by})).json()

    starts = [datetime.fromisoformat(bucket["start"]) for bucket in answer["buckets"]]
    assert [start.astimezone(zone).date() for start in starts] == [first + timedelta(days=n) for n in range(3)]
    assert starts[1] == begins
    assert starts[2] == ends
    expected = Counter(moment.astimezone(zone).date() for moment in moments)
    for place, start in enumerate(starts):
        points = [series["points"][place] for series in answer["series"]]
        calls = expected[start.astimezone(zone).date()]
        assert sum(point["requests"] for point in points) == calls
        assert sum(Decimal(point["cost_usd"]) for point in points) == calls * Decimal("0.000000000007")


@pytest.mark.parametrize("local", DAYS, ids=lambda local: f"{local.zone.split('/')[1]}-{local.day}")
async def test_summary_of_one_local_day_counts_its_calls_only(
    admin: httpx2.AsyncClient, connection: asyncpg.Connection[asyncpg.Record], local: LocalDay
) -> None:
    begins = datetime.fromisoformat(local.begins).astimezone(UTC)
    ends = begins + timedelta(hours=local.hours)
    moments = [edge + timedelta(microseconds=step) for edge in (begins, ends) for step in (-1, 0, 1)]
    await copy_rows(connection, [to_row(make_call(created_at=moment), {}) for moment in moments])

    answer = (
        await admin.get(f"{PREFIX}/summary", params={"from": local.day, "to": local.following, "tz": local.zone})
    ).json()

    assert answer["total_requests"] == 3
