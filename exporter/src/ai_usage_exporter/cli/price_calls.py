"""``ai-usage prices missing`` and ``explain``: calls without a price, and what one call's cost is made of."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.cli.price_options import json_option
from ai_usage_exporter.cli.question import open_connection, open_readers, run
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.calculation import dollars
from ai_usage_exporter.prices.calculation import explain as explain_row
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from uuid import UUID

    from ai_usage_exporter.prices.calculation import Calculation


@click.command()
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3660), help="The last so many UTC days.")
@json_option
def missing(days: int, *, as_json: bool) -> None:
    """List models that calls have no price for, those with most tokens first.

    Their calls are estimated at $2 per million tokens, or unpriced when not even that can be said.
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    models = run(_missing(today - timedelta(days=days - 1)))
    if as_json:
        print_json(models)
    elif models:
        print_table(
            f"{len(models):,} models without a price in {days} days",
            ("Provider", "Model", "Status", ">Calls", ">Input", ">Output", ">Tokens", ">Counted as", "Last", "Like"),
            [
                (
                    model["provider"], model["model"], model["cost_status"], f"{model['calls']:,}",
                    f"{model['input_tokens']:,}", f"{model['output_tokens']:,}", f"{model['total_tokens']:,}",
                    f"${model['cost_usd']}", model["last_day"], model["similar"],
                )
                for model in models
            ],
        )  # fmt: skip
        say("Set a price: ai-usage prices set PROVIDER MODEL --input … --output … ; then: ai-usage prices reprice")
    else:
        say(f"Every call of the last {days} days has a price, or needs none.")


@click.command()
@click.argument("row_id", metavar="ID", type=click.UUID)
@json_option
def explain(row_id: UUID, *, as_json: bool) -> None:
    """Print the calculation behind the cost of the call ID (a row of ai_usage_logs)."""
    row = run(_find(row_id))
    if row is None:
        raise PermanentError(f"no call {row_id}: ai-usage logs --json lists ids")
    calculation = explain_row(row)
    if as_json:
        print_json(_document(row, calculation))
        return
    ref = calculation.price
    rows: list[tuple[object, ...]] = [
        (line.unit, f"{line.quantity:,}", f"{line.rate_usd_per_mtok:f}", dollars(line.amount_usd))
        for line in calculation.lines
    ]
    if calculation.rounding_usd:
        rows.append(("rounded to 12 decimals", None, None, dollars(calculation.rounding_usd)))
    rows.append(("cost", None, None, dollars(calculation.cost_usd)))
    print_table(
        f"{row['provider']}/{row['model']}, {row['created_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        ("Unit", ">Quantity", ">× dollars per million", ">= dollars"),
        rows,
    )
    say(f"{calculation.status}: {calculation.words}.")
    if ref is not None:
        matched = f" of {ref.provider}/{ref.model}" if ref.model else ""
        say(f"Price{matched}{f', {ref.tier}' if ref.tier else ''}: {ref.source}, {ref.version}.")
    if calculation.reported_cost_usd is not None:
        say(f"Reported with the span: ${dollars(calculation.reported_cost_usd)}.")


async def _find(row_id: UUID) -> dict[str, Any] | None:
    async with open_readers() as (_, calls):
        return await calls.find(row_id, ())


async def _missing(first_day: datetime) -> list[dict[str, Any]]:
    async with open_connection() as connection:
        found = await connection.fetch(load_statement("models_without_price"), first_day)
    names = _shipped_names()
    return [
        {
            **dict(row),
            "cost_usd": dollars(row["cost_usd"]),
            "last_day": f"{row['last_day']:%Y-%m-%d}" if row["last_day"] else None,
            "similar": next(iter(difflib.get_close_matches(row["model"].lower(), names, n=1, cutoff=0.7)), None),
        }
        for row in found
    ]


def _shipped_names() -> list[str]:
    from genai_prices.data_snapshot import get_snapshot

    return sorted({model.id for vendor in get_snapshot().providers for model in vendor.models})


def _document(row: dict[str, Any], calculation: Calculation) -> dict[str, Any]:
    ref = calculation.price
    return {
        "id": row["id"],
        "provider": row["provider"],
        "model": row["model"],
        "created_at": row["created_at"].isoformat(),
        "service_tier": row["service_tier"],
        "cost_status": calculation.status,
        "cost_usd": dollars(calculation.cost_usd),
        "lines": [
            {
                "unit": line.unit,
                "quantity": line.quantity,
                "rate_usd_per_mtok": f"{line.rate_usd_per_mtok:f}",
                "amount_usd": dollars(line.amount_usd),
            }
            for line in calculation.lines
        ],
        "rounding_usd": dollars(calculation.rounding_usd),
        "reported_cost_usd": None if calculation.reported_cost_usd is None else dollars(calculation.reported_cost_usd),
        "price": None
        if ref is None
        else {
            "id": ref.id,
            "source": ref.source,
            "version": ref.version,
            "provider": ref.provider,
            "model": ref.model,
            "tier": ref.tier,
            "rates_usd_per_mtok": dict(ref.rates),
        },
        "words": calculation.words,
    }
