"""Give calls that were stored before their user existed to the user."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.storage import audit, rollups
from ai_usage_exporter.storage.arrays import array_of
from ai_usage_exporter.storage.collision import with_retry
from ai_usage_exporter.storage.row import to_user_id
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.usage_table import ROWS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.usage_table import UsageTable

BATCH: Final = 1_000


class Late(NamedTuple):
    """Hold a user who was created after calls of theirs."""

    user_ref: str
    """As the calls name the user."""
    user_id: UUID
    calls: int


class Linked(NamedTuple):
    """Count what was given to users."""

    users: int = 0
    calls: int = 0
    shadows: int = 0


async def find_late(connection: DatabaseConnection) -> list[Late]:
    """Return users who exist by now and whose calls still name them by text: their id, as it was sent."""
    found = [
        Late(row["user_ref"], user_id, row["calls"])
        for row in await connection.fetch(load_statement("link_refs"), timeout=None)
        if (user_id := to_user_id(row["user_ref"])) is not None
    ]
    ids = array_of(late.user_id for late in found)
    known = {row["id"] for row in await connection.fetch(load_statement("users_known"), ids)}
    return [late for late in found if late.user_id in known]


async def link(
    connection: DatabaseConnection,
    late: Sequence[Late],
    *,
    actor: str,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Linked:
    """Give the calls of users to them, and return how many there were.

    Batches are transactions of their own, with the sums moved along; interrupted, it can be run again. Calls that were
    given already are not found any more.
    """
    counts = {ROWS: 0, SHADOWS: 0}
    for user in late:
        for table in counts:
            given = BATCH
            while given == BATCH:
                given = await with_retry(partial(_batch, connection, table, user))
                counts[table] += given
            on_progress(counts[ROWS])
    done = Linked(len(late), counts[ROWS], counts[SHADOWS])
    if done.calls or done.shadows:
        await audit.record(connection, actor, "user.link", "users", done._asdict())
    return done


async def _batch(connection: DatabaseConnection, table: UsageTable, user: Late) -> int:
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        rows = await connection.fetch(table.statement("link_rows"), user.user_ref, user.user_id, BATCH)
        # Sums are kept by the id's text: a user sent in another spelling has sums of their own until now.
        if table.is_summed and user.user_ref != str(user.user_id):
            after = [rollups.entry_of_stored(row) for row in rows]
            before = [entry._replace(user_id=None, user_ref=user.user_ref, sign=-1) for entry in after]
            await rollups.apply(connection, before + after)
    return len(rows)
