"""``ai-usage doctor``: is everything all right here?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from ai_usage_exporter import doctor as checks
from ai_usage_exporter.cli.output import print_json, print_styled, progress, say
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.database import open_database
from ai_usage_exporter.doctor import Check, Health
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.pool import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_usage_exporter.config import Settings

_CORRECT_IT = "correct the variable"
_START_POSTGRES = "start PostgreSQL, or correct AI_USAGE_DATABASE_URL"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Check settings, ports, database, schema, clock, keys, prices and what waits in the quarantine.

    Every line says what was found and, unless all is well, what to do. Changes nothing. Exits with 1 when something
    fails; warnings alone exit with 0.
    """
    with progress("Looking around"):
        found = asyncio.run(_examine())
    failed = [check for check in found if check.health is Health.FAIL]
    if as_json:
        print_json({"ok": not failed, "checks": [check._asdict() for check in found]})
    else:
        for check in found:
            _print(check)
        warned = sum(check.health is Health.WARN for check in found)
        say(f"{len(failed)} failed, {warned} warnings, {len(found) - len(failed) - warned} fine.")
    context.exit(1 if failed else 0)


def _print(check: Check) -> None:
    style = {Health.OK: "green", Health.WARN: "bold yellow", Health.FAIL: "bold red"}[check.health]
    print_styled((f"{check.health.value:<5}", style), (f"{check.name:<15}{_printable(check.message)}", ""))
    if check.fix:
        print_styled((f"{'':<20}→ {_printable(check.fix)}", ""))


def _printable(text: str) -> str:
    # Model names and paths are other people's: no control characters that could steer a terminal.
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


async def _examine() -> list[Check]:
    try:
        settings = load_settings()
    except PermanentError as error:
        return [Check("settings", Health.FAIL, line, _CORRECT_IT) for line in str(error).splitlines()]
    found = [checks.check_settings(settings), *await checks.check_ports(settings)]
    try:
        found += [check async for check in _examine_database(settings)]
    except PermanentError as error:
        found.append(Check("database", Health.FAIL, str(error), _START_POSTGRES))
    found.append(checks.check_price_data(settings.price_data_file))
    return found


async def _examine_database(settings: Settings) -> AsyncIterator[Check]:
    async with open_database(settings) as url:
        connection = await connect(url)
        try:
            yield await checks.check_database(connection, url)
            yield await checks.check_clock(connection)
            of_schema = await checks.check_schema(connection)
            yield of_schema
            if of_schema.health is not Health.FAIL:
                yield await checks.check_keys(connection, settings)
                yield await checks.check_own_prices(connection, settings)
                yield await checks.check_quarantine(connection)
                yield await checks.check_audit(connection)
                yield await checks.check_unpriced(connection)
        finally:
            await connection.close()
