"""Faults between the receiver and the database: nothing acknowledged is lost, nothing counts twice.

Every test ends with the invariants: acknowledged calls are stored, once each, and rollups equal the rows.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.pipeline.batcher import Batcher, BatchLimits
from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage import writer as writer_module
from ai_usage_exporter.storage.batch import WriteOutcome
from ai_usage_exporter.storage.embedded import start_embedded
from ai_usage_exporter.storage.pool import PoolLimits, open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_call
from tests.integration.pipeline.conftest import Sender
from tests.invariants import check_invariants
from tests.proxy import DatabaseProxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_usage_exporter.storage.embedded import EmbeddedPostgres
    from ai_usage_exporter.storage.pool import Pools


async def test_postgresql_stopped_at_once_under_load_and_started_again(durable_server: EmbeddedPostgres) -> None:
    await _survives(durable_server, lambda pid: os.kill(pid, signal.SIGQUIT))


async def test_postgresql_killed_under_load_and_started_again(durable_server: EmbeddedPostgres) -> None:
    await _survives(durable_server, lambda pid: os.kill(pid, signal.SIGKILL))


async def _survives(server: EmbeddedPostgres, fell: Callable[[int], None]) -> None:
    pools = await open_pools(server.url)
    async with Batcher(UsageWriter(pools.ingest), BatchLimits(batch_rows=100)) as batcher:
        senders = [Sender(batcher) for _ in range(4)]
        sending = [asyncio.create_task(sender.send(60)) for sender in senders]
        await senders[0].acknowledged_more()
        fell(server.pid)
        await asyncio.gather(*(sender.told_to_retry() for sender in senders))
        assert not await pools.ping()
        again = await start_embedded(server.data_dir.parent)
        async with asyncio.timeout(30):
            await asyncio.gather(*sending)
        assert await pools.ping()
    await pools.close()
    connection = await asyncpg.connect(server.url)
    await check_invariants(connection, [call for sender in senders for call in sender.acknowledged])
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 4 * 60 * 20
    await connection.close()
    await again.stop()


async def test_backends_killed_one_after_the_other_under_load(sender: Sender, connection: Any) -> None:
    sending = asyncio.create_task(sender.send(80))
    for _ in range(5):
        await sender.acknowledged_more()
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%ai_usage%'"
        )
    await sending
    await check_invariants(connection, sender.acknowledged)


@pytest.mark.parametrize("state", ["40P01", "40001", "55P03", "23503"])
async def test_collision_is_tried_again_without_the_sender_noticing(
    state: str, sender: Sender, connection: Any
) -> None:
    await _raise_at_insert(connection, state, times=3)
    await sender.send(5)
    assert sender.retries == 0
    await check_invariants(connection, sender.acknowledged)


@pytest.mark.parametrize("state", ["40P01", "53100", "57P01", "25006", "57014", "42P01", "XX000"])
async def test_what_does_not_pass_is_given_back_to_the_sender_and_stored_once_it_does(
    state: str, sender: Sender, connection: Any
) -> None:
    await _raise_at_insert(connection, state, times=1_000_000)
    sending = asyncio.create_task(sender.send(3))
    await sender.told_to_retry()
    assert sender.acknowledged == []
    await connection.execute("DROP TRIGGER fault ON ai_usage_rollups")
    await sending
    await check_invariants(connection, sender.acknowledged)


async def _raise_at_insert(connection: Any, state: str, *, times: int) -> None:
    """Make the first writes fail between the rows and COMMIT; a sequence counts, because it outlives rollbacks."""
    await connection.execute(
        f"""
        CREATE SEQUENCE faults;
        CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('faults') <= {times} THEN
                RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER fault AFTER INSERT ON ai_usage_rollups FOR EACH STATEMENT EXECUTE FUNCTION fault();
        """
    )


async def test_deadlock_is_tried_again_without_the_sender_noticing(
    sender: Sender, pools: Pools, connection: Any
) -> None:
    """C24, for real: another transaction locks the last sum, waits until a batch waits for it, and wants the first."""
    key = "cuboid, grain_s, bucket, key_id, slot"
    lock = f"SELECT 1 FROM ai_usage_rollups WHERE ({key}) = ($1, $2, $3, $4, $5) FOR UPDATE"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await sender.send(1)
    first, *_, last = await connection.fetch(f"SELECT {key} FROM ai_usage_rollups ORDER BY {key}")
    async with pools.ingest.acquire() as other, other.transaction():
        await other.execute("SET LOCAL deadlock_timeout = '60s'")  # the batch notices, not we
        await other.execute(lock, *last)
        sending = asyncio.create_task(sender.send(1))
        async with asyncio.timeout(30):
            while not await connection.fetchval(waiting):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.02)
        assert await other.fetchval(lock, *first) == 1
    await sending
    assert sender.retries == 0
    await check_invariants(connection, sender.acknowledged)


async def test_sixty_four_writers_of_the_same_sums_keep_up(database_url: str, connection: Any) -> None:
    """C25: four writers for each slot of a sum, every call with the same keys; still above what peers store."""
    pools = await open_pools(database_url, PoolLimits(ingest_connections=64))
    batches = [[make_call() for _ in range(50)] for _ in range(128)]
    waiting = iter(batches)

    async def write(writer: UsageWriter) -> None:
        for batch in waiting:
            while True:
                try:
                    await writer.write(batch)
                    break
                except RetryableError:
                    await asyncio.sleep(0.05)

    started = asyncio.get_running_loop().time()
    try:
        await asyncio.gather(*(write(UsageWriter(pools.ingest)) for _ in range(64)))
    finally:
        await pools.close()
    rows_per_s = 128 * 50 / (asyncio.get_running_loop().time() - started)
    await check_invariants(connection, [call for batch in batches for call in batch])
    assert rows_per_s > 150


async def test_database_that_becomes_read_only_is_left_for_one_that_is_not(sender: Sender, connection: Any) -> None:
    database = await connection.fetchval("SELECT current_database()")
    await sender.send(2)
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    sending = asyncio.create_task(sender.send(3))
    await sender.told_to_retry()
    await sender.told_to_retry()
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = off")
    async with asyncio.timeout(10):
        await sending  # only new connections can write: the old ones were let go
    await check_invariants(connection, sender.acknowledged)


async def test_locked_table_costs_each_request_its_time_limit_and_no_more(pools: Pools, connection: Any) -> None:
    writer = UsageWriter(pools.ingest, timeout_s=0.5)
    loop = asyncio.get_running_loop()
    async with connection.transaction():
        await connection.execute("LOCK TABLE ai_usage_logs IN ACCESS EXCLUSIVE MODE")
        started = loop.time()
        results = await asyncio.gather(*(writer.write([make_call()]) for _ in range(3)), return_exceptions=True)
        assert loop.time() - started < 3
    assert [type(result) for result in results] == [RetryableError] * 3
    assert await writer.write([make_call()]) == WriteOutcome(stored=1)


async def test_exhausted_pool_makes_writers_wait_their_turn_and_never_blocks_queries(database_url: str) -> None:
    pools = await open_pools(database_url, PoolLimits(ingest_connections=1))
    writer = UsageWriter(pools.ingest, timeout_s=1)
    async with pools.ingest.acquire() as held:
        assert await held.fetchval("SELECT true")
        with pytest.raises(RetryableError):
            await writer.write([make_call()])
        assert await pools.ping()
    async with Batcher(UsageWriter(pools.ingest), BatchLimits(writers=4, batch_rows=20)) as batcher:
        senders = [Sender(batcher) for _ in range(50)]
        await asyncio.gather(*(sender.send(10, per_request=2) for sender in senders))
    assert sum(sender.retries for sender in senders) == 0
    await pools.close()


async def test_cancelled_callers_leave_rows_whole_and_connections_usable(batcher: Batcher, connection: Any) -> None:
    requests = [[make_call() for _ in range(10)] for _ in range(60)]
    tasks = [asyncio.create_task(batcher.submit(calls)) for calls in requests]
    choose = random.Random(7)
    while not all(task.done() for task in tasks):
        choose.choice(tasks).cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await batcher.submit([make_call()])
    await batcher.drain()
    acknowledged = [call for task, calls in zip(tasks, requests, strict=True) if not task.cancelled() for call in calls]
    await check_invariants(connection, acknowledged)
    per_request = await connection.fetch("SELECT trace_id FROM ai_usage_logs")
    stored = {row["trace_id"] for row in per_request}
    for calls in requests:
        assert sum(call.record.trace_id in stored for call in calls) in {0, 10}


async def test_two_receivers_given_the_same_batches_count_each_call_once(database_url: str, connection: Any) -> None:
    batches = [[make_call() for _ in range(30)] for _ in range(10)]
    both = [await open_pools(database_url) for _ in range(2)]
    writers = [UsageWriter(pools.ingest) for pools in both]
    deliveries = [(writer, batch) for writer in writers for batch in batches for _ in range(10)]
    random.Random(3).shuffle(deliveries)
    outcomes = []
    for start in range(0, len(deliveries), 8):
        part = deliveries[start : start + 8]
        outcomes += await asyncio.gather(*(writer.write(batch) for writer, batch in part))
    assert sum(outcome.stored for outcome in outcomes) == 300
    assert sum(outcome.duplicates for outcome in outcomes) == len(deliveries) * 30 - 300
    await check_invariants(connection, [call for batch in batches for call in batch])
    for pools in both:
        await pools.close()


async def test_failure_after_commit_before_the_reply_makes_the_retry_a_duplicate(
    sender: Sender, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = UsageWriter._transaction
    failures = iter([True, False, True])

    async def loses_the_reply(self: UsageWriter, *arguments: Any, **options: Any) -> None:
        await commit(self, *arguments, **options)
        if next(failures, False):
            raise ConnectionResetError("cut after COMMIT")

    monkeypatch.setattr(UsageWriter, "_transaction", loses_the_reply)
    await sender.send(3)
    assert sender.retries == 2
    assert [outcome.duplicates for outcome in sender.outcomes] == [20, 20, 0]
    await check_invariants(connection, sender.acknowledged)


@pytest.mark.parametrize("point", ["before the rows", "between rows and rollups", "before COMMIT"])
async def test_connection_lost_within_a_transaction_leaves_nothing_of_it(
    point: str, sender: Sender, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = iter([True])

    def cut(step: Callable[..., Awaitable[None]], *, after: bool) -> Callable[..., Awaitable[None]]:
        async def with_cut(used: Any, *arguments: Any) -> None:
            if after:
                await step(used, *arguments)
            if next(cuts, False):
                await connection.execute("SELECT pg_terminate_backend($1)", used.get_server_pid())
            if not after:
                await step(used, *arguments)

        return with_cut

    match point:
        case "before the rows":
            monkeypatch.setattr(writer_module, "copy_rows", cut(writer_module.copy_rows, after=False))
        case "between rows and rollups":
            monkeypatch.setattr(rollups, "apply", cut(rollups.apply, after=False))
        case _:
            monkeypatch.setattr(rollups, "apply", cut(rollups.apply, after=True))
    await sender.send(3)
    assert sender.retries == 1
    assert [outcome.duplicates for outcome in sender.outcomes] == [0, 0, 0]
    await check_invariants(connection, sender.acknowledged)


@pytest.mark.parametrize("answered", [True, False], ids=["COMMIT reached the server", "COMMIT was lost"])
async def test_connection_cut_at_commit_counts_as_failed_and_the_retry_settles_it(
    answered: bool, postgres_server_url: str, database_url: str, connection: Any
) -> None:
    async with DatabaseProxy(database_url) as proxy:
        proxy.forwards_commit = answered
        pools = await open_pools(proxy.url)
        async with Batcher(UsageWriter(pools.ingest), BatchLimits(writers=1)) as batcher:
            sender = Sender(batcher)
            await sender.send(1)
            proxy.commits_to_cut = 1
            await sender.send(2)
        assert sender.retries == 1
        assert [outcome.duplicates for outcome in sender.outcomes] == [0, 20 if answered else 0, 0]
        await pools.close()
    await check_invariants(connection, sender.acknowledged)
