"""Rollups: equal to the rows whatever was written, by however many writers, and repaired when they are not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.fold import fold_slots
from ai_usage_exporter.storage.insert import copy_rows
from ai_usage_exporter.storage.row import to_row
from ai_usage_exporter.storage.verify import (
    LongBucket,
    compare_day,
    compare_long_bucket,
    load_days,
    load_long_buckets,
    rebuild_day,
    rebuild_long_bucket,
)
from tests.factories import make_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.verify import Difference

    Connection = asyncpg.Connection[asyncpg.Record]

START = datetime(2026, 11, 20, 22, 40, tzinfo=UTC)


async def write(connection: Connection, calls: Sequence[PricedCall]) -> None:
    rows = [to_row(call, {}) for call in calls]
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        await copy_rows(connection, rows)
        await rollups.apply(connection, [rollups.entry_of(row) for row in rows])


async def differences(connection: Connection) -> list[Difference]:
    by_day = [found for day in await load_days(connection) for found in await compare_day(connection, day)]
    long = [await compare_long_bucket(connection, bucket) for bucket in await load_long_buckets(connection)]
    return by_day + [found for different in long for found in different]


def some_calls(count: int, seed: int) -> list[PricedCall]:
    chance = random.Random(seed)
    return [
        make_call(
            amount_usd=chance.choice([None, "0.000000000001", "1.23456789", "0.1"]),
            created_at=START + timedelta(seconds=chance.randrange(6 * 3600), microseconds=chance.randrange(1_000_000)),
            user=chance.choice([None, "anna", "björn", "c:3-", ""]),
            service_name=chance.choice(["xray", "cv", "é|1:x"]),
            service_action=chance.choice([None, "analyze", ""]),
            model=chance.choice(["gpt-4o", "claude", "-"]),
            success=(good := chance.random() < 0.8),
            error_code=None if good or chance.random() < 0.3 else "429",
            duration_ms=chance.choice([None, 0, 1, 900, 1_250, 64_000]),
            usage=TokenUsage(
                input_tokens=chance.randrange(5_000),
                output_tokens=chance.randrange(900),
                cache_read_tokens=chance.choice([None, 3]),
                reasoning_tokens=chance.choice([None, 7]),
            ),
        )
        for _ in range(count)
    ]


async def test_are_equal_to_the_rows_after_several_batches(connection: Connection) -> None:
    for seed in range(4):
        await write(connection, some_calls(150, seed))

    assert await differences(connection) == []
    assert (
        await connection.fetchval("SELECT sum(calls) FROM ai_usage_rollups WHERE cuboid = 4 AND grain_s = 86400") == 600
    )


async def test_are_equal_to_the_rows_after_batches_of_one_day_and_of_several(connection: Connection) -> None:
    calls = sorted(some_calls(120, 5), key=lambda call: call.record.created_at)
    one_day = [call for call in calls if call.record.created_at.day == START.day]
    # A bucket of thirty days begins on 3 December 2026: a batch on both sides of it, one before, one after.
    december = datetime(2026, 12, 1, tzinfo=UTC)
    late = [
        call._replace(record=call.record._replace(created_at=december + number * timedelta(hours=8)))
        for number, call in enumerate(one_day)
    ]
    assert len({int(call.record.created_at.timestamp()) // rollups.THIRTY_DAYS_S for call in late}) == 2

    for batch in (calls, one_day, late, late[:1], late[-1:]):
        await write(connection, [call._replace(record=call.record._replace(id=uuid4())) for call in batch])

    assert await differences(connection) == []


async def test_return_to_nothing_when_rows_are_taken_back(connection: Connection) -> None:
    calls = some_calls(40, 7)
    await write(connection, calls)
    rows = [to_row(call, {}) for call in calls]

    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        await connection.execute("DELETE FROM ai_usage_logs")
        await rollups.apply(connection, [rollups.entry_of(row, -1) for row in rows])

    assert await differences(connection) == []
    assert await connection.fetchval("SELECT sum(abs(calls)) FROM ai_usage_rollups") == 0


async def test_of_concurrent_writers_on_the_same_keys_are_equal_to_the_rows_and_nobody_waits(
    connection: Connection, database_url: str
) -> None:
    others = [await asyncpg.connect(database_url) for _ in range(6)]
    try:
        # Every transaction stays open until all have applied: with row locks on hot keys this would never end.
        everybody = asyncio.Barrier(len(others))

        async def write_and_meet(other: Connection, seed: int) -> None:
            rows = [to_row(call, {}) for call in some_calls(100, seed)]
            async with other.transaction():
                await other.execute(rollups.APPLIED)
                await copy_rows(other, rows)
                await rollups.apply(other, [rollups.entry_of(row) for row in rows])
                await everybody.wait()

        for seed in range(len(others)):
            await write(connection, some_calls(100, seed))  # the keys exist: only a new one is waited for
        async with asyncio.timeout(30):
            await asyncio.gather(*(write_and_meet(other, seed) for seed, other in enumerate(others)))
    finally:
        for other in others:
            await other.close()

    assert await differences(connection) == []
    assert await connection.fetchval("SELECT count(DISTINCT slot) FROM ai_usage_rollups") == 6


async def test_of_several_slots_are_brought_together_while_others_write(
    connection: Connection, database_url: str
) -> None:
    others = [await asyncpg.connect(database_url) for _ in range(4)]
    everybody = asyncio.Barrier(len(others))

    async def write_and_meet(other: Connection, seed: int) -> None:
        async with other.transaction():
            await write(other, some_calls(60, seed))
            await everybody.wait()

    try:
        for seed in range(len(others)):
            await write(connection, some_calls(60, seed))  # the keys exist: only a new one is waited for
        async with asyncio.timeout(60):
            await asyncio.gather(*(write_and_meet(other, seed) for seed, other in enumerate(others)))
            assert await connection.fetchval("SELECT count(DISTINCT slot) FROM ai_usage_rollups") == len(others)
            await asyncio.gather(
                fold_slots(connection),
                fold_slots(others[0]),
                *(write(other, some_calls(60, 10 + seed)) for seed, other in enumerate(others[1:])),
            )
    finally:
        for other in others:
            await other.close()
    await fold_slots(connection)

    assert await connection.fetchval("SELECT max(slot) FROM ai_usage_rollups") == 0
    assert await differences(connection) == []
    assert await fold_slots(connection) == 0


async def test_of_more_writers_than_slots_are_equal_to_the_rows(connection: Connection, database_url: str) -> None:
    others = [await asyncpg.connect(database_url) for _ in range(rollups.SLOTS + 4)]
    try:
        async with asyncio.timeout(60):
            for turn in range(2):
                await asyncio.gather(
                    *(write(other, some_calls(30, turn * 100 + seed)) for seed, other in enumerate(others))
                )
    finally:
        for other in others:
            await other.close()

    assert await differences(connection) == []


async def test_follow_rows_that_others_insert_change_and_delete(connection: Connection) -> None:
    await copy_rows(connection, [to_row(call, {}) for call in some_calls(60, 21)])
    assert await differences(connection) == []

    await connection.execute("UPDATE ai_usage_logs SET cost_usd = cost_usd + 0.1, model = 'other' WHERE success")
    await connection.execute("UPDATE ai_usage_logs SET created_at = created_at - interval '40 days' WHERE NOT success")
    await connection.execute("DELETE FROM ai_usage_logs WHERE service_name = 'cv'")
    assert await differences(connection) == []


async def test_follow_the_deletion_of_a_user(connection: Connection) -> None:
    user = await connection.fetchval("INSERT INTO users VALUES (gen_random_uuid(), 'a@example.com') RETURNING id")
    await write(connection, some_calls(10, 22))
    await connection.execute("UPDATE ai_usage_logs SET user_id = $1, user_ref = NULL", user)
    assert await connection.fetchval("SELECT user_key FROM ai_usage_rollup_keys WHERE user_key = $1", str(user))

    await connection.execute("DELETE FROM users")

    assert await differences(connection) == []


async def test_survive_rows_moving_from_the_default_partition_to_a_month_of_their_own(connection: Connection) -> None:
    await write(connection, some_calls(50, 23))
    await connection.execute("UPDATE ai_usage_logs SET created_at = created_at - interval '300 days'")
    in_default = await connection.fetchval("SELECT count(*) FROM ai_usage_logs_default")
    assert in_default == 50

    await connection.execute("SELECT ai_usage_create_partition((min(created_at))::date) FROM ai_usage_logs_default")

    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs_default") == 0
    assert await differences(connection) == []
    await connection.execute("INSERT INTO ai_usage_logs (service_name, provider, model) VALUES ('s', 'p', 'm')")
    assert await differences(connection) == []


@dataclass(frozen=True)
class Corruption:
    statement: str
    rollup: str
    grain_s: int


@pytest.mark.parametrize(
    "corruption",
    [
        Corruption(
            "UPDATE ai_usage_rollups SET calls = calls + 1 WHERE ctid = (SELECT min(ctid) FROM ai_usage_rollups_model "
            "WHERE grain_s = 3600) AND cuboid = 2",
            "model",
            3_600,
        ),
        Corruption(
            "UPDATE ai_usage_rollups SET cost_usd = cost_usd - 0.000000000001 WHERE ctid = "
            "(SELECT min(ctid) FROM ai_usage_rollups_service WHERE grain_s = 900) AND cuboid = 1",
            "service",
            900,
        ),
        Corruption(
            "UPDATE ai_usage_rollups SET succeeded = succeeded - 1 WHERE ctid = (SELECT min(ctid) FROM "
            "ai_usage_rollups_user WHERE grain_s = 2592000) AND cuboid = 4",
            "user",
            2_592_000,
        ),
        Corruption(
            "INSERT INTO ai_usage_rollups SELECT cuboid, grain_s, bucket, 12345, slot, calls, succeeded, priced_calls, "
            "input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, "
            "cost_usd, duration_ms, timed_calls FROM ai_usage_rollups WHERE cuboid = 3 AND grain_s = 3600 LIMIT 1",
            "status",
            3_600,
        ),
        Corruption(
            "UPDATE ai_usage_rollups SET timed_calls = timed_calls + 1 WHERE ctid = "
            "(SELECT min(ctid) FROM ai_usage_rollups_duration WHERE grain_s = 3600) AND cuboid = 5",
            "duration",
            3_600,
        ),
    ],
    ids=lambda corruption: corruption.rollup,
)
async def test_verify_names_the_one_corrupted_key_and_rebuild_repairs_it(
    connection: Connection, corruption: Corruption
) -> None:
    await write(connection, some_calls(200, 3))
    assert await connection.execute(corruption.statement) in {"UPDATE 1", "DELETE 1", "INSERT 0 1"}

    found = await differences(connection)

    assert [(difference.rollup, difference.grain_s) for difference in found] == [
        (corruption.rollup, corruption.grain_s)
    ]
    if corruption.grain_s > rollups.DAY_S:
        await rebuild_long_bucket(connection, LongBucket(4, corruption.grain_s, found[0].bucket))
    else:
        await rebuild_day(connection, found[0].bucket.replace(hour=0, minute=0))
    assert await differences(connection) == []


async def test_a_lost_sum_of_a_users_day_is_missed_there_and_in_the_long_bucket(connection: Connection) -> None:
    await write(connection, some_calls(200, 3))
    await connection.execute(
        "DELETE FROM ai_usage_rollups WHERE cuboid = 4 AND ctid = (SELECT min(ctid) FROM ai_usage_rollups_user "
        "WHERE grain_s = 86400)"
    )

    found = await differences(connection)

    assert [(difference.rollup, difference.grain_s) for difference in found] == [("user", 86_400), ("user", 2_592_000)]
    await rebuild_day(connection, found[0].bucket)
    assert await differences(connection) == []


async def test_rebuild_while_writers_work_loses_and_doubles_nothing(connection: Connection, database_url: str) -> None:
    await write(connection, some_calls(200, 1))
    writer, rebuilder = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    rows = [to_row(call, {}) for call in some_calls(100, 2)]
    try:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(rollups.APPLIED)
        await copy_rows(writer, rows)
        await rollups.apply(writer, [rollups.entry_of(row) for row in rows])
        rebuilding = asyncio.create_task(rebuild_day(rebuilder, START.replace(hour=0, minute=0)))
        async with asyncio.timeout(20):
            while not await connection.fetchval(  # noqa: ASYNC110 - another session's wait has no event here
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ):
                await asyncio.sleep(0.01)
        assert not rebuilding.done()
        await transaction.commit()
        await asyncio.wait_for(rebuilding, 20)
    finally:
        await writer.close()
        await rebuilder.close()

    assert await differences(connection) == []


async def test_bins_and_keys_are_the_same_in_python_and_in_the_database(connection: Connection) -> None:
    durations = sorted({edge + step for edge in rollups.DURATION_BOUNDS_MS for step in (-1, 0, 1)} | {10**12})
    in_database = await connection.fetch("SELECT ai_usage_duration_bin(d) FROM unnest($1::bigint[]) AS d", durations)

    assert [row[0] for row in in_database] == [rollups.duration_bin(duration) for duration in durations]
    for duration in durations[:-1]:
        if 0 < duration < rollups.DURATION_BOUNDS_MS[-1]:
            middle = rollups.duration_of_bin(rollups.duration_bin(duration) or 0)
            assert abs(middle - duration) <= rollups.DURATION_ERROR * duration


async def test_rebuilt_sums_have_the_keys_the_writer_gave_them(connection: Connection) -> None:
    await write(connection, some_calls(120, 11))
    before = await connection.fetch(
        "SELECT cuboid, grain_s, bucket, key_id, sum(calls), sum(cost_usd) FROM ai_usage_rollups GROUP BY 1, 2, 3, 4 "
        "ORDER BY 1, 2, 3, 4"
    )
    for day in await load_days(connection):
        await rebuild_day(connection, day)
    after = await connection.fetch(
        "SELECT cuboid, grain_s, bucket, key_id, calls, cost_usd FROM ai_usage_rollups ORDER BY 1, 2, 3, 4"
    )

    assert [tuple(row) for row in after] == [tuple(row) for row in before]


def test_a_million_dollars_of_smallest_amounts_is_exact() -> None:
    call = make_call(amount_usd="0.000000000001", created_at=START)
    entry = rollups.entry_of(to_row(call, {}))
    sums, _ = rollups._add_up([entry._replace(cost_usd=Decimal("999999.999999999999")), entry])

    assert {measures[9] for measures in sums.values()} == {Decimal("1000000.000000000000")}
