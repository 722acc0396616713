"""A whole server on a database of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Server
from tests.integration.access.installation import Installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

FREE = Address("127.0.0.1", 0)


@pytest.fixture
async def installation(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> AsyncIterator[Installation]:
    """Give a running server; it has no keys yet."""
    settings = Settings(database_url=database_url, otlp_grpc_listen=FREE, otlp_http_listen=FREE, api_listen=FREE)
    async with Server(settings) as server, Installation(server, connection) as running:
        yield running
