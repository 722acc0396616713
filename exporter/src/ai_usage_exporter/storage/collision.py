"""Run a transaction again when another one was in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from ai_usage_exporter.pipeline.retry import TRIES, backoff_s
from ai_usage_exporter.storage.failure import Failure, classify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")


async def with_retry(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return what ``work``, a transaction, returns; raises what is no collision, or the last one."""
    for attempt in range(TRIES):
        try:
            return await work()
        except Exception as error:
            if classify(error) is not Failure.COLLISION:
                raise
            await asyncio.sleep(backoff_s(attempt))
    return await work()
