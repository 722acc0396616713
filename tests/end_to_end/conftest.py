"""A whole server for tests: real listeners on free ports, a database of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """Run a server on an empty, migrated database."""
    free = Address("127.0.0.1", 0)
    settings = Settings(database_url=database_url, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free)
    async with Server(settings) as running:
        yield running
