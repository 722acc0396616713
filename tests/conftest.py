"""PostgreSQL for tests: one server a run, a migrated template, a database of its own for every test that asks.

The server is the embedded one, or the one ``TEST_DATABASE_URL`` names (its user must be allowed to create databases).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.embedded import start_embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# How long an example takes says how busy the machine is; what a test holds is in its assertions.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_TEST_SERVER_SETTINGS = {
    # Nothing here outlives the run. Tests of crashes start a durable server of their own.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "512MB",
}


def with_database(url: str, name: str) -> str:
    """Return ``url`` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _create_template(server_url: str, name: str) -> None:
    await _execute(server_url, f"CREATE DATABASE {name}")
    connection = await asyncpg.connect(with_database(server_url, name))
    try:
        await schema.migrate(connection)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """Give the URL of a database from which others can be created."""
    if configured := os.environ.get("TEST_DATABASE_URL"):
        yield configured
        return
    folder = Path(tempfile.mkdtemp(prefix="ai-usage-test-"))
    server = asyncio.run(start_embedded(folder, settings=_TEST_SERVER_SETTINGS))
    yield server.url
    asyncio.run(server.stop())
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template_database(postgres_server_url: str) -> Iterator[str]:
    """Give the name of a migrated, empty database that nobody is connected to."""
    name = f"ai_usage_template_{secrets.token_hex(4)}"
    asyncio.run(_create_template(postgres_server_url, name))
    yield name
    asyncio.run(_execute(postgres_server_url, f"DROP DATABASE {name} WITH (FORCE)"))


def _database(server_url: str, *, template: str) -> Iterator[str]:
    name = f"ai_usage_test_{secrets.token_hex(6)}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield with_database(server_url, name)
    asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database_url(postgres_server_url: str, template_database: str) -> Iterator[str]:
    """Give the URL of a fresh migrated database."""
    yield from _database(postgres_server_url, template=template_database)


@pytest.fixture
def empty_database_url(postgres_server_url: str) -> Iterator[str]:
    """Give the URL of a fresh database without any table."""
    yield from _database(postgres_server_url, template="template0")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give a connection to the test's own ``database_url``."""
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close(timeout=5)
