"""The page in a real Chromium: one browser and one filled server a run, a fresh profile for every test."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Server
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.conftest import with_database
from tests.end_to_end.page.usage import make_month
from tests.end_to_end.page.visit import PATIENCE_MS, launch, sign_in, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Browser

    from tests.end_to_end.page.visit import Visit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in the loop that browser and servers live in."""
    here = str(__file__).rsplit("/", 1)[0]
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            # Seconds each on a machine of its own; minutes where many share it.
            item.add_marker(pytest.mark.timeout(300))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start the system's Chromium."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


async def _start(server_url: str, template: str) -> AsyncIterator[Server]:
    name = f"ai_usage_page_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    free = Address("127.0.0.1", 0)
    settings = Settings(
        database_url=with_database(server_url, name), otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free
    )
    async with Server(settings) as server:
        yield server
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def fill(server: Server, calls: list[Any]) -> None:
    """Write calls as the receiver does."""
    pools = await open_pools(server.database_url)
    try:
        writer = UsageWriter(pools.ingest)
        for start in range(0, len(calls), 500):
            await writer.write(calls[start : start + 500])
    finally:
        await pools.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled(postgres_server_url: str, template_database: str) -> AsyncIterator[Server]:
    """Run a server with two months of calls; tests only read them."""
    async for server in _start(postgres_server_url, template_database):
        await fill(server, make_month(1_500))
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def empty(postgres_server_url: str, template_database: str) -> AsyncIterator[Server]:
    """Run a server without a single call; it is the test's own."""
    async for server in _start(postgres_server_url, template_database):
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Visit]]]:
    """Give a function that opens a visit to a server, signed in; afterwards no browser may have complained.

    ``expected`` is a pattern of complaints that the test is about; other options are the browser context's.
    """
    visits: list[Visit] = []
    contexts = []

    async def start(
        server: Server, *, expected: str | None = None, signed_in: bool = True, token: str | None = None, **options: Any
    ) -> Visit:
        context = await browser.new_context(
            **{
                "viewport": {"width": 1280, "height": 900},
                "timezone_id": "Europe/Berlin",
                "locale": "en-US",
                "reduced_motion": "reduce",
            }
            | options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        if signed_in:
            await sign_in(context, server, token)
        visits.append(await watch(context, server, expected=expected))
        return visits[-1]

    yield start
    await asyncio.gather(*(context.close() for context in contexts))
    for one in visits:
        assert one.complaints == []
        assert one.hosts <= {str(one.server.addresses["api"])}, "the page asked somebody else"
