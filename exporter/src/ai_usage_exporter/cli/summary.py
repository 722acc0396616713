"""``ai-usage summary`` and ``ai-usage top``: who used what, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from ai_usage_exporter.api.usage import Sort, find_breakdown, summary_document
from ai_usage_exporter.cli.output import print_json, print_table, progress, say
from ai_usage_exporter.cli.question import open_readers, print_csv, question_options, read_question, run
from ai_usage_exporter.storage.query import Dimension

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.api.period import Period
    from ai_usage_exporter.api.schemas import Breakdown, GroupSums, Summary
    from ai_usage_exporter.storage.query import UsageQuery

_SUMMARY_TABLES: Final = ("service", "provider", "model", "user", "action")


@click.command()
@question_options
def summary(**options: Any) -> None:
    """Show what was used in a period and what it cost, by service, provider, model, user and action.

    \b
    Examples:
      ai-usage summary --days 7
      ai-usage summary --from 2026-11-01 --to 2026-12-01 --tz Europe/Berlin --json
    """
    period, query = read_question(options)
    found = run(_summary(period, query))
    if options["as_json"]:
        print_json(found.model_dump(mode="json"))
    elif options["as_csv"]:
        print_csv(
            ("dimension", "value", "requests", "tokens", "cost"),
            [
                (dimension, name, group.requests, group.tokens, group.cost)
                for dimension in _SUMMARY_TABLES
                for name, group in _groups(found, dimension).items()
            ],
        )
    else:
        _print_summary(found)


@click.command()
@click.option(
    "--by",
    "group_by",
    multiple=True,
    default=("model",),
    show_default=True,
    type=click.Choice([dimension.value for dimension in Dimension]),
    help="What to rank; up to three.",
)
@click.option(
    "--sort", default="cost", show_default=True, type=click.Choice([sort.value for sort in Sort]), help="Rank by this."
)
@click.option("--limit", "-n", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@question_options
def top(**options: Any) -> None:
    """Rank models, services, users or any three dimensions together.

    \b
    Examples:
      ai-usage top --by user -n 20
      ai-usage top --by service --by model --sort tokens --days 7
    """
    period, query = read_question(options)
    if len(options["group_by"]) > 3:
        raise click.UsageError("--by: three dimensions are the most")
    dimensions = [Dimension(name) for name in options["group_by"]]
    found = run(_breakdown(period, query, dimensions, Sort(options["sort"]), options["limit"]))
    if options["as_json"]:
        print_json(found.model_dump(mode="json"))
    elif options["as_csv"]:
        print_csv(
            (*found.group_by, "requests", "failed", "tokens", "cost_usd"),
            [(*row.group.values(), row.requests, row.failed, row.tokens, row.cost_usd) for row in found.rows],
        )
    else:
        _print_breakdown(found)


async def _summary(period: Period, query: UsageQuery) -> Summary:
    async with open_readers() as (reader, _):
        with progress("Adding up"):
            return await summary_document(reader, period, query)


async def _breakdown(
    period: Period, query: UsageQuery, dimensions: list[Dimension], sort: Sort, limit: int
) -> Breakdown:
    async with open_readers() as (reader, calls):
        with progress("Adding up"):
            return await find_breakdown(reader, calls, period, query, dimensions, sort, "desc", limit, compare=None)


def _print_summary(found: Summary) -> None:
    totals, before = found.totals, found.previous.totals if found.previous else None
    rows = [
        ("Cost", f"${totals.cost:,.4f}", _change(totals.cost, before.cost if before else 0)),
        ("Requests", f"{totals.requests:,}", _change(totals.requests, before.requests if before else 0)),
        ("Tokens", f"{totals.tokens:,}", _change(totals.tokens, before.tokens if before else 0)),
        ("Success", f"{totals.success_rate} %", ""),
        ("Priced", "–" if totals.priced_share is None else f"{totals.priced_share} %", ""),
        ("Mean duration", _milliseconds(found.duration.avg_ms), ""),
        ("95 % within", _milliseconds(found.duration.p95_ms), ""),
    ]
    title = f"{found.start:%Y-%m-%d %H:%M} – {found.end:%Y-%m-%d %H:%M} {found.time_zone}"
    print_table(title, ("", ">Total", ">Against the period before"), rows)
    for dimension in _SUMMARY_TABLES:
        groups = _groups(found, dimension)
        if groups:
            print_table(
                f"By {dimension}",
                (dimension.capitalize(), ">Requests", ">Tokens", ">Cost"),
                [
                    (name or "–", f"{group.requests:,}", f"{group.tokens:,}", f"${group.cost:,.4f}")
                    for name, group in groups.items()
                ],
            )
    if found.errors_by_code:
        errors = [(code or "–", f"{count:,}") for code, count in found.errors_by_code.items()]
        print_table("Errors", ("Code", ">Requests"), errors)
    if not totals.requests:
        say("No calls in this period. Send spans to the receiver, or try ai-usage demo.")


def _print_breakdown(found: Breakdown) -> None:
    rows = [
        (
            *("–" if value is None else value for value in row.group.values()),
            f"{row.requests:,}",
            f"{row.success_rate} %",
            f"{row.tokens:,}",
            f"${row.cost:,.4f}",
            f"{row.cost_share} %",
        )
        for row in found.rows
    ]
    if (other := found.other) is not None:
        blank = [""] * (len(found.group_by) - 1)
        rows.append(
            (
                f"{other.groups:,} others",
                *blank,
                f"{other.requests:,}",
                f"{other.success_rate} %",
                f"{other.tokens:,}",
                f"${other.cost:,.4f}",
                f"{other.cost_share} %",
            )
        )
    names = [name.replace("_", " ").capitalize() for name in found.group_by]
    title = f"{found.start:%Y-%m-%d %H:%M} – {found.end:%Y-%m-%d %H:%M} {found.time_zone}"
    print_table(title, (*names, ">Requests", ">Success", ">Tokens", ">Cost", ">Share"), rows)


def _groups(found: Summary, dimension: str) -> Mapping[str, GroupSums]:
    groups: Mapping[str, GroupSums] = getattr(found, f"by_{dimension}")
    return groups


def _change(now: float, before: float) -> str:
    return f"{100 * (now - before) / before:+.1f} %" if before else "–"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"
