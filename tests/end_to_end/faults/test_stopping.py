"""SIGTERM under load: what is in flight is finished, nothing acknowledged is lost, and it ends with 0."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.faults.receiver import until
from tests.end_to_end.faults.sender import Load, Sender

if TYPE_CHECKING:
    import asyncpg

    from tests.end_to_end.faults.conftest import Account, Receivers


@pytest.mark.timeout(300)
async def test_sigterm_under_load_ends_with_zero_and_loses_nothing(
    receivers: Receivers, account: Account, database_url: str
) -> None:
    """C28: the senders go on and find the next receiver on the same address."""
    receiver = receivers.make()
    await receiver.start()
    async with Load(receiver.grpc, senders=6) as load:
        await load.acknowledged_more()
        await receiver.stop(within_s=12)
        assert '"stopped"' in receiver.log
        assert "Traceback" not in receiver.log, receiver.log
        await load.told_to_retry()
        await receiver.start()
        await load.acknowledged_more()
        await load.finish()
    await account.settle(database_url, load.acknowledged, receiver=receiver)
    await receiver.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGKILL])
async def test_second_signal_does_not_wait_for_what_is_in_flight(
    again: signal.Signals,
    receivers: Receivers,
    account: Account,
    database_url: str,
    connection: asyncpg.Connection[Any],
) -> None:
    """C28, C29: one request waits for a lock, one for its body, when the receiver is told to stop, and told again."""
    receiver = receivers.make(AI_USAGE_SHUTDOWN_GRACE="60")
    await receiver.start()
    sender = Sender(receiver.grpc)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE ai_usage_logs IN ACCESS EXCLUSIVE MODE")
    sending = asyncio.create_task(sender.send(1))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(30):
        while not await connection.fetchval(waiting):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)
    host, _, port = receiver.http.rpartition(":")
    _, stalled = await asyncio.open_connection(host, int(port))
    stalled.write(
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
        b"content-type: application/x-protobuf\r\n\r\nhalf"
    )
    receiver.process.terminate()
    await until(lambda: '"stopping"' in receiver.log, "its word that it stops")
    assert receiver.process.poll() is None
    receiver.process.send_signal(again)
    code = await asyncio.to_thread(receiver.process.wait, 20)  # of 60 s that the stalled request would be given
    assert code == (0 if again is signal.SIGTERM else -signal.SIGKILL), receiver.log
    assert "Traceback" not in receiver.log, receiver.log
    stalled.close()
    await transaction.rollback()
    await until(lambda: sender.sent_again, "a refusal")
    await receiver.start()
    await sending
    name = f"stopped by SIGTERM and {again.name}"
    await account.settle(database_url, sender.acknowledged, receiver=receiver, name=name)
    await receiver.stop()
