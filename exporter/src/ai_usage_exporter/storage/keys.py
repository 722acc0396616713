"""Keys in the table ``ai_usage_keys``: read them, add one, revoke one. The table tells the audit trail itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.keys import Key, Role
from ai_usage_exporter.storage.audit import act_as
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from ai_usage_exporter.storage.connection import DatabaseConnection


async def load_keys(connection: DatabaseConnection) -> list[Key]:
    """Return every key, the oldest first, those that are revoked or expired too."""
    return [_key(row) for row in await connection.fetch(load_statement("keys_read"))]


async def add_key(
    connection: DatabaseConnection,
    actor: str,
    *,
    key_id: str,
    token_hash: bytes,
    name: str,
    role: Role,
    services: Collection[str] | None = None,
    spans_per_s: float | None = None,
    expires_at: datetime | None = None,
) -> None:
    """Add a key, in the audit trail under ``actor``. Raises ``PermanentError`` for one that cannot be."""
    listed = None if services is None else sorted(set(services))
    try:
        async with connection.transaction():
            await act_as(connection, actor)
            await connection.execute(
                load_statement("key_add"), key_id, name, role.value, token_hash, listed, spans_per_s, expires_at
            )
    except (asyncpg.CheckViolationError, asyncpg.DataError) as error:
        # Not the details: they quote the whole row.
        raise PermanentError(
            f"the database refuses this key: {getattr(error, 'message', type(error).__name__)}"
        ) from None


async def revoke_key(connection: DatabaseConnection, actor: str, key_id: str) -> datetime | None:
    """Revoke a key and return when, ``None`` when there is none to revoke; servers notice within seconds."""
    async with connection.transaction():
        await act_as(connection, actor)
        revoked_at: datetime | None = await connection.fetchval(load_statement("key_revoke"), key_id)
        return revoked_at


def _key(row: Any) -> Key:
    services = row["services"]
    return Key(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        token_hash=row["token_hash"],
        services=None if services is None else frozenset(services),
        spans_per_s=row["spans_per_s"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
