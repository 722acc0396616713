"""Rows into ``ai_usage_logs``: at full speed when all are new, and the careful way when some may not be."""

from __future__ import annotations

import json
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING

from ai_usage_exporter.storage.arrays import array_of
from ai_usage_exporter.storage.move import SHADOW_COLUMNS
from ai_usage_exporter.storage.row import COLUMNS, to_user_id
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from ai_usage.pricing import PriceRef
    from ai_usage_exporter.calls import Verdict
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.row import Row

_identity_of = itemgetter(
    *(COLUMNS.index(name) for name in ("provider", "model", "input_tokens", "output_tokens", "service_name"))
)


def in_key_order(rows: list[Row]) -> list[Row]:
    """Return rows ordered by id: locks are taken in one order everywhere, and index pages are filled in theirs.

    Stable, so that of two rows with one id the one that was received first stays first.
    """
    rows.sort(key=_id_order)
    return rows


async def copy_rows(connection: DatabaseConnection, rows: Sequence[Row]) -> None:
    """Insert rows that are all expected to be new. Raises ``UniqueViolationError`` when one is not."""
    await connection.copy_records_to_table("ai_usage_logs", records=rows, columns=COLUMNS)


async def insert_new_rows(connection: DatabaseConnection, rows: Sequence[Row]) -> set[UUID]:
    """Insert the rows that do not exist yet, in the order given, and return their ids."""
    await connection.execute(load_statement("incoming_create"))
    await connection.execute("TRUNCATE ai_usage_incoming")
    await connection.copy_records_to_table("ai_usage_incoming", records=rows, columns=COLUMNS)
    columns = ", ".join(COLUMNS)
    statement = load_statement("incoming_insert").replace("{columns}", columns)
    return {row["id"] for row in await connection.fetch(statement)}


async def copy_shadows(connection: DatabaseConnection, rows: Sequence[tuple[Row, Verdict]]) -> None:
    """Insert spans that restate a call. Raises ``UniqueViolationError`` when one is there already."""
    if not rows:
        return
    records = [(*row, verdict.reason.value, verdict.row_id, verdict.is_partly_covered) for row, verdict in rows]
    await connection.copy_records_to_table("ai_usage_shadow_spans", records=records, columns=SHADOW_COLUMNS)


async def load_identities(connection: DatabaseConnection, rows: Iterable[Row]) -> dict[UUID, tuple[UUID, Row]]:
    """Return id → the row that stands for it and ``identity``, for those of ``rows`` that are stored."""
    keys = {row[0]: row[1] for row in rows}
    stored = await connection.fetch(load_statement("usage_identity"), list(keys), list(keys.values()))
    return {row["id"]: (row["row_id"], tuple(row.values())[2:]) for row in stored}


async def insert_variant(connection: DatabaseConnection, row: Row, row_id: UUID) -> bool:
    """Keep a span sent again with other contents beside the first; tell whether it is new."""
    digest = blake2b(repr(identity(row)).encode(), digest_size=8).digest()
    variant = int.from_bytes(digest, signed=True) or 1
    last = len(COLUMNS)
    statement = load_statement("shadow_variant_insert").replace("{columns}", ", ".join(COLUMNS))
    statement = statement.replace("{values}", ", ".join(f"${number}" for number in range(1, last + 1)))
    statement = statement.replace("{row_id}", f"${last + 1}").replace("{variant}", f"${last + 2}")
    return await connection.fetchval(statement, *row, row_id, variant) is not None


def identity(row: Row) -> Row:
    """Return the part of a row that a span sent again must repeat: whose call it was, of what, and its tokens."""
    values: Row = _identity_of(row)
    return values


async def resolve_users(connection: DatabaseConnection, users: Iterable[str | None]) -> dict[str, UUID]:
    """Return user as sent → id, for the users that are written as a UUID and have a row in ``users``."""
    candidates = {user: user_id for user in set(users) if user is not None and (user_id := to_user_id(user))}
    if not candidates:
        return {}
    known = {row["id"] for row in await connection.fetch(load_statement("users_known"), array_of(candidates.values()))}
    return {user: user_id for user, user_id in candidates.items() if user_id in known}


async def write_price_refs(connection: DatabaseConnection, prices: Iterable[PriceRef]) -> None:
    """Store prices that rows refer to; those already there are left as they are."""
    by_id = {price.id: price for price in prices}
    parameters = [
        (id_, price.source, price.version, price.provider, price.model, price.tier, json.dumps(dict(price.rates)))
        for id_, price in sorted(by_id.items())
    ]
    await connection.executemany(load_statement("price_ref_write"), parameters)


def _id_order(row: Row) -> int:
    id_: UUID = row[0]
    return id_.int
