"""Retention: months that are old enough are dropped as whole partitions; their sums stay."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg

from ai_usage_exporter.pipeline.retry import backoff_s
from ai_usage_exporter.storage import audit, rollups
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.usage_table import SHADOWS

if TYPE_CHECKING:
    from datetime import date

    from asyncpg.pool import Pool

    from ai_usage_exporter.storage.connection import DatabaseConnection

ACTOR: Final = "server"
LOCK_KEY: Final = 0x61_69_72_65_74_65_6E  # "aireten"
LOCK_TIMEOUT_MS: Final = 2_000
TRIES: Final = 5
STRAYS: Final = "ai_usage_logs_default"
STRAYS_BATCH: Final = 5_000
INTERVAL_S: Final = 6 * 3600.0
RETRY_INTERVAL_S: Final = 300.0

logger = logging.getLogger(__name__)


class Expired(NamedTuple):
    """Hold what retention removed from one place."""

    place: str
    rows: int
    cost_usd: Decimal | None = None


async def drop_expired(
    connection: DatabaseConnection, keep: timedelta, *, now: datetime | None = None, actor: str = ACTOR
) -> list[Expired]:
    """Drop the months (UTC) that ended at least ``keep`` ago, and what was parked before; return what was removed.

    A row is kept for ``keep`` and up to a month longer. One server at a time does it: the others find nothing to do.
    Every removal is in the audit trail, in its own transaction.
    """
    oldest = (now or datetime.now(UTC)) - keep
    first_month = oldest.astimezone(UTC).date().replace(day=1)
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        return []
    try:
        removed = [
            await _drop(connection, row["name"], row["month"], actor)
            for row in await connection.fetch(load_statement("retention_partitions"), first_month)
        ]
        before = datetime.combine(first_month, time(), UTC)
        return [
            *removed,
            *await _delete_calls(connection, STRAYS, before, actor),
            *await _delete_calls(connection, SHADOWS.name, before, actor),
            *await _delete_parked(connection, oldest, actor),
        ]
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def rows_complete_from(connection: DatabaseConnection) -> datetime | None:
    """Return the moment from which rows are complete, ``None`` when none was ever dropped."""
    moment: datetime | None = await connection.fetchval(
        "SELECT nullif(rows_dropped_before, '-infinity') FROM ai_usage_retention"
    )
    return moment


async def keep_retention(pool: Pool[asyncpg.Record], keep: timedelta) -> None:
    """Drop what expired now and every few hours, until cancelled; a database that is away is asked again."""
    while True:
        pause_s = INTERVAL_S
        try:
            async with pool.acquire() as connection:
                for expired in await drop_expired(connection, keep):
                    logger.info("retention removed %s: %d rows", expired.place, expired.rows)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.warning("retention could not finish, trying again in %d s: %s", RETRY_INTERVAL_S, error)
            pause_s = RETRY_INTERVAL_S
        await asyncio.sleep(pause_s)


async def _drop(connection: DatabaseConnection, partition: str, month: date, actor: str) -> Expired:
    next_month = (month + timedelta(days=31)).replace(day=1)
    for attempt in range(TRIES):
        try:
            async with connection.transaction():
                # The name is one the catalogue gave, of a form that needs no quoting.
                found = await connection.fetchrow(
                    f"SELECT count(*) AS calls, coalesce(sum(cost_usd), 0) AS cost_usd FROM {partition}",  # noqa: S608
                    timeout=None,
                )
                expired = Expired(partition, *(found or (0, Decimal(0))))
                # Dropping locks all of ai_usage_logs, for a moment: rather later than making receivers wait.
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                await connection.execute(f"DROP TABLE {partition}")
                await _note(connection, expired, datetime.combine(next_month, time(), UTC), actor)
                return expired
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(backoff_s(attempt, base_s=0.1))
    raise AssertionError(partition)  # pragma: no cover - the last try raised or returned


async def _delete_calls(connection: DatabaseConnection, table: str, before: datetime, actor: str) -> list[Expired]:
    """Delete shadows, or rows without a partition of their own: their sums stay, as those of dropped ones do."""
    statement = load_statement("retention_strays").replace("{table}", table)
    expired = Expired(table, 0, Decimal(0))
    while True:
        async with connection.transaction():
            await connection.execute(rollups.APPLIED)
            gone = await connection.fetch(statement, before, STRAYS_BATCH)
            if not gone:
                return [expired] if expired.rows else []
            cost = sum((row["cost_usd"] for row in gone), Decimal(0))
            await _note(connection, Expired(table, len(gone), cost), before, actor)
        expired = Expired(table, expired.rows + len(gone), (expired.cost_usd or Decimal(0)) + cost)


async def _delete_parked(connection: DatabaseConnection, before: datetime, actor: str) -> list[Expired]:
    async with connection.transaction():
        rows: int = await connection.fetchval(load_statement("retention_quarantine"), before)
        if not rows:
            return []
        expired = Expired("ai_usage_quarantine", rows)
        await audit.record(connection, actor, "retention.drop", expired.place, {"rows": rows, "before": before})
    return [expired]


async def _note(connection: DatabaseConnection, expired: Expired, before: datetime, actor: str) -> None:
    await connection.execute(load_statement("retention_move"), before)
    details = {"rows": expired.rows, "cost_usd": expired.cost_usd, "before": before}
    await audit.record(connection, actor, "retention.drop", expired.place, details)
