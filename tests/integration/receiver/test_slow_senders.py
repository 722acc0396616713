"""Slow and idle connections over HTTP: closed in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.config import Address
from ai_usage_exporter.http_deadlines import Deadlines
from ai_usage_exporter.listen import HttpListener
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.receiver.http import create_http_app
from ai_usage_exporter.receiver.limits import Admission, Limits
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage.batch import WriteOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
_DEADLINES = Deadlines(headers_s=0.3, body_s=0.3, idle_s=0.6, header_bytes=8_192)


async def _stored(*_: object, **__: object) -> WriteOutcome:
    return WriteOutcome(stored=0, duplicates=0, shadows=0, quarantined=0)


@contextlib.asynccontextmanager
async def listening(deadlines: Deadlines, limits: Limits | None = None) -> AsyncIterator[tuple[Address, Admission]]:
    limits = limits or Limits()
    admission = Admission(limits)
    service = ExportService(_stored, normalize=normalize, price=Pricing().price)
    app = create_http_app(service, admission, limits=limits)
    listener = HttpListener(app, Address("127.0.0.1", 0), "SETTING", grace_s=1, deadlines=deadlines)
    await listener.start()
    try:
        yield listener.address, admission
    finally:
        await listener.stop()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            return await reader.read()
    return b""


async def answer_of(address: Address, body: bytes, more: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + more + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    answer = await until_closed(reader)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/tra", HEAD, HEAD + b"content-length: 100\r\n\r\nhalf", HEAD + b"x: " + b"y" * 9_000],
    ids=["nothing", "half a request line", "headers without end", "half a body", "too many headers"],
)
async def test_a_connection_that_does_not_go_on_is_closed(sent: bytes) -> None:
    async with listening(_DEADLINES) as (address, admission):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        assert await until_closed(reader) == b""
        writer.close()
        async with asyncio.timeout(5):
            while admission.requests:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        assert (await answer_of(address, b"")).startswith(b"HTTP/1.1 200")


async def test_a_byte_now_and_then_does_not_keep_a_connection_open() -> None:
    async with listening(_DEADLINES) as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        closed = asyncio.create_task(until_closed(reader))
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while not closed.done():
                    writer.write(b"P")
                    await asyncio.sleep(0.05)
        assert await closed in {b""} or (await closed).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_500_slow_and_idle_connections_leave_others_alone() -> None:
    async with listening(Deadlines()) as (address, _):
        slow = [await asyncio.open_connection(*address) for _ in range(500)]
        for number, (_, writer) in enumerate(slow):
            writer.write((b"", HEAD, HEAD + b"content-length: 100\r\n\r\nhalf")[number % 3])
        async with asyncio.timeout(5):
            for _ in range(20):
                assert (await answer_of(address, b"")).startswith(b"HTTP/1.1 200")
        for _, writer in slow:
            writer.close()


async def test_a_body_that_inflates_too_much_is_refused_by_the_setting() -> None:
    async with listening(Deadlines(), Limits(max_gzip_ratio=10)) as (address, admission):
        answer = await answer_of(address, gzip.compress(bytes(20_000_000)), b"content-encoding: gzip\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"the limit is 10 (AI_USAGE_MAX_GZIP_RATIO)" in answer
        assert admission.held_bytes == 0
