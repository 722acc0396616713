"""The databases that are asked: made once, kept in a folder outside the repository, and used again."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.verify import rebuild_day

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS = 90
USERS = 10_000
END = datetime(2026, 11, 24, 14, 3, 10, 123456, tzinfo=UTC)
"""When the newest call was made: the benchmark's "now"."""
FIRST_DAY = datetime(2026, 8, 27, tzinfo=UTC)

_STATEMENT = (Path(__file__).parent / "generate_calls.sql").read_text(encoding="utf-8")
_INDEXES = (
    "CREATE INDEX idx_ai_usage_user_id ON ai_usage_logs (user_id)",
    "CREATE INDEX idx_ai_usage_created_at ON ai_usage_logs (created_at)",
    "CREATE INDEX idx_ai_usage_service ON ai_usage_logs (service_name)",
    "CREATE INDEX idx_ai_usage_provider ON ai_usage_logs (provider)",
    "CREATE INDEX idx_ai_usage_user_date ON ai_usage_logs (user_id, created_at)",
    "CREATE INDEX idx_ai_usage_user_ref_date ON ai_usage_logs (user_ref, created_at)",
)


def database_name(calls: int) -> str:
    """Return the name of the database with so many calls."""
    return f"query_{calls}"


async def prepare(server_url: str, calls: int, say: Callable[[str], None]) -> str:
    """Return the URL of a database with about ``calls`` calls over 90 days; makes it unless it is there, whole."""
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{database_name(calls)}"))
    server = await asyncpg.connect(server_url)
    try:
        found = await server.fetchval(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", database_name(calls)
        )
        if found == "complete":
            return url
        await server.execute(f"DROP DATABASE IF EXISTS {database_name(calls)} WITH (FORCE)")
        await server.execute(f"CREATE DATABASE {database_name(calls)}")
        started = time.monotonic()
        await _fill(url, calls, say)
        await server.execute(f"COMMENT ON DATABASE {database_name(calls)} IS 'complete'")
        say(f"{calls:,} calls made in {time.monotonic() - started:.0f} s")
    finally:
        await server.close()
    return url


async def _fill(url: str, calls: int, say: Callable[[str], None]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await schema.migrate(connection)
        for month in range(8, 12):
            await connection.execute(f"SELECT ai_usage_create_partition('2026-{month:02}-01')")
        # Bulk loading: indexes afterwards, rollups a day at a time instead of by the trigger.
        await connection.execute("SET ai_usage.rollups = 'applied'; SET synchronous_commit = off")
        for index in _INDEXES:
            await connection.execute(f"DROP INDEX {index.split()[2]}")
        days = [FIRST_DAY + timedelta(days=number) for number in range((END - FIRST_DAY).days + 1)]
        for number, day in enumerate(days, 1):
            await connection.execute(_STATEMENT, day, calls // DAYS, USERS, END, timeout=None)
            if number % 10 == 0:
                say(f"{number} of {len(days)} days generated")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for index in _INDEXES:
            await connection.execute(index, timeout=None)
        await connection.execute("ANALYZE ai_usage_logs", timeout=None)
        await connection.execute("SET work_mem = '128MB'")
        for number, day in enumerate(days, 1):
            await rebuild_day(connection, day)
            if number % 10 == 0:
                say(f"{number} of {len(days)} days summed")
        await connection.execute("VACUUM (ANALYZE)", timeout=None)
    finally:
        await connection.close()
