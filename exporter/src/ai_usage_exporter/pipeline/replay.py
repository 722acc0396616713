"""Replay: send what is in the quarantine through the whole path again, after what kept it there was mended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import quarantine
from ai_usage_exporter.storage.batch import Submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.quarantine import QuarantineEntry
    from ai_usage_exporter.storage.writer import UsageWriter

ToCalls: TypeAlias = "Callable[[bytes], list[PricedCall]]"
"""Decodes, normalises and prices an ExportTraceServiceRequest; empty when it carries no usage."""


class Replayed(NamedTuple):
    """Say what became of one entry."""

    id: int
    fate: str
    """stored, duplicate, shadow or ignored (the entry is gone); kept (still refused) or not a span."""
    detail: str = ""


async def replay_entry(
    connection: DatabaseConnection, writer: UsageWriter, entry: QuarantineEntry, to_calls: ToCalls
) -> Replayed:
    """Replay one entry and remove it once it is stored, or known to carry no usage.

    Safe to repeat and to interrupt: the row is committed first, and writing it again changes nothing. Raises
    ``RetryableError`` when the database cannot take it now.
    """
    if entry.kind != "span":
        return Replayed(entry.id, "not a span", f"a {entry.kind} is kept for people to read")
    try:
        calls = to_calls(entry.raw)
    except (PermanentError, ValueError, TypeError, ArithmeticError) as error:
        return Replayed(entry.id, "kept", f"{type(error).__name__}: {error}")
    (outcome,) = await writer.write_batch([Submission(calls, raw_of=lambda _: entry.raw)])
    if outcome.quarantined:
        return Replayed(entry.id, "kept", entry.detail)
    await quarantine.remove_entry(connection, entry.id)
    if not calls:
        return Replayed(entry.id, "ignored")
    return Replayed(entry.id, "stored" if outcome.stored else "shadow" if outcome.shadows else "duplicate")


async def replay_all(
    connection: DatabaseConnection,
    writer: UsageWriter,
    to_calls: ToCalls,
    *,
    reason: str | None = None,
    on_replayed: Callable[[Replayed], None] | None = None,
) -> dict[str, int]:
    """Replay every entry, or those with one reason; newest first. Returns fate → how many."""
    fates: Counter[str] = Counter()
    before_id: int | None = None
    while page := await quarantine.list_entries(connection, reason=reason, before_id=before_id):
        for listed in page:
            entry = await quarantine.load_entry(connection, listed.id)
            if entry is None:
                continue  # removed by somebody else meanwhile
            replayed = await replay_entry(connection, writer, entry, to_calls)
            fates[replayed.fate] += 1
            if on_replayed is not None:
                on_replayed(replayed)
        before_id = page[-1].id
    return dict(fates)
