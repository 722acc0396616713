"""Connections made to wear the receiver out: others are answered as before, and memory and processor come back."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.conftest import _database
from tests.end_to_end.faults import http2
from tests.end_to_end.faults.receiver import Receiver
from tests.end_to_end.faults.sender import Load, ids_of, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.end_to_end.faults.conftest import Account, Receivers
    from tests.end_to_end.faults.sender import SpanId

SOURCES = [f"127.0.0.{number}" for number in range(2, 10)]
HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
CPU_AT_REST = 0.25
"""Share of a core that counts as having nothing to do."""


@pytest.fixture(scope="module")
def shared_database_url(postgres_server_url: str, template_database: str) -> Iterator[str]:
    """Give a database for the whole module."""
    yield from _database(postgres_server_url, template=template_database)


@pytest.fixture(scope="module")
def receiver(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Give one receiver for the whole module: what one test does to it must not matter to the next."""
    running = Receiver(tmp_path_factory.mktemp("receiver"), database_url=shared_database_url)
    asyncio.run(running.start())
    yield running
    running.close()


async def rests(receiver: Receiver, *, within_s: float = 5) -> None:
    """Wait until the process has nothing to do."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within_s):
        while True:
            cpu, started = receiver.cpu_s, loop.time()
            await asyncio.sleep(0.5)
            if (receiver.cpu_s - cpu) / (loop.time() - started) < CPU_AT_REST:
                return


@contextlib.asynccontextmanager
async def unaffected(
    receiver: Receiver, account: Account, database_url: str, *, more_mib: float
) -> AsyncIterator[None]:
    """Send all the while: requests are acknowledged in their first try; memory and processor come back."""
    before_mib = receiver.rss_mib
    async with Load(receiver.grpc, senders=2) as load:
        before_mib = max(before_mib, receiver.rss_mib)
        yield
        await load.acknowledged_more()
        await load.finish()
    assert not load.sent_again, {code for sender in load.senders for code in sender.answers}
    await rests(receiver)
    assert receiver.rss_mib - before_mib < more_mib
    await account.settle(database_url, load.acknowledged, receiver=receiver, exactly=False)


@pytest.mark.parametrize("frames", [http2.rapid_reset, http2.pings, http2.continuations, http2.settings])
async def test_flood_of_http2_frames_disturbs_nobody(
    frames: Callable[[], Iterator[bytes]], receiver: Receiver, account: Account, shared_database_url: str
) -> None:
    """C32: as fast as they are taken; the processor rests 5 s after it."""
    async with unaffected(receiver, account, shared_database_url, more_mib=64):
        hung_up = await http2.flood(receiver.grpc, frames())
        print(f"{frames.__name__}: {'hung up' if hung_up else 'taken'}")


async def test_pings_without_end_are_told_to_calm_down(receiver: Receiver) -> None:
    """C32: slowly enough to hear the answer."""
    said = await http2.flood(receiver.grpc, http2.pings(), at_once=1, pause_s=0.02)
    assert http2.goaway_codes(said) == [http2.ENHANCE_YOUR_CALM]


async def test_stalled_streams_disturb_nobody(receiver: Receiver, account: Account, shared_database_url: str) -> None:
    """C31: 20 connections with 100 streams each that never get further than half a message."""
    half = b"".join(
        http2.frame(http2.HEADERS, stream, http2.EXPORT_HEADERS, flags=http2.END_HEADERS)
        + http2.frame(http2.DATA, stream, b"\0\0\0\4\0half")
        for stream in range(1, 200, 2)
    )
    host, _, port = receiver.grpc.rpartition(":")
    async with unaffected(receiver, account, shared_database_url, more_mib=96):
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        for _, writer in opened:
            writer.write(http2.PREFACE + http2.frame(http2.SETTINGS) + half)
        await asyncio.gather(*(writer.drain() for _, writer in opened))
    for _, writer in opened:
        writer.close()


async def test_connection_that_says_nothing_in_grpc_is_closed(receiver: Receiver) -> None:
    """C31: the handshake has 10 s."""
    host, _, port = receiver.grpc.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(http2.PREFACE[:5])
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass
    writer.close()


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, more: bytes = b"") -> int:
    """Send one request on a connection that stays, and return the status of its answer."""
    writer.write(HEAD + more + b"content-length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split()[1])


async def test_gzip_bombs_disturb_nobody(receiver: Receiver, account: Account, shared_database_url: str) -> None:
    """C15: 10 bodies that would become 256 MiB each."""
    bomb = gzip.compress(bytes(2**28), 9)
    async with unaffected(receiver, account, shared_database_url, more_mib=128):
        for _ in range(10):
            host, _, port = receiver.http.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            assert await post(reader, writer, bomb, b"content-encoding: gzip\r\n") == 413
            writer.close()


async def _idle_and_active(
    receiver: Receiver, account: Account, database_url: str, *, idle: int, active: int, name: str
) -> None:
    sources = itertools.cycle(SOURCES)
    before_mib, files = receiver.rss_mib, receiver.open_files
    opened = []
    for number in range(idle):
        host, _, port = (receiver.grpc if number % 2 else receiver.http).rpartition(":")
        connection = await asyncio.open_connection(host, int(port), local_addr=(next(sources), 0))
        if number % 2:
            connection[1].write(http2.PREFACE + http2.frame(http2.SETTINGS))
        opened.append(connection)
    acknowledged: set[SpanId] = set()
    seconds: list[float] = []
    host, _, port = receiver.http.rpartition(":")

    async def send(seed: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port), local_addr=(next(sources), 0))
        for number in range(3):
            body = request(1, seed=seed * 10 + number)
            started = asyncio.get_running_loop().time()
            assert await post(reader, writer, body) == 200
            seconds.append(asyncio.get_running_loop().time() - started)
            acknowledged.update(ids_of(body))
        writer.close()

    await asyncio.gather(*map(send, range(active)))
    assert receiver.open_files - files > idle * 0.9, "connections were closed"
    seconds.sort()
    p99 = seconds[int(len(seconds) * 0.99)]
    growth_mib = receiver.rss_mib - before_mib
    print(f"{idle} idle, {active} active: p99 {p99:.2f} s, {growth_mib:.0f} MiB more")
    assert p99 < 10  # what senders wait
    assert growth_mib < 64 + (idle + active) * 48 / 1024
    for _, writer in opened:
        writer.close()
    await rests(receiver, within_s=30)
    await account.settle(database_url, acknowledged, receiver=receiver, exactly=False, name=name)


async def test_thousand_idle_connections_disturb_nobody(
    receiver: Receiver, account: Account, shared_database_url: str
) -> None:
    """C30, in short."""
    name = "1000 idle connections, 50 active"
    await _idle_and_active(receiver, account, shared_database_url, idle=1_000, active=50, name=name)


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_ten_thousand_idle_connections_disturb_nobody(
    receivers: Receivers, account: Account, database_url: str
) -> None:
    """C30: beside a thousand active ones, within a limit of 20,000 files."""
    receiver = receivers.make()
    await receiver.start()
    name = "10000 idle connections, 1000 active"
    await _idle_and_active(receiver, account, database_url, idle=10_000, active=1_000, name=name)


@pytest.mark.timeout(300)
async def test_no_file_left_for_connections_is_waited_out(
    receivers: Receivers, account: Account, database_url: str
) -> None:
    """C30: whoever is connected is served on; new ones wait, without a busy loop, until others leave."""
    receiver = receivers.make(prefix=("prlimit", "--nofile=160:160", "--"))
    await receiver.start()
    host, _, port = receiver.http.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = request(5)
    assert await post(reader, writer, body) == 200
    crowd = [await asyncio.open_connection(host, int(port)) for _ in range(300)]
    await rests(receiver, within_s=10)
    again = request(5, seed=2)
    assert await post(reader, writer, again) == 200
    for _, one in crowd:
        one.close()
    async with Load(receiver.grpc, senders=1) as load:
        await load.finish()
    acknowledged = load.acknowledged | set(ids_of(body)) | set(ids_of(again))
    await account.settle(database_url, acknowledged, receiver=receiver)
    writer.close()
    await receiver.stop()
