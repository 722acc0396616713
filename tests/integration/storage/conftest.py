"""A writer on the test's own database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_usage_exporter.storage.pool import Pools


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[Pools]:
    """Give both pools of the test's own database."""
    opened = await open_pools(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def writer(pools: Pools) -> UsageWriter:
    """Give a writer that connects when first used."""
    return UsageWriter(pools.ingest)
