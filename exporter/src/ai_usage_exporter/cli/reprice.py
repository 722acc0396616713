"""``ai-usage prices reprice``: give stored calls the cost that prices say now."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from ai_usage_exporter.cli.moment import MOMENT
from ai_usage_exporter.cli.output import print_json, print_table, progress, say
from ai_usage_exporter.cli.price_options import json_option, open_prices
from ai_usage_exporter.cli.question import run
from ai_usage_exporter.prices.book import price_provider
from ai_usage_exporter.prices.calculation import dollars
from ai_usage_exporter.storage import reprice as storage
from ai_usage_exporter.storage.audit import command_line_actor
from ai_usage_exporter.storage.reprice import Scope

if TYPE_CHECKING:
    from datetime import datetime

    from ai_usage_exporter.storage.reprice import Difference


@click.command()
@click.option("--from", "start", type=MOMENT, required=True, help="First start of a call, inclusive.")
@click.option("--to", "end", type=MOMENT, default="now", show_default=True, help="Exclusive.")
@click.option("--provider", help="Only calls of this provider.")
@click.option("--model", help="Only calls that this model answered, as ai-usage logs names it.")
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def reprice(
    start: datetime,
    end: datetime,
    provider: str | None,
    model: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Price stored calls again with the prices known now, each with the price of its date.

    Shows what changes first, and asks on a terminal. Calls whose cost stays the same are not touched. Safe while
    receivers write; may be interrupted and run again. The audit trail keeps the difference.
    """
    if end <= start:
        raise click.UsageError(f"--to {end.isoformat()} must be after --from {start.isoformat()}")
    scope = Scope(start, end, None if provider is None else price_provider(provider), model)
    planned, done = run(_reprice(scope, dry_run=dry_run, ask=not yes and sys.stdin.isatty(), as_json=as_json))
    if as_json:
        print_json({"dry_run": dry_run, **_document(done or planned)})
    elif done is not None:
        say(f"Repriced {done.calls:,} calls: ${dollars(done.cost_usd)} became ${dollars(done.new_cost_usd)}.")


async def _reprice(scope: Scope, *, dry_run: bool, ask: bool, as_json: bool) -> tuple[Difference, Difference | None]:
    async with open_prices() as own:
        price = own.pricing.price
        with progress("Pricing calls again") as show:
            planned = await storage.find_difference(
                own.connection, scope, price, on_progress=lambda seen: show(f"Pricing calls again: {seen:,}")
            )
        if not as_json:
            _print(planned, scope)
        if dry_run or not planned.changes:
            return planned, None
        if ask:
            click.confirm(f"Change {planned.calls:,} calls?", abort=True, err=True)
        with progress("Changing calls") as show:
            done = await storage.reprice(
                own.connection,
                scope,
                price,
                actor=command_line_actor(),
                planned=planned,
                on_progress=lambda seen: show(f"Changing calls: {seen:,} of {planned.calls_seen:,} looked at"),
            )
        return planned, done


def _print(planned: Difference, scope: Scope) -> None:
    period = f"{scope.start.astimezone(UTC):%Y-%m-%d %H:%M} to {scope.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if not planned.changes:
        say(f"Nothing changes: {planned.calls_seen:,} calls, {period}.")
        return
    rows: list[tuple[Any, ...]] = [
        (
            change.provider,
            change.model,
            change.status if change.status == change.new_status else f"{change.status} → {change.new_status}",
            f"{change.calls:,}",
            dollars(change.cost_usd),
            dollars(change.new_cost_usd),
            _signed(change.new_cost_usd - change.cost_usd),
        )
        for change in planned.changes
    ]
    rows.append(
        (
            "all", None, None, f"{planned.calls:,}", dollars(planned.cost_usd), dollars(planned.new_cost_usd),
            _signed(planned.new_cost_usd - planned.cost_usd),
        )
    )  # fmt: skip
    print_table(
        f"{planned.calls:,} of {planned.calls_seen:,} calls change, {period}",
        ("Provider", "Model", "Status", ">Calls", ">Dollars before", ">Dollars after", ">Difference"),
        rows,
    )


def _signed(amount: Any) -> str:
    return dollars(amount) if amount <= 0 else f"+{dollars(amount)}"


def _document(difference: Difference) -> dict[str, Any]:
    return {
        "calls_seen": difference.calls_seen,
        "calls": difference.calls,
        "cost_usd": dollars(difference.cost_usd),
        "new_cost_usd": dollars(difference.new_cost_usd),
        "difference_usd": dollars(difference.new_cost_usd - difference.cost_usd),
        "by_model": [
            {**change._asdict(), "cost_usd": dollars(change.cost_usd), "new_cost_usd": dollars(change.new_cost_usd)}
            for change in difference.changes
        ],
    }
