"""``ai-usage audit``: who did what to keys, prices and stored usage."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

import click

from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.cli.question import open_connection, run
from ai_usage_exporter.storage.audit import find_broken, list_entries

if TYPE_CHECKING:
    from ai_usage_exporter.storage.audit import AuditEntry

_WIDTH = 100


@click.command()
@click.option("--action", metavar="NAME", help="Only entries of this action, e.g. prices.add, user.erase.")
@click.option("--limit", "-n", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--verify", is_flag=True, help="Check that no entry was changed or taken out, instead of listing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def audit(context: click.Context, action: str | None, limit: int, *, verify: bool, as_json: bool) -> None:
    """List the audit trail, newest first.

    The database refuses to change entries, and each is chained to the one before by a hash: --verify exits with 1
    when somebody got around that.
    """
    if verify:
        broken = run(_verify())
        if as_json:
            print_json({"unbroken": not broken, "broken_at": broken})
        else:
            ids = ", ".join(map(str, broken))
            say(f"Changed, or with entries taken out before them: {ids}" if broken else "Every entry follows.")
        context.exit(1 if broken else 0)
    entries = run(_list(action, limit))
    if as_json:
        print_json([{**entry._asdict(), "recorded_at": entry.recorded_at.isoformat()} for entry in entries])
        return
    print_table(
        f"{len(entries):,} newest entries",
        (">Id", "Time (UTC)", "Who", "What", "To what", "Details"),
        [
            (
                entry.id,
                f"{entry.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                entry.actor,
                entry.action,
                entry.subject,
                json.dumps(entry.details, default=str)[:_WIDTH],
            )
            for entry in entries
        ],
    )


async def _verify() -> list[int]:
    async with open_connection() as connection:
        return await find_broken(connection)


async def _list(action: str | None, limit: int) -> list[AuditEntry]:
    async with open_connection() as connection:
        return await list_entries(connection, action=action, limit=limit)
