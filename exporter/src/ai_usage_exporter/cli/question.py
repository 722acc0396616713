"""What the commands that ask questions share: period, filters, a connection, and errors in words."""

from __future__ import annotations

import asyncio
import csv
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ai_usage_exporter.api.export import safe_cell
from ai_usage_exporter.api.period import parse_period
from ai_usage_exporter.api.problem import ProblemError
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.database import open_database
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.call_reader import CallReader
from ai_usage_exporter.storage.pool import connect, open_pools
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.reader import UsageReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence

    from ai_usage_exporter.api.period import Period
    from ai_usage_exporter.storage.connection import DatabaseConnection

Function = TypeVar("Function", bound="Callable[..., Any]")
Result = TypeVar("Result")

_FILTERS: Final = (
    Dimension.USER,
    Dimension.SERVICE,
    Dimension.ACTION,
    Dimension.PROVIDER,
    Dimension.MODEL,
    Dimension.ERROR_CODE,
    Dimension.COST_STATUS,
)


def question_options(function: Function) -> Function:
    """Add the options for period, filters and format to a command."""
    options = [
        click.option("--days", type=click.IntRange(1, 3660), help="The last so many times 24 hours. [default: 30]"),
        click.option("--from", "start", metavar="TIME", help="Start, inclusive: 2026-11-01 or 2026-11-01T08:00."),
        click.option("--to", "end", metavar="TIME", help="End, exclusive. [default: now]"),
        click.option("--tz", "time_zone", default="UTC", show_default=True, help="Time zone, e.g. Europe/Berlin."),
        *(
            click.option(
                f"--{dimension.value.replace('_', '-')}",
                dimension.value,
                multiple=True,
                metavar="NAME",
                help=f"Only calls with this {dimension.value.replace('_', ' ')}; repeat for several.",
            )
            for dimension in _FILTERS
        ),
        click.option("--failed", is_flag=True, help="Only calls that failed."),
        *format_options(),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def format_options() -> list[Callable[[Any], Any]]:
    """Return the options that choose the format."""
    return [
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV."),
    ]


def read_question(options: dict[str, Any]) -> tuple[Period, UsageQuery]:
    """Take period and filters out of a command's options. Raises ``click.UsageError`` naming the wrong one."""
    if options["as_json"] and options["as_csv"]:
        raise click.UsageError("--json and --csv exclude each other: choose one")
    try:
        period = parse_period(options["start"], options["end"], options["days"], options["time_zone"])
    except ProblemError as error:
        raise click.UsageError(f"--{error}") from error
    conditions = [
        Condition(dimension, tuple(options[dimension.value])) for dimension in _FILTERS if options[dimension.value]
    ]
    if options["failed"]:
        conditions.append(Condition(Dimension.SUCCESS, ("false",)))
    return period, UsageQuery(period.start, period.read_until, tuple(conditions))


@asynccontextmanager
async def open_readers() -> AsyncIterator[tuple[UsageReader, CallReader]]:
    """Give readers of the configured database. Raises ``PermanentError`` when it is not there or not migrated."""
    async with open_database(load_settings()) as url:
        await _require_schema(url)
        pools = await open_pools(url)
        try:
            yield UsageReader(pools.query), CallReader(pools.query)
        finally:
            await pools.close()


@asynccontextmanager
async def open_connection() -> AsyncIterator[DatabaseConnection]:
    """Give one connection to the configured database. Raises ``PermanentError`` as ``open_readers`` does."""
    async with open_database(load_settings()) as url:
        await _require_schema(url)
        connection = await connect(url)
        try:
            yield connection
        finally:
            await connection.close()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work; wrong parameters become words on how to use the command."""
    try:
        return asyncio.run(work)
    except ProblemError as error:
        raise click.UsageError(str(error)) from error


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print CSV to stdout; text that a spreadsheet would run gets a leading quote."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)


async def _require_schema(url: str) -> None:
    connection = await connect(url)
    try:
        pending = (await schema.status(connection)).pending
    finally:
        await connection.close()
    if pending:
        raise PermanentError(f"the database lacks {', '.join(pending)}: run ai-usage migrate (or start ai-usage serve)")
