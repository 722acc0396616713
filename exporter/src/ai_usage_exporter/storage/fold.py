"""Bring the sums that several writers left in slots of their own together: an answer reads one row a key again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import asyncpg

from ai_usage_exporter.storage.rollups import LOCK_CLASS
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from asyncpg.pool import Pool

    from ai_usage_exporter.storage.connection import DatabaseConnection

INTERVAL_S: Final = 300.0

_log = logging.getLogger(__name__)


async def fold_slots(connection: DatabaseConnection) -> int:
    """Move all sums into the first slot, a cuboid and slot at a time, and return how many rows there were elsewhere.

    Each is a transaction of its own. Writers go on meanwhile: they take the slots it does not own. Safe to run from
    several servers at once.
    """
    moved = 0
    for cuboid, slot in await connection.fetch(load_statement("rollup_slots_spread")):
        async with connection.transaction():
            await connection.execute(load_statement("rollup_slots_own"), LOCK_CLASS, slot)
            await connection.execute(load_statement("rollups_fold_add"), cuboid, slot)
            removed = await connection.execute(load_statement("rollups_fold_remove"), cuboid, slot)
            moved += int(removed.rpartition(" ")[2])
    return moved


async def keep_folded(pool: Pool[asyncpg.Record]) -> None:
    """Fold every few minutes, until cancelled; what could not be folded now is the next time."""
    while True:
        await asyncio.sleep(INTERVAL_S)
        try:
            async with pool.acquire() as connection:
                await fold_slots(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Answers are right all the same, they read more rows.
            _log.warning("sums could not be brought together, trying again in %d s: %s", INTERVAL_S, error)
