"""Rows land in the partition of their month; making one moves what had to wait in the default partition."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg

from ai_usage_exporter.storage import partitions
from tests.factories import make_call

if TYPE_CHECKING:
    import pytest

    from ai_usage_exporter.storage.pool import Pools
    from ai_usage_exporter.storage.writer import UsageWriter

TODAY = date(2026, 12, 15)


async def _partitions(connection: Any) -> list[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
        "WHERE inhparent = 'ai_usage_logs'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def test_last_this_and_the_next_two_months_are_made_once(connection: Any) -> None:
    created = await partitions.ensure_partitions(connection, today=TODAY)
    assert list(created) == [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)]
    assert await partitions.ensure_partitions(connection, today=TODAY) == {}
    assert await _partitions(connection) == [
        "ai_usage_logs_2026_11",
        "ai_usage_logs_2026_12",
        "ai_usage_logs_2027_01",
        "ai_usage_logs_2027_02",
        "ai_usage_logs_default",
    ]


async def test_rows_move_out_of_the_default_partition_and_stay_the_same(writer: UsageWriter, connection: Any) -> None:
    # The edges of a month, an older month nobody made, and a time so old that it stays where it is.
    first = datetime(2026, 12, 1, tzinfo=UTC)
    times = [
        first,
        first - timedelta(microseconds=1),
        datetime(2026, 3, 5, tzinfo=UTC),
        datetime(1999, 1, 1, tzinfo=UTC),
    ]
    calls = [make_call(created_at=time) for time in times]
    await writer.write(calls)
    before = await connection.fetch("SELECT * FROM ai_usage_logs ORDER BY id")
    created = await partitions.ensure_partitions(connection, today=TODAY)
    assert {month: moved for month, moved in created.items() if moved} == {
        date(2026, 3, 1): 1,
        date(2026, 11, 1): 1,
        date(2026, 12, 1): 1,
    }
    assert await connection.fetch("SELECT * FROM ai_usage_logs ORDER BY id") == before
    assert await connection.fetchval("SELECT count(*) FROM ONLY ai_usage_logs_default") == 1
    assert (await writer.write(calls)).duplicates == 4


async def test_new_partition_has_the_constraints_and_indexes_of_the_table(connection: Any) -> None:
    await partitions.ensure_partitions(connection, today=TODAY)
    attached = await connection.fetch(
        """
        SELECT count(*) AS indexes FROM pg_index
        JOIN pg_inherits ON inhrelid = indexrelid
        WHERE indrelid = 'ai_usage_logs_2026_12'::regclass
        """
    )
    of_parent = await connection.fetchval("SELECT count(*) FROM pg_index WHERE indrelid = 'ai_usage_logs'::regclass")
    assert attached[0]["indexes"] == of_parent
    names = "SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('c', 'f') ORDER BY 1"
    assert [row["conname"] for row in await connection.fetch(names, "ai_usage_logs_2026_12")] == [
        row["conname"] for row in await connection.fetch(names, "ai_usage_logs")
    ]


async def test_two_servers_making_partitions_at_once_do_not_disturb_each_other(database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(3)]
    results = await asyncio.gather(
        *(partitions.ensure_partitions(connection, today=TODAY) for connection in connections)
    )
    assert sorted(month for created in results for month in created) == [
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
        date(2027, 2, 1),
    ]
    for connection in connections:
        await connection.close()


async def test_writing_goes_on_while_partitions_are_made(writer: UsageWriter, connection: Any) -> None:
    start = datetime(2026, 12, 1, tzinfo=UTC)

    async def write_on() -> int:
        outcomes = [
            await writer.write(
                [make_call(created_at=start + timedelta(minutes=number)) for number in range(at, at + 50)]
            )
            for at in range(0, 1000, 50)
        ]
        return sum(outcome.stored for outcome in outcomes)

    stored, _ = await asyncio.gather(write_on(), partitions.ensure_partitions(connection, today=TODAY))
    assert stored == 1000
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 1000


async def test_keeper_makes_partitions_and_survives_a_database_that_is_away(
    pools: Pools, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "RETRY_INTERVAL_S", 0.01)
    tried, done = asyncio.Event(), asyncio.Event()
    ensure = partitions.ensure_partitions

    async def away_at_first(*arguments: Any) -> dict[date, int]:
        if not tried.is_set():
            tried.set()
            raise ConnectionRefusedError("away")
        try:
            return await ensure(*arguments)
        finally:
            done.set()

    monkeypatch.setattr(partitions, "ensure_partitions", away_at_first)
    keeper = asyncio.create_task(partitions.keep_partitions(pools.ingest))
    async with asyncio.timeout(10):
        await done.wait()
    assert len(await _partitions(connection)) == 5
    keeper.cancel()
