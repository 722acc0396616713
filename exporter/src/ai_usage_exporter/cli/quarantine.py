"""``ai-usage quarantine``: what could not become a row, and sending it through again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.database import open_database
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.pipeline.replay import replay_all, replay_entry
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.data_file import use_price_data_file
from ai_usage_exporter.prices.watch import load_book
from ai_usage_exporter.storage import quarantine as storage
from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ai_usage_exporter.pipeline.replay import Replayed
    from ai_usage_exporter.record import PricedCall, UsageRecord
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.quarantine import QuarantineEntry


@click.group()
def quarantine() -> None:
    """List, show and replay what could not become a row."""


@quarantine.command("list")
@click.option("--reason", help="Only entries with this reason.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(reason: str | None, limit: int, *, as_json: bool) -> None:
    """List entries, newest first, and how many there are by reason."""
    entries, counts = asyncio.run(_list(reason, limit))
    if as_json:
        print_json({"by_reason": counts, "entries": [_document(entry) for entry in entries]})
    elif entries:
        print_table(
            ", ".join(f"{count:,} {name}" for name, count in counts.items()),
            (">Id", "Parked (UTC)", "Kind", "Reason", "Service", ">Bytes", "Detail"),
            [
                (
                    entry.id, f"{entry.parked_at:%Y-%m-%d %H:%M:%S}", entry.kind, entry.reason, entry.service_name,
                    entry.raw_bytes, entry.detail.splitlines()[0][:80] if entry.detail else "",
                )
                for entry in entries
            ],
        )  # fmt: skip
    else:
        say("Nothing is in the quarantine.")


@quarantine.command("show")
@click.argument("entry_id", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(entry_id: int, *, as_json: bool) -> None:
    """Show one entry with what was received."""
    entry = asyncio.run(_show(entry_id))
    received = _readable(entry)
    if as_json:
        print_json({**_document(entry), "received": received, "raw_hex": entry.raw.hex()})
        return
    print_table(
        f"Entry {entry.id}",
        ("Field", "Value"),
        [(name, value) for name, value in _document(entry).items() if name != "id"],
    )
    click.echo(received)


@quarantine.command("replay")
@click.argument("entry_ids", type=int, metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay every entry.")
@click.option("--reason", help="Replay every entry with this reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def replay(
    context: click.Context, entry_ids: tuple[int, ...], reason: str | None, *, everything: bool, as_json: bool
) -> None:
    """Send entries through the whole path again; what is stored leaves the quarantine.

    Safe to repeat. Exits with 1 when something is still refused.
    """
    if not entry_ids and not everything and reason is None:
        raise click.UsageError("say which: ids, --reason, or --all")
    fates = asyncio.run(_replay(entry_ids, reason))
    if as_json:
        print_json({"replayed": fates})
    else:
        say(", ".join(f"{count:,} {fate}" for fate, count in fates.items()) or "Nothing to replay.")
    context.exit(1 if fates.get("kept") else 0)


@asynccontextmanager
async def _connected() -> AsyncIterator[tuple[DatabaseConnection, UsageWriter]]:
    async with open_database(load_settings()) as url:
        pools = await open_pools(url)
        try:
            async with pools.ingest.acquire() as connection:
                await schema.check(connection)
                yield connection, UsageWriter(pools.ingest)
        finally:
            await pools.close()


async def _list(reason: str | None, limit: int) -> tuple[list[QuarantineEntry], dict[str, int]]:
    async with _connected() as (connection, _):
        entries = await storage.list_entries(connection, reason=reason, limit=limit)
        return entries, await storage.count_by_reason(connection)


async def _show(entry_id: int) -> QuarantineEntry:
    async with _connected() as (connection, _):
        return await _load(connection, entry_id)


async def _load(connection: DatabaseConnection, entry_id: int) -> QuarantineEntry:
    entry = await storage.load_entry(connection, entry_id)
    if entry is None:
        raise PermanentError(f"no entry {entry_id} in the quarantine: see ai-usage quarantine list")
    return entry


async def _replay(entry_ids: tuple[int, ...], reason: str | None) -> dict[str, int]:
    def tell(replayed: Replayed) -> None:
        say(f"{replayed.id}: {replayed.fate}{f' ({replayed.detail})' if replayed.detail else ''}")

    async with _connected() as (connection, writer):
        settings = load_settings()
        use_price_data_file(settings.price_data_file)
        to_calls = partial(_to_calls, Pricing(await load_book(connection, settings.prices_file)).price)
        if not entry_ids:
            return await replay_all(connection, writer, to_calls, reason=reason, on_replayed=tell)
        fates: dict[str, int] = {}
        for entry_id in entry_ids:
            replayed = await replay_entry(connection, writer, await _load(connection, entry_id), to_calls)
            fates[replayed.fate] = fates.get(replayed.fate, 0) + 1
            tell(replayed)
        return fates


def _to_calls(price: Callable[[UsageRecord], PricedCall], raw: bytes) -> list[PricedCall]:
    from ai_usage_exporter.normalize import normalize
    from ai_usage_exporter.receiver.protobuf import decode

    return [price(record) for span in decode(raw).spans if (record := normalize(span)) is not None]


def _document(entry: QuarantineEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "parked_at": entry.parked_at.isoformat(),
        "kind": entry.kind,
        "reason": entry.reason,
        "detail": entry.detail,
        "service_name": entry.service_name,
        "raw_bytes": entry.raw_bytes,
    }


def _readable(entry: QuarantineEntry) -> str:
    """Return what was received as text a person can read."""
    if entry.kind == "span":
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        try:
            return str(ExportTraceServiceRequest.FromString(entry.raw))
        except DecodeError:
            return entry.raw.hex()
    return entry.raw.decode("utf-8", "backslashreplace")
