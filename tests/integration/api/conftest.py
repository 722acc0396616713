"""The application on a database of its own, called through its ASGI interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import httpx2
import pytest

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.storage.reader import UsageReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADMIN_TOKEN = "admin-token-for-tests"
BASE_URL = "http://testserver"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    opened = await asyncpg.create_pool(database_url, min_size=1, max_size=4)
    yield opened
    await opened.close()


async def _metrics() -> bytes:
    return b"ai_usage_build_info 1\n"


@pytest.fixture
async def anonymous(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client without a token."""
    app = create_app(UsageReader(pool), AdminToken(ADMIN_TOKEN), Sessions(pool), metrics=_metrics)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client


@pytest.fixture
def admin(anonymous: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Give the same client with the admin's token."""
    anonymous.headers["authorization"] = f"Bearer {ADMIN_TOKEN}"
    return anonymous
