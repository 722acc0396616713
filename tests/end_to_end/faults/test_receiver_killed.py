"""C6, C29: the receiver killed hard, at chosen points and at random moments under load: nothing lost, none twice."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from ai_usage_exporter.storage.embedded import start_embedded
from tests.end_to_end.faults.receiver import SERVE
from tests.end_to_end.faults.sender import Load, Sender, ids_of, request

if TYPE_CHECKING:
    from tests.end_to_end.faults.conftest import Account, Receivers

SERVE_RECEIVER = (*SERVE, "--only", "receiver")
KILLS_ITSELF = Path(__file__).with_name("kills_itself.py")


async def _kill_at_random_moments(receivers: Receivers, account: Account, kills: int, *, seed: int) -> None:
    choose = random.Random(seed)
    receiver = receivers.make(embedded=True, command=SERVE_RECEIVER)
    await receiver.start()
    async with Load(receiver.grpc, senders=6) as load:
        for number in range(kills):
            await asyncio.sleep(choose.uniform(0, 0.6))
            receiver.kill(database_too=number % 5 == 4)
            await receiver.start()
        await load.finish()
    assert all(sender.sent_again for sender in load.senders)
    await receiver.stop()
    server = await start_embedded(receiver.data_dir)
    await account.settle(server.url, load.acknowledged, name=f"receiver killed {kills} times")
    await server.stop()


@pytest.mark.timeout(400)
async def test_receiver_killed_at_random_moments_loses_and_doubles_nothing(
    receivers: Receivers, account: Account
) -> None:
    await _kill_at_random_moments(receivers, account, 12, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(1800)
async def test_receiver_killed_at_two_hundred_random_moments_loses_and_doubles_nothing(
    receivers: Receivers, account: Account
) -> None:
    await _kill_at_random_moments(receivers, account, 200, seed=2)


@pytest.mark.timeout(400)
async def test_receiver_killed_at_each_point_of_a_transaction_leaves_all_of_it_or_nothing(
    receivers: Receivers, account: Account, database_url: str
) -> None:
    """C6: one request, and a receiver that dies on it four times; only after COMMIT are there rows to find."""
    body = request(40)
    rows_after = {"before the rows": 0, "between rows and rollups": 0, "before COMMIT": 0, "after COMMIT": 40}
    connection = await asyncpg.connect(database_url)
    for point, rows in rows_after.items():
        receiver = receivers.make(command=(sys.executable, str(KILLS_ITSELF), point))
        await receiver.start()
        delivering = asyncio.create_task(Sender(receiver.grpc).deliver(body))
        assert await asyncio.to_thread(receiver.process.wait, 60) == -signal.SIGKILL
        delivering.cancel()
        assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == rows, point
    await connection.close()
    last = receivers.make()
    await last.start()
    await Sender(last.grpc).deliver(body)
    assert (await last.metrics())['ai_usage_spans_total{fate="duplicate"}'] == 40
    await account.settle(database_url, set(ids_of(body)), receiver=last)
