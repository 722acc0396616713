"""Erase a person from stored usage: names go, calls and sums stay."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from ai_usage_exporter.storage import audit, rollups
from ai_usage_exporter.storage.collision import with_retry
from ai_usage_exporter.storage.identity import SHORTEST_IN_TEXT, Eraser
from ai_usage_exporter.storage.parked_spans import erase_from_parked
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.usage_table import ROWS, SHADOWS, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.identity import Identity
    from ai_usage_exporter.storage.usage_table import UsageTable

BATCH: Final = 1_000
_FIRST: Final = Place(datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))


class Erased(NamedTuple):
    """Count what a person was taken off."""

    calls: int = 0
    texts: int = 0
    """Calls of others whose metadata or error message named the person."""
    shadows: int = 0
    quarantined: int = 0


async def erase(
    connection: DatabaseConnection,
    identity: Identity,
    *,
    subject: str,
    actor: str,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Erased:
    """Take a person off every call, shadow span, parked span and sum, and return how many there were.

    Batches are transactions of their own, with the sums moved along; the last one, which has the audit entry, also
    moves the sums of calls that retention dropped. Interrupted, it can be run again. The entry names ``subject`` by its
    SHA-256 only. The host application's own ``users`` table is left alone.
    """
    eraser = Eraser(identity)
    done = Erased()
    for table in (ROWS, SHADOWS):
        last: Place | None = _FIRST
        while last is not None:
            last, theirs, others = await with_retry(partial(_batch, connection, table, identity, eraser, last))
            if table.is_summed:
                done = done._replace(calls=done.calls + theirs, texts=done.texts + others)
            else:
                done = done._replace(shadows=done.shadows + theirs + others)
            on_progress(done.calls + done.texts + done.shadows)
    return await with_retry(partial(_finish, connection, identity, eraser, done, subject, actor))


def subject_hash(subject: str) -> str:
    """Return what names an erased person in the audit trail, so that a request can be matched with its entry."""
    return "sha256:" + hashlib.sha256(subject.strip().lower().encode("utf-8", "replace")).hexdigest()


async def _batch(
    connection: DatabaseConnection, table: UsageTable, identity: Identity, eraser: Eraser, last: Place
) -> tuple[Place | None, int, int]:
    """Take a person off some calls; returns the last one looked at, how many were theirs, and how many others'."""
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        rows = await connection.fetch(
            table.statement("erase_rows"), *last, *_who(identity), _patterns(identity), BATCH, timeout=None
        )
        if not rows:
            return None, 0, 0
        theirs = await _take_off(connection, table, rows, eraser)
    place = Place(rows[-1]["created_at"], rows[-1]["id"], rows[-1]["variant"])
    return place, theirs, len(rows) - theirs


async def _finish(
    connection: DatabaseConnection, identity: Identity, eraser: Eraser, done: Erased, subject: str, actor: str
) -> Erased:
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        parked = await erase_from_parked(connection, eraser, _bytes(identity), _patterns(identity))
        # From here no writer is half done: calls that came meanwhile are taken along, then nothing has the keys.
        await rollups.lock_out_writers(connection)
        calls, shadows = [await _take_off_latecomers(connection, table, identity, eraser) for table in (ROWS, SHADOWS)]
        for step in ("erase_rollups_key", "erase_rollups_add", "erase_rollups_remove", "erase_rollup_keys"):
            await connection.execute(load_statement(step), identity.user_keys)
        done = done._replace(calls=done.calls + calls, shadows=done.shadows + shadows, quarantined=parked)
        await audit.record(connection, actor, "user.erase", subject_hash(subject), done._asdict())
    return done


async def _take_off_latecomers(
    connection: DatabaseConnection, table: UsageTable, identity: Identity, eraser: Eraser
) -> int:
    found = 0
    statement = table.statement("erase_latecomers")
    while rows := await connection.fetch(statement, list(identity.user_ids), list(identity.user_refs), BATCH):
        found += await _take_off(connection, table, rows, eraser)
    return found


async def _take_off(connection: DatabaseConnection, table: UsageTable, rows: list[Any], eraser: Eraser) -> int:
    """Update calls and their sums; returns how many were the person's own."""
    await connection.execute(
        table.statement("erase_update"),
        [row["id"] for row in rows],
        [row["created_at"] for row in rows],
        [row["variant"] for row in rows],
        [bool(row["is_theirs"]) for row in rows],
        [None if row["error_message"] is None else eraser.text(row["error_message"]) for row in rows],
        [None if row["request_metadata"] is None else eraser.json(row["request_metadata"]) for row in rows],
    )
    theirs = [row for row in rows if row["is_theirs"]]
    if table.is_summed:
        entries = []
        for row in theirs:
            before = rollups.entry_of_stored(row, -1)
            entries += [before, before._replace(user_id=None, user_ref=None, sign=1)]
        await rollups.apply(connection, entries)
    return len(theirs)


def _who(identity: Identity) -> tuple[list[UUID], list[str], list[str]]:
    return list(identity.user_ids), list(identity.user_refs), list(identity.emails)


def _bytes(identity: Identity) -> list[bytes]:
    return [text.encode("utf-8", "replace") for text in identity.texts]


def _patterns(identity: Identity) -> list[str]:
    """Return what finds texts that may name the person; ``Eraser`` decides."""
    escaped = (text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for text in identity.texts)
    return [f"%{text}%" if len(text) >= SHORTEST_IN_TEXT else f'%"{text}"%' for text in escaped]
