"""A sender over OTLP/gRPC that never gives up and remembers what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
from benchmarks.ingest.spans import encode_requests

from ai_usage_exporter.receiver.protobuf import decode

if TYPE_CHECKING:
    from collections.abc import Callable

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SpanId = tuple[bytes, bytes]

# A channel of its own: what one learns of a receiver that is away must not make another wait.
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


def ids_of(body: bytes) -> list[SpanId]:
    """Return the (trace id, span id) of a request's spans."""
    return [(span.trace_id, span.span_id) for span in decode(body).spans]


def request(spans: int = 40, *, seed: int = 1) -> bytes:
    """Return a request of new spans, started within the last ten minutes."""
    (body,) = encode_requests(1, spans, end_ns=time.time_ns(), seed=seed)
    return body


class Sender:
    """Send distinct spans, each request until it is acknowledged."""

    def __init__(self, *addresses: object, seed: int = 0, spans: int = 40, pause_s: float = 0.2) -> None:
        self._pause_s = pause_s
        self._addresses = [str(address) for address in addresses]
        self._seed = seed
        self._spans = spans
        self.acknowledged: set[SpanId] = set()
        self.answers: list[grpc.StatusCode] = []
        """How each try ended."""
        self.seconds: list[float] = []
        """How long each try took."""
        self.stopping = False

    @property
    def sent_again(self) -> int:
        """Return how many tries did not end with an acknowledgement."""
        return sum(code is not grpc.StatusCode.OK for code in self.answers)

    async def run(self) -> None:
        """Send requests one after the other until ``stopping``."""
        while not self.stopping:
            self._seed += 1000
            body = request(self._spans, seed=self._seed)
            await self.deliver(body)
            self.acknowledged.update(ids_of(body))

    async def send(self, requests: int) -> None:
        """Send so many requests one after the other."""
        for _ in range(requests):
            self._seed += 1000
            body = request(self._spans, seed=self._seed)
            await self.deliver(body)
            self.acknowledged.update(ids_of(body))

    async def deliver(self, body: bytes) -> None:
        """Send one request until it is acknowledged, to one address after the other."""
        loop = asyncio.get_running_loop()
        while True:
            address = self._addresses[len(self.answers) % len(self._addresses)]
            async with grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS) as channel:
                started = loop.time()
                try:
                    await channel.unary_unary(EXPORT)(body, timeout=10)
                    self.answers.append(grpc.StatusCode.OK)
                    return
                except grpc.aio.AioRpcError as error:
                    self.answers.append(error.code())
                finally:
                    self.seconds.append(loop.time() - started)
            await asyncio.sleep(self._pause_s)


class Load:
    """Let several senders send at once until told to finish; use as an async context manager."""

    def __init__(self, *addresses: object, senders: int = 4, spans: int = 40) -> None:
        self.senders = [Sender(*addresses, seed=number, spans=spans) for number in range(senders)]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        """Start, and wait until each sender was acknowledged something."""
        self._tasks = [asyncio.create_task(sender.run()) for sender in self.senders]
        await self.acknowledged_more()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once whatever is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def acknowledged(self) -> set[SpanId]:
        """Return every acknowledged span."""
        return set().union(*(sender.acknowledged for sender in self.senders))

    @property
    def sent_again(self) -> int:
        """Return how many tries did not end with an acknowledgement."""
        return sum(sender.sent_again for sender in self.senders)

    async def acknowledged_more(self, *, deadline_s: float = 30) -> None:
        """Wait until each sender is acknowledged something more."""
        await self._each(lambda sender: len(sender.acknowledged), "an acknowledgement", deadline_s)

    async def told_to_retry(self, *, deadline_s: float = 30) -> None:
        """Wait until each sender has to send something again."""
        await self._each(lambda sender: sender.sent_again, "a refusal", deadline_s)

    async def finish(self, *, deadline_s: float = 60) -> None:
        """Let every sender deliver what it began."""
        for sender in self.senders:
            sender.stopping = True
        async with asyncio.timeout(deadline_s):
            await asyncio.gather(*self._tasks)

    async def _each(self, count: Callable[[Sender], int], what: str, deadline_s: float) -> None:
        before = [count(sender) for sender in self.senders]
        end = asyncio.get_running_loop().time() + deadline_s
        while any(count(sender) == known for sender, known in zip(self.senders, before, strict=True)):
            for task in self._tasks:
                assert not task.done(), task
            assert asyncio.get_running_loop().time() < end, f"{what} for every sender: not within {deadline_s:g} s"
            await asyncio.sleep(0.01)
