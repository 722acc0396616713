"""Senders that never give up, on a database of the test's own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.pipeline.batcher import Batcher, BatchLimits
from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.embedded import start_embedded
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.batch import WriteOutcome
    from ai_usage_exporter.storage.embedded import EmbeddedPostgres
    from ai_usage_exporter.storage.pool import Pools


class Sender:
    """Submit calls in requests of 20 and again whenever told to; remember what was acknowledged."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self.acknowledged: list[PricedCall] = []
        self.outcomes: list[WriteOutcome] = []
        self.retries = 0
        self.progress = asyncio.Event()

    async def send(self, requests: int, *, per_request: int = 20) -> None:
        """Send new calls; returns when all are acknowledged."""
        for _ in range(requests):
            calls = [make_call() for _ in range(per_request)]
            while True:
                try:
                    self.outcomes.append(await self._batcher.submit(calls))
                    break
                except RetryableError:
                    self.retries += 1
                    self.progress.set()
                    await asyncio.sleep(0.05)
            self.acknowledged += calls
            self.progress.set()

    async def acknowledged_more(self) -> None:
        """Wait until something more is acknowledged."""
        before = len(self.acknowledged)
        while len(self.acknowledged) == before:
            self.progress.clear()
            await self.progress.wait()

    async def told_to_retry(self) -> None:
        """Wait until a sender is told to try again."""
        before = self.retries
        while self.retries == before:
            self.progress.clear()
            await self.progress.wait()


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[Pools]:
    """Give both pools of the test's own database."""
    opened = await open_pools(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def batcher(pools: Pools) -> AsyncIterator[Batcher]:
    """Give a running batcher on the test's own database."""
    async with Batcher(UsageWriter(pools.ingest), BatchLimits(batch_rows=200)) as running:
        yield running


@pytest.fixture
def sender(batcher: Batcher) -> Sender:
    """Give a sender that never gives up."""
    return Sender(batcher)


@pytest.fixture
async def durable_server() -> AsyncIterator[EmbeddedPostgres]:
    """Give a server of the test's own with the settings users get, migrated; it may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="ai-usage-fault-"))
    server = await start_embedded(folder)
    connection = await asyncpg.connect(server.url)
    await schema.migrate(connection)
    await connection.close()
    yield server
    await server.stop()
    shutil.rmtree(folder)
