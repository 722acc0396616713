"""``ai-usage verify``: are the sums those of the rows?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ai_usage_exporter.cli.output import print_json, print_table, progress, say
from ai_usage_exporter.cli.question import open_connection, run
from ai_usage_exporter.storage import audit
from ai_usage_exporter.storage.verify import (
    compare_day,
    compare_long_bucket,
    load_days,
    load_long_buckets,
    rebuild_day,
    rebuild_long_bucket,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.verify import Difference


@click.command()
@click.option("--rebuild", is_flag=True, help="Build the sums of days that differ again from their rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def verify(context: click.Context, *, rebuild: bool, as_json: bool) -> None:
    """Compare every sum with the rows it stands for and name each one that differs.

    Safe while the server works; what is rebuilt is in the audit trail. Exits with 1 when something differs and was
    not rebuilt.
    """
    days, found = run(_verify(rebuild=rebuild))
    if as_json:
        print_json(
            {
                "days": days,
                "equal": not found,
                "rebuilt": rebuild and bool(found),
                "differences": [difference._asdict() for difference in found],
            }
        )
    elif found:
        print_table(
            f"{len(found):,} sums differ from their rows",
            ("Sum", ">Seconds", "From (UTC)", "Key", ">Calls in rows", ">in sums", ">Cost in rows", ">in sums"),
            [
                (
                    difference.rollup,
                    difference.grain_s,
                    f"{difference.bucket:%Y-%m-%d %H:%M}",
                    ", ".join(f"{name}={value}" for name, value in difference.key.items() if value is not None),
                    difference.calls_in_rows or 0,
                    difference.calls_in_rollups or 0,
                    difference.cost_in_rows or 0,
                    difference.cost_in_rollups or 0,
                )
                for difference in found
            ],
        )
        say("Rebuilt from the rows." if rebuild else "Repair with: ai-usage verify --rebuild")
    else:
        say(f"Every sum of {days:,} days equals its rows.")
    context.exit(1 if found and not rebuild else 0)


async def _verify(*, rebuild: bool) -> tuple[int, list[Difference]]:
    found: list[Difference] = []
    async with open_connection() as connection:
        days = await load_days(connection)
        with progress("Comparing sums with rows") as show:
            for number, day in enumerate(days, 1):
                if number % 10 == 0 or len(days) < 10:
                    show(f"Comparing sums with rows: day {number:,} of {len(days):,}")
                different = await compare_day(connection, day)
                if different and rebuild:
                    await _rebuild(connection, rebuild_day(connection, day), day, len(different))
                found += different
            show("Comparing long sums with those of their days")
            for bucket in await load_long_buckets(connection):
                different = await compare_long_bucket(connection, bucket)
                if different and rebuild:
                    await _rebuild(connection, rebuild_long_bucket(connection, bucket), bucket.start, len(different))
                found += different
    return len(days), found


async def _rebuild(
    connection: DatabaseConnection,
    building: Awaitable[None],
    start: datetime,
    differences: int,
) -> None:
    async with connection.transaction():
        await building
        await audit.record(
            connection,
            audit.command_line_actor(),
            "rollups.rebuild",
            f"{start:%Y-%m-%d}",
            {"differences": differences},
        )
