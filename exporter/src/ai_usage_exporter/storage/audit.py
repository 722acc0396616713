"""The audit trail: who did what to keys, prices and stored usage; the database refuses to change entries."""

from __future__ import annotations

import getpass
import json
import re
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ai_usage_exporter.storage.connection import DatabaseConnection

_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""JSON's escape of NUL, which jsonb refuses; not an escaped backslash before the letters u0000."""


class AuditEntry(NamedTuple):
    """Hold one entry as it is stored."""

    id: int
    recorded_at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


async def record(
    connection: DatabaseConnection,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> int:
    """Add an entry and return its id; call it in the transaction of what it tells about, so both happen or neither.

    ``action`` is noun.verb (``key.create``, ``prices.set``, ``user.erase``). ``details`` become a JSON object, what
    JSON does not know (Decimal, UUID, datetime) as text. Never put a secret or an erased identity in it.
    """
    text = _NUL.sub("\\1\ufffd", json.dumps(dict(details or {}), default=str, ensure_ascii=False, allow_nan=False))
    entry_id: int = await connection.fetchval(
        load_statement("audit_record"), _storable(actor), action, _storable(subject), _storable(text)
    )
    return entry_id


async def act_as(connection: DatabaseConnection, actor: str) -> None:
    """Say who changes tables that write their own entries (prices, keys), until the transaction ends."""
    await connection.execute("SELECT set_config('ai_usage.actor', $1, true)", _storable(actor))


async def list_entries(
    connection: DatabaseConnection, *, action: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[AuditEntry]:
    """Return entries, newest first; ``before_id`` continues after the last one seen."""
    rows = await connection.fetch(load_statement("audit_list"), action, before_id, limit)
    return [AuditEntry._make((*list(row.values())[:5], json.loads(row["details"]))) for row in rows]


async def find_broken(connection: DatabaseConnection) -> list[int]:
    """Return the ids of entries that were changed, or before which some were taken out; none when all is well."""
    return [row["id"] for row in await connection.fetch(load_statement("audit_broken"), timeout=None)]


def command_line_actor() -> str:
    """Return who runs a command, e.g. ``cli:ada@build-7``; the trail believes the operating system."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = "unknown"
    return f"cli:{user}@{socket.gethostname()}"


def _storable(text: str) -> str:
    """Return text as PostgreSQL can keep it: no NUL, no lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
