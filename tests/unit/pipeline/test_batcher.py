"""Submissions are grouped, bounded, answered one by one, and never lost between being accepted and being answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.pipeline.batcher import Batcher, BatchLimits
from ai_usage_exporter.storage.batch import WriteOutcome
from tests.factories import make_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.batch import Submission


class GatedWriter:
    """Hold every batch until released; the rest of the batcher runs as it does in production."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        if is_open:
            self.gate.set()

    async def write_batch(self, submissions: Sequence[Submission]) -> list[WriteOutcome]:
        self.batches.append([len(submission.calls) for submission in submissions])
        self.started.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [WriteOutcome(stored=len(submission.calls)) for submission in submissions]


def _calls(count: int) -> list[PricedCall]:
    return [make_call()] * count


async def test_submissions_arriving_while_a_batch_is_written_become_one_batch() -> None:
    writer = GatedWriter(is_open=False)
    async with Batcher(writer, BatchLimits(writers=1, linger_s=0)) as batcher:
        first = asyncio.create_task(batcher.submit(_calls(1)))
        await writer.started.wait()
        others = [asyncio.create_task(batcher.submit(_calls(size))) for size in (2, 3, 4)]
        await asyncio.sleep(0)
        writer.gate.set()
        assert await asyncio.gather(first, *others) == [WriteOutcome(stored=size) for size in (1, 2, 3, 4)]
    assert writer.batches == [[1], [2, 3, 4]]


async def test_lingering_groups_what_arrives_together_and_ends_early_when_the_batch_is_full() -> None:
    writer = GatedWriter()
    async with Batcher(writer, BatchLimits(writers=1, linger_s=60, batch_rows=10)) as batcher:
        async with asyncio.timeout(5):
            await asyncio.gather(*(batcher.submit(_calls(5)) for _ in range(4)))
    assert writer.batches == [[5, 5], [5, 5]]


async def test_batch_holds_at_most_its_rows_but_a_submission_is_never_split() -> None:
    writer = GatedWriter(is_open=False)
    async with Batcher(writer, BatchLimits(writers=1, linger_s=0, batch_rows=10)) as batcher:
        tasks = [asyncio.create_task(batcher.submit(_calls(size))) for size in (6, 5, 25, 1)]
        await writer.started.wait()
        writer.gate.set()
        await asyncio.gather(*tasks)
    assert writer.batches == [[6], [5], [25], [1]]


async def test_too_many_waiting_rows_or_bytes_are_refused_until_there_is_room_again() -> None:
    writer = GatedWriter(is_open=False)
    limits = BatchLimits(writers=1, linger_s=0, waiting_rows=10, waiting_bytes=1000)
    async with Batcher(writer, limits) as batcher:
        accepted = [asyncio.create_task(batcher.submit(_calls(4), size_bytes=400)) for _ in range(2)]
        await writer.started.wait()
        with pytest.raises(RetryableError, match="8 spans are waiting"):
            await batcher.submit(_calls(3), size_bytes=10)
        with pytest.raises(RetryableError):
            await batcher.submit(_calls(1), size_bytes=300)
        assert (batcher.waiting_rows, batcher.waiting_bytes, batcher.is_full) == (8, 800, False)
        writer.gate.set()
        await asyncio.gather(*accepted)
        assert (batcher.waiting_rows, batcher.waiting_bytes) == (0, 0)
        assert await batcher.submit(_calls(3)) == WriteOutcome(stored=3)


async def test_submission_larger_than_all_room_is_taken_when_nothing_else_waits() -> None:
    async with Batcher(GatedWriter(), BatchLimits(waiting_rows=10)) as batcher:
        assert await batcher.submit(_calls(50)) == WriteOutcome(stored=50)


async def test_cancelled_caller_does_not_stop_the_write_or_disturb_the_others() -> None:
    writer = GatedWriter(is_open=False)
    async with Batcher(writer, BatchLimits(writers=1, linger_s=60, batch_rows=3)) as batcher:
        gone = asyncio.create_task(batcher.submit(_calls(1)))
        stays = asyncio.create_task(batcher.submit(_calls(2)))
        await writer.started.wait()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        writer.gate.set()
        assert await stays == WriteOutcome(stored=2)
    assert writer.batches == [[1, 2]]


@pytest.mark.parametrize("error", [RetryableError("away", retry_after_s=1.5), KeyError("a mistake of ours")])
async def test_failed_batch_is_given_back_to_every_sender_and_the_next_one_is_written(error: Exception) -> None:
    writer = GatedWriter()
    writer.error = error
    async with Batcher(writer, BatchLimits(writers=1, linger_s=0)) as batcher:
        results = await asyncio.gather(*(batcher.submit(_calls(1)) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, RetryableError) for result in results)
        writer.error = None
        assert await batcher.submit(_calls(1)) == WriteOutcome(stored=1)
        assert batcher.waiting_rows == 0


async def test_drain_writes_what_was_accepted_and_refuses_the_rest() -> None:
    writer = GatedWriter(is_open=False)
    batcher = Batcher(writer, BatchLimits(writers=1, linger_s=0))
    async with batcher:
        accepted = [asyncio.create_task(batcher.submit(_calls(1))) for _ in range(3)]
        await writer.started.wait()
        draining = asyncio.create_task(batcher.drain())
        await asyncio.sleep(0)
        with pytest.raises(RetryableError, match="stopping"):
            await batcher.submit(_calls(1))
        writer.gate.set()
        await draining
        assert await asyncio.gather(*accepted) == [WriteOutcome(stored=1)] * 3


async def test_drain_cut_short_gives_back_what_was_not_committed() -> None:
    writer = GatedWriter(is_open=False)
    batcher = Batcher(writer, BatchLimits(writers=1, linger_s=0, batch_rows=1))
    await batcher.__aenter__()
    accepted = [asyncio.create_task(batcher.submit(_calls(1))) for _ in range(3)]
    await writer.started.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await batcher.drain()
    results = await asyncio.gather(*accepted, return_exceptions=True)
    assert [type(result) for result in results] == [RetryableError] * 3
    assert batcher.waiting_rows == 0
