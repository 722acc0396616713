"""Which database: the configured one, or an embedded PostgreSQL that is started and stopped with us."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_usage_exporter.config import Settings


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """Give the URL of the database to use, for the length of an ``async with`` block.

    Starts (or shares) the embedded PostgreSQL in ``settings.data_dir`` when no database is configured, and keeps it
    running. Raises ``PermanentError`` when that is not possible; a configured database is not contacted.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    from ai_usage_exporter.storage.embedded import start_embedded

    server = await start_embedded(settings.data_dir)
    keeping = asyncio.create_task(server.keep_running(), name="embedded-postgresql")
    try:
        yield server.url
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await server.stop()
