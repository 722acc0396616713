"""The way of a request from its bytes to committed rows, without sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.pipeline.batcher import Batcher
from ai_usage_exporter.price import price
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ExportService]:
    """Give an export service that stores into the test's own database."""
    pools = await open_pools(database_url)
    async with Batcher(UsageWriter(pools.ingest)) as batcher:
        yield ExportService(batcher.submit, normalize=normalize, price=price)
    await pools.close()
