"""The quarantine: what could not become a row, kept as it was received, with the reason, until somebody replays it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ai_usage_exporter.record import UsageRecord
    from ai_usage_exporter.storage.connection import DatabaseConnection

MAX_DETAIL_CHARS: Final = 2_000


class ParkedSpan(NamedTuple):
    """Hold one thing to park.

    ``kind`` says what ``raw`` is: ``span`` an OTLP ExportTraceServiceRequest with that one span, ``record`` JSON of
    a usage record, ``body`` the head of a request that could not be decoded.
    """

    reason: str
    """A short code, e.g. tokens_out_of_range."""
    detail: str
    """One line for a person, with the value that was refused."""
    raw: bytes
    kind: str = "span"
    service_name: str | None = None
    raw_bytes: int | None = None
    """Size of what was received when ``raw`` is only its head."""
    whole_digest: bytes | None = None
    """SHA-256 of what was received when ``raw`` is only its head."""

    @property
    def digest(self) -> bytes:
        """Return what makes parking it twice park it once."""
        return hashlib.sha256(
            b"\0".join((self.kind.encode(), self.reason.encode(), self.whole_digest or self.raw))
        ).digest()


class QuarantineEntry(NamedTuple):
    """Hold one parked thing as it is stored; ``raw`` is empty in lists."""

    id: int
    parked_at: datetime
    kind: str
    reason: str
    detail: str
    service_name: str | None
    raw_bytes: int
    raw: bytes = b""


def from_record(record: UsageRecord, reason: str, detail: str) -> ParkedSpan:
    """Return a record as something to park, for when the span it came from is not at hand."""
    raw = json.dumps(record._asdict(), default=_to_json, sort_keys=True).encode()
    return ParkedSpan(reason, detail, raw, kind="record", service_name=record.service_name)


async def park(connection: DatabaseConnection, parked: Sequence[ParkedSpan]) -> None:
    """Store what was parked, each thing once, in the caller's transaction."""
    # Sorted, so that two writers parking the same things wait for each other instead of deadlocking.
    ordered = sorted({item.digest: item for item in parked}.items())
    await connection.executemany(
        load_statement("quarantine_park"),
        [
            (
                digest,
                item.kind,
                _storable(item.reason),
                _storable(item.detail)[:MAX_DETAIL_CHARS],
                None if item.service_name is None else _storable(item.service_name),
                item.raw,
                len(item.raw) if item.raw_bytes is None else item.raw_bytes,
            )
            for digest, item in ordered
        ],
    )


async def list_entries(
    connection: DatabaseConnection, *, reason: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[QuarantineEntry]:
    """Return entries, newest first; ``before_id`` continues after the last one seen."""
    rows = await connection.fetch(load_statement("quarantine_list"), reason, before_id, limit)
    return [QuarantineEntry(*row.values()) for row in rows]


async def count_by_reason(connection: DatabaseConnection) -> dict[str, int]:
    """Return reason → number of entries."""
    rows = await connection.fetch(load_statement("quarantine_count"))
    return {row["reason"]: row["entries"] for row in rows}


async def load_entry(connection: DatabaseConnection, entry_id: int) -> QuarantineEntry | None:
    """Return one entry with what was received, or ``None``."""
    row = await connection.fetchrow(load_statement("quarantine_show"), entry_id)
    return None if row is None else QuarantineEntry(*row.values())


async def remove_entry(connection: DatabaseConnection, entry_id: int) -> bool:
    """Remove one entry, after its replay was stored; tell whether it was there."""
    return await connection.fetchval(load_statement("quarantine_remove"), entry_id) is not None


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _to_json(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
