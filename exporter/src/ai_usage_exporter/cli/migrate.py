"""``ai-usage migrate``: bring the database's schema up to this release."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from ai_usage_exporter.cli.output import print_json, progress, say
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.database import open_database
from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.pool import connect

if TYPE_CHECKING:
    from ai_usage_exporter.storage.connection import DatabaseConnection


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when something is to be applied.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found or done as JSON.")
@click.pass_context
def migrate(context: click.Context, *, check: bool, as_json: bool) -> None:
    """Apply the migrations that the database does not have yet.

    Safe to run at any time and from several places at once: one applies, the others wait.
    """
    context.exit(asyncio.run(_migrate(check=check, as_json=as_json)))


async def _migrate(*, check: bool, as_json: bool) -> int:
    async with open_database(load_settings()) as url:
        connection = await connect(url)
        try:
            return await (_check(connection, as_json=as_json) if check else _apply(connection, as_json=as_json))
        finally:
            await connection.close()


async def _check(connection: DatabaseConnection, *, as_json: bool) -> int:
    status = await schema.status(connection)
    if as_json:
        print_json({"applied": status.applied, "pending": status.pending, "unknown": status.unknown})
    elif status.pending:
        say("To be applied: " + ", ".join(status.pending))
    else:
        say(f"Up to date: {len(status.applied)} migrations applied.")
    return 1 if status.pending else 0


async def _apply(connection: DatabaseConnection, *, as_json: bool) -> int:
    with progress("Looking for migrations to apply") as show:
        applied = await schema.migrate(connection, on_applied=lambda done: show(f"Applied {done.file_name}"))
    if as_json:
        print_json({"applied": applied})
    else:
        say("Applied " + ", ".join(applied) if applied else "Nothing to apply: the database is up to date.")
    return 0
