"""``ai-usage logs``: the calls themselves, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ai_usage_exporter.api.call_documents import call_fields
from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.cli.question import open_readers, print_csv, question_options, read_question, run

if TYPE_CHECKING:
    from ai_usage_exporter.storage.query import UsageQuery


@click.command()
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@question_options
def logs(**options: Any) -> None:
    """List calls, newest first.

    \b
    Examples:
      ai-usage logs -n 50 --service cv_optimizer
      ai-usage logs --days 1 --failed --json
    """
    _, query = read_question(options)
    calls = run(_read(query, options["limit"]))
    if options["as_json"]:
        print_json(calls)
    elif options["as_csv"]:
        print_csv(tuple(calls[0]) if calls else ("id",), [tuple(call.values()) for call in calls])
    else:
        print_table(
            f"{len(calls):,} newest calls",
            ("Time (UTC)", "User", "Service", "Action", "Provider", "Model", ">Tokens", ">Cost", ">Took", "Result"),
            [_line(call) for call in calls],
        )
        if not calls:
            say("No such calls in this period.")


async def _read(query: UsageQuery, limit: int) -> list[dict[str, Any]]:
    async with open_readers() as (_, calls):
        return [call_fields(row) for row in await calls.page(query, limit)]


def _line(call: dict[str, Any]) -> tuple[Any, ...]:
    marks = {"estimated": "~", "unpriced": "?", "unmetered": "?"}
    return (
        f"{call['created_at']:%m-%d %H:%M:%S}",
        call["user"],
        call["service"],
        call["action"],
        call["provider"],
        call["model"],
        f"{call['total_tokens']:,}",
        f"{marks.get(call['cost_status'], '')}${call['cost']:.6f}",
        "" if call["duration_ms"] is None else f"{call['duration_ms']:,} ms",
        "ok" if call["success"] else call["error_code"] or "failed",
    )
