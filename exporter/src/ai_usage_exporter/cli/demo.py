"""``ai-usage demo``: see the whole thing work, with nothing set up."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ai_usage_exporter.cli.output import print_json, print_table, progress, say
from ai_usage_exporter.demo.provider import stand_in_provider
from ai_usage_exporter.demo.run import (
    app_environment,
    demo_settings,
    fetch_summary,
    run_app,
    wait_for_calls,
)
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.log_format import configure_logging
from ai_usage_exporter.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHOWN: Final = 12
_NEEDED: Final = ("openai", "anthropic", "google.genai")


@click.command()
@click.option("--once", is_flag=True, help="Exit after printing instead of serving on.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: rows, summary, handed_out.")
@click.option("--live", is_flag=True, help="Call the real providers with the keys in the environment.")
def demo(*, once: bool, as_json: bool, live: bool) -> None:
    """Start everything on free ports with a database of its own, run a small app, show what its calls cost.

    The app calls OpenAI, Anthropic and Gemini through their real SDKs; a stand-in provider answers in their wire
    formats. Nothing of yours is touched: the database lives in a temporary directory.
    """
    configure_logging("WARNING")
    asyncio.run(_demo(once=once, as_json=as_json, live=live))


async def _demo(*, once: bool, as_json: bool, live: bool) -> None:
    missing = [module for module in _NEEDED if not _is_installed(module)]
    if missing:
        raise PermanentError(
            f"the demo calls real SDKs and these are missing: {', '.join(missing)}; "
            "pip install 'ai-usage-exporter[demo]'"
        )
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-usage-demo-")))
        provider = None if live else stack.enter_context(stand_in_provider())
        with progress("Starting PostgreSQL, the receiver and the API") as show:
            server = await Server(demo_settings(data_dir)).__aenter__()
            try:
                show("Running an app that calls OpenAI, Anthropic and Gemini")
                await run_app(app_environment(server, provider))
                show("Waiting for its calls to be committed")
                rows = await wait_for_calls(server.database_url, len(provider.ledger) if provider else 1)
                summary = await fetch_summary(server)
            except BaseException:
                await server.__aexit__(None, None, None)
                raise
        try:
            if as_json:
                handed_out = [_entry(call) for call in provider.ledger] if provider else []
                print_json({"rows": rows, "summary": summary, "handed_out": handed_out})
            else:
                _print_tables(rows, summary)
            if not once:
                await _serve_on(server)
        finally:
            await server.__aexit__(None, None, None)


async def _serve_on(server: Server) -> None:
    say(f"\nOpen  http://{server.addresses['api']}/admin/ai-usage")
    say(f"Token {server.admin_token}")
    say(f"Spans go to http://{server.addresses['otlp_grpc']} (gRPC) or http://{server.addresses['otlp_http']} (HTTP)")
    say("Ctrl-C stops everything and removes the demo's database.")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _print_tables(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    print_table(
        f"Newest calls ({min(_SHOWN, len(rows))} of {len(rows)})",
        ("time", "user", "service", "action", "provider", "model", ">input", ">output", ">cost"),
        [
            (
                row["created_at"].strftime("%H:%M:%S"),
                row["user_name"],
                row["service_name"],
                row["service_action"],
                row["provider"],
                row["model"],
                row["input_tokens"] if row["success"] else None,
                row["output_tokens"] if row["success"] else None,
                f"${row['cost_usd']:.6f}" if row["success"] else f"failed: {row['error_message'] or row['error_code']}",
            )
            for row in rows[:_SHOWN]
        ],
    )
    for name, groups in (("provider", summary["by_provider"]), ("service", summary["by_service"])):
        print_table(
            f"By {name}",
            (name, ">calls", ">tokens", ">cost"),
            [
                *(
                    (key, sums["requests"], f"{sums['tokens']:,}", f"${sums['cost']:.4f}")
                    for key, sums in groups.items()
                ),
                ("all", summary["total_requests"], f"{summary['total_tokens']:,}", f"${summary['total_cost']:.4f}"),
            ],
        )
    say(f"{summary['success_rate']} % of {summary['total_requests']} calls succeeded.")


def _entry(call: Any) -> dict[str, Any]:
    return {
        "provider": call.provider,
        "model": call.model,
        "is_stream": call.is_stream,
        "failed": call.failed,
        **{f"{name}_tokens": count for name, count in call.tokens._asdict().items()},
    }


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
