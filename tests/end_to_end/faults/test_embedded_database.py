"""The embedded PostgreSQL killed under load, and out of disk: the server starts it again and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.faults.receiver import until
from tests.end_to_end.faults.sender import Load

if TYPE_CHECKING:
    from tests.end_to_end.faults.conftest import Account, Receivers

DISK_MIB = 160


def writing_backend(postmaster: int) -> int:
    """Return the process id of a PostgreSQL backend that serves a client."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return next(int(child) for child in children if b"ai_usage [local]" in Path(f"/proc/{child}/cmdline").read_bytes())


@pytest.mark.timeout(300)
async def test_killed_backend_and_killed_postmaster_are_recovered_from(receivers: Receivers, account: Account) -> None:
    """C7: with the durable settings users get; the server itself brings PostgreSQL back."""
    receiver = receivers.make(embedded=True)
    await receiver.start()
    async with Load(receiver.grpc) as load:
        os.kill(writing_backend(receiver.database_pid), signal.SIGKILL)
        await load.told_to_retry()
        await load.acknowledged_more()
        os.kill(receiver.database_pid, signal.SIGKILL)
        await load.told_to_retry()
        await load.acknowledged_more(deadline_s=60)
        await load.finish()
    await receiver.becomes_ready(within_s=10)
    await account.settle(receiver.database_url, load.acknowledged, receiver=receiver)
    await receiver.stop()


def fill(file: Path) -> None:
    """Write until there is no room left."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(2**16))


@pytest.mark.timeout(300)
async def test_full_disk_is_told_and_survived(receivers: Receivers, account: Account, folder: Path) -> None:
    """C4: on a disk of its own (a tmpfs in a private mount namespace) that something else fills to the last byte."""
    assert shutil.which("unshare") and os.geteuid() == 0, "a disk of its own needs root and unshare (util-linux)"
    data = folder / "0" / "data"
    disk = f'mkdir {data} && mount -t tmpfs -o size={DISK_MIB}m,mode=755 disk {data} && exec "$@"'
    receiver = receivers.make(embedded=True, prefix=("unshare", "--mount", "--", "sh", "-c", disk, "sh"))
    await receiver.start()
    # The disk as the receiver sees it.
    inside = Path(f"/proc/{receiver.pid}/root{data}")
    ballast = inside / "ballast"
    async with Load(receiver.grpc) as load:
        await asyncio.to_thread(fill, ballast)
        await load.told_to_retry(deadline_s=90)
        await until(lambda: "No space left on device" in receiver.log, "the receiver's word for it", deadline_s=60)
        before = len(load.acknowledged)
        await load.told_to_retry(deadline_s=90)
        assert len(load.acknowledged) - before <= 40 * len(load.senders)
        ballast.unlink()
        await load.acknowledged_more(deadline_s=60)
        await load.finish()
    await receiver.becomes_ready(within_s=10)
    metrics = await receiver.metrics()
    assert metrics['ai_usage_write_failures_total{cause="disk_full"}'] > 0
    url = receiver.database_url.replace(str(data), str(inside))
    await account.settle(url, load.acknowledged, receiver=receiver)
    await receiver.stop()
