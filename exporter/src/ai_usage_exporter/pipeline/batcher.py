"""The batcher: what concurrent requests submit is written together, and each request hears of its own part."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.storage.batch import Submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.batch import RawOf, WriteOutcome
    from ai_usage_exporter.storage.quarantine import ParkedSpan

logger = logging.getLogger(__name__)

ESTIMATED_ROW_BYTES = 1024


class Writer(Protocol):
    """Write several submissions in one transaction."""

    async def write_batch(self, submissions: Sequence[Submission]) -> list[WriteOutcome]:
        """Return their outcomes in order, once committed; raises ``RetryableError``."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bound a batch and what may wait for one."""

    batch_rows: int = 4096
    """A batch is written when it has as many rows."""
    linger_s: float = 0.002
    """… or when its first submission has waited this long and a writer is free."""
    waiting_rows: int = 65_536
    """More than this is refused, to be sent again."""
    waiting_bytes: int = 256 * 1024 * 1024
    writers: int = 2
    """Transactions under way at once; at most the connections of the ingest pool."""
    answer_s: float = 8.0
    """What is not committed by then is to be sent again: stock exporters have ten seconds for all tries."""


@dataclass(slots=True)
class _Waiting:
    submission: Submission
    rows: int
    size_bytes: int
    arrived: float
    outcome: asyncio.Future[WriteOutcome]


class Batcher:
    """Form batches by size or time and write them with a fixed number of writers.

    A submission is never split: it is committed as a whole or not at all. Use as an async context manager; leaving
    it writes what was accepted and refuses the rest.
    """

    def __init__(self, writer: Writer, limits: BatchLimits | None = None) -> None:
        self._writer = writer
        self._limits = limits or BatchLimits()
        self._queue: deque[_Waiting] = deque()
        self._queued_rows = 0
        self._held_rows = 0
        self._held_bytes = 0
        self._arrived = asyncio.Event()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def __aenter__(self) -> Batcher:
        """Start the writers."""
        self._tasks = [
            asyncio.create_task(self._write_batches(), name=f"usage-writer-{number}")
            for number in range(self._limits.writers)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain."""
        await self.drain()

    @property
    def waiting_rows(self) -> int:
        """Return how many rows were accepted and are not committed yet."""
        return self._held_rows

    @property
    def waiting_bytes(self) -> int:
        """Return how many bytes of requests these rows came in."""
        return self._held_bytes

    @property
    def is_full(self) -> bool:
        """Tell whether the next submission of any size would be refused."""
        return self._held_rows >= self._limits.waiting_rows or self._held_bytes >= self._limits.waiting_bytes

    async def submit(
        self,
        calls: Sequence[PricedCall],
        *,
        parked: Sequence[ParkedSpan] = (),
        raw_of: RawOf | None = None,
        size_bytes: int | None = None,
    ) -> WriteOutcome:
        """Have calls written and return what became of them, once committed.

        Cancelling the caller does not stop the write. Raises ``RetryableError`` when too much is waiting, when the
        database cannot take it now or has not within the time a sender waits, or when the server is stopping.
        """
        rows = len(calls) + len(parked)
        size = rows * ESTIMATED_ROW_BYTES if size_bytes is None else size_bytes
        self._admit(rows, size)
        outcome: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(Submission(calls, parked, raw_of), rows, size, time.monotonic(), outcome))
        self._held_rows += rows
        self._held_bytes += size
        self._queued_rows += rows
        self._arrived.set()
        if self._queued_rows >= self._limits.batch_rows:
            self._filled.set()
        try:
            async with asyncio.timeout(self._limits.answer_s):
                return await outcome
        except TimeoutError:
            raise RetryableError("the database takes too long to store usage, try again") from None

    async def drain(self) -> None:
        """Accept nothing more, write everything accepted, stop the writers.

        When cancelled (the time for it is over), what was not committed is given back to its senders.
        """
        self._closing = True
        self._arrived.set()
        self._filled.set()
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            while self._queue:
                self._finish([self._queue.popleft()], _stopping())
            raise
        finally:
            self._tasks = []

    def _admit(self, rows: int, size_bytes: int) -> None:
        if self._closing:
            raise _stopping()
        held_rows, held_bytes = self._held_rows, self._held_bytes
        # Something larger than all room is let in when nothing else is there: refused once, it would be for ever.
        if held_rows and (
            held_rows + rows > self._limits.waiting_rows or held_bytes + size_bytes > self._limits.waiting_bytes
        ):
            raise RetryableError(f"{held_rows} spans are waiting for the database, try again")

    async def _write_batches(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            await self._linger(self._queue[0])
            if batch := self._take():
                await self._write(batch)

    async def _linger(self, first: _Waiting) -> None:
        """Wait for more to arrive: until a batch is full or ``first`` has waited long enough."""
        remaining_s = first.arrived + self._limits.linger_s - time.monotonic()
        if remaining_s > 0 and self._queued_rows < self._limits.batch_rows and not self._closing:
            self._filled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(remaining_s):
                    await self._filled.wait()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        rows = 0
        while self._queue and (not batch or rows + self._queue[0].rows <= self._limits.batch_rows):
            waiting = self._queue.popleft()
            rows += waiting.rows
            batch.append(waiting)
        self._queued_rows -= rows
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._writer.write_batch([waiting.submission for waiting in batch])
        except RetryableError as error:
            self._finish(batch, error)
        except asyncio.CancelledError:
            self._finish(batch, _stopping())
            raise
        except Exception:
            # A mistake of ours must not make a sender drop its spans.
            logger.exception("writing a batch failed in a way nobody foresaw")
            self._finish(batch, RetryableError("usage could not be stored, try again"))
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self._release(waiting)
                if not waiting.outcome.done():  # the caller may have gone
                    waiting.outcome.set_result(outcome)

    def _finish(self, batch: list[_Waiting], error: RetryableError) -> None:
        for waiting in batch:
            self._release(waiting)
            if not waiting.outcome.done():
                waiting.outcome.set_exception(RetryableError(str(error), retry_after_s=error.retry_after_s))

    def _release(self, waiting: _Waiting) -> None:
        self._held_rows -= waiting.rows
        self._held_bytes -= waiting.size_bytes


def _stopping() -> RetryableError:
    return RetryableError("the server is stopping, try again")
