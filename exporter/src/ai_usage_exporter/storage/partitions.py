"""Monthly partitions of ``ai_usage_logs``: made ahead of time, so that rows never wait for a table."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from ai_usage_exporter.pipeline.retry import backoff_s
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from asyncpg.pool import Pool

    from ai_usage_exporter.storage.connection import DatabaseConnection

MONTHS_BEHIND: Final = 1
MONTHS_AHEAD: Final = 2
OLDEST_STRAYS: Final = timedelta(days=800)
"""Rows older than this stay in the default partition: they are few, or a clock is wrong."""
LOCK_TIMEOUT_MS: Final = 2_000
TRIES: Final = 5
INTERVAL_S: Final = 24 * 3600.0
RETRY_INTERVAL_S: Final = 300.0

logger = logging.getLogger(__name__)


async def ensure_partitions(connection: DatabaseConnection, *, today: date | None = None) -> dict[date, int]:
    """Create the months around ``today`` (default: now, UTC) and those that have rows in the default partition.

    Returns month → rows moved into it, for the months created by this call; usually none. Each is its own
    transaction. Locks that cannot be had within seconds are left for the next time.
    """
    today = today or datetime.now(UTC).date()
    months = {_month(today, offset) for offset in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1)}
    oldest = datetime.combine(today, datetime.min.time(), UTC) - OLDEST_STRAYS
    newest = datetime.combine(_month(today, MONTHS_AHEAD + 1), datetime.min.time(), UTC)
    strays = await connection.fetch(load_statement("partition_strays"), oldest, newest)
    months.update(row["month"] for row in strays)
    created = {month: await _create(connection, month) for month in sorted(months)}
    return {month: moved for month, moved in created.items() if moved is not None}


async def keep_partitions(pool: Pool[asyncpg.Record]) -> None:
    """Ensure partitions now and once a day, until cancelled; a database that is away is asked again in minutes."""
    while True:
        try:
            async with pool.acquire() as connection:
                for month, moved in (await ensure_partitions(connection)).items():
                    logger.info("created the partition of %s, moved %d rows into it", f"{month:%Y-%m}", moved)
            pause_s = INTERVAL_S
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Not urgent: the default partition takes the rows meanwhile.
            logger.warning("partitions could not be created, trying again in %d s: %s", RETRY_INTERVAL_S, error)
            pause_s = RETRY_INTERVAL_S
        await asyncio.sleep(pause_s)


async def _create(connection: DatabaseConnection, month: date) -> int | None:
    if await connection.fetchval(load_statement("partition_exists"), f"ai_usage_logs_{month:%Y_%m}"):
        return None
    for attempt in range(TRIES):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                moved: int | None = await connection.fetchval(load_statement("partition_create"), month)
                return moved
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(backoff_s(attempt, base_s=0.1))
    return None


def _month(day: date, offset: int) -> date:
    """Return the first day of the month ``offset`` months after that of ``day``."""
    number = day.year * 12 + day.month - 1 + offset
    return date(number // 12, number % 12 + 1, 1)
