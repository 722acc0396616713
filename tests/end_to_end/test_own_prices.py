"""Own prices from the command line to the summary: set, used at once, old calls priced again, sums right all along."""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ai_usage_exporter.cli import cli

if TYPE_CHECKING:
    from ai_usage_exporter.server import Server

MODEL = "gpt-4o"


def send(server: Server, count: int = 1) -> None:
    """Send calls of a million input tokens and one output token; returns once they are committed."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.provider.name": {"stringValue": "openai"},
        "gen_ai.response.model": {"stringValue": MODEL},
        "gen_ai.usage.input_tokens": {"intValue": "1000000"},
        "gen_ai.usage.output_tokens": {"intValue": "1"},
        "user.id": {"stringValue": "anna"},
    }
    now = time.time_ns()
    spans = [
        {
            "traceId": os.urandom(16).hex(),
            "spanId": os.urandom(8).hex(),
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": str(now + number),
            "endTimeUnixNano": str(now + number + 10**6),
            "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
        }
        for number in range(count)
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    request = urllib.request.Request(
        f"http://{server.addresses['otlp_http']}/v1/traces",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.status == 200


def total_cost(server: Server) -> Decimal:
    request = urllib.request.Request(
        f"http://{server.addresses['api']}/api/admin/ai-usage/summary?days=2",
        headers={"Authorization": f"Bearer {server.admin_token}"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return Decimal(json.load(reply)["total_cost_usd"])


@pytest.fixture
def command(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on the server's database; gives what it prints as JSON."""
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", server.database_url)

    def invoke(*arguments: str) -> Any:
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    return lambda *arguments: asyncio.to_thread(invoke, *arguments)


async def until_price_is(server: Server, source: str) -> None:
    async with asyncio.timeout(20):
        while bool(server._pricing.book.prices) != (source == "own"):  # noqa: ASYNC110 - the server's own task
            await asyncio.sleep(0.005)


async def test_price_set_while_the_server_runs_is_used_and_old_calls_follow_when_asked(
    server: Server, command: Any
) -> None:
    await asyncio.to_thread(send, server, 3)
    shipped = await asyncio.to_thread(total_cost, server)
    assert shipped == 3 * Decimal("2.50001")
    price_id = (
        await command(
            "prices", "set", "openai", MODEL, "--input", "1", "--output", "3", "--from", "2026-01-01", "--json"
        )
    )["id"]
    await until_price_is(server, "own")
    await asyncio.to_thread(send, server, 2)
    assert await asyncio.to_thread(total_cost, server) == shipped + 2 * Decimal("1.000003")
    difference = await command("prices", "reprice", "--from", "2026-01-01", "--dry-run", "--json")
    assert (difference["calls_seen"], difference["calls"]) == (5, 3)
    assert await asyncio.to_thread(total_cost, server) == shipped + 2 * Decimal("1.000003")
    await command("prices", "reprice", "--from", "2026-01-01")
    assert await asyncio.to_thread(total_cost, server) == 5 * Decimal("1.000003")
    assert (await command("verify", "--json"))["equal"] is True
    newest = (await command("logs", "--json"))[0]
    explained = await command("prices", "explain", newest["id"], "--json")
    assert sum(Decimal(line["amount_usd"]) for line in explained["lines"]) == Decimal("1.000003")
    assert explained["price"]["version"] == f"ai_model_prices {price_id}"
    await command("prices", "remove", str(price_id))
    await until_price_is(server, "shipped")


async def test_repricing_and_erasing_while_calls_arrive_keep_every_sum_right(server: Server, command: Any) -> None:
    await asyncio.to_thread(send, server, 50)
    stop = asyncio.Event()

    async def keep_sending() -> int:
        sent = 0
        while not stop.is_set():
            await asyncio.to_thread(send, server, 5)
            sent += 5
        return sent

    sending = asyncio.create_task(keep_sending())
    for percent in ("10", "20", "-5"):
        await command("prices", "set", "openai", MODEL, "--discount", percent, "--from", "2026-01-01")
        await command("prices", "reprice", "--from", "2026-01-01")
    await command("users", "erase", "anna")
    stop.set()
    sent = await sending
    await command("prices", "reprice", "--from", "2026-01-01")
    assert (await command("verify", "--json"))["equal"] is True
    # Input 2.50 and output 10, 5 % on top.
    assert await asyncio.to_thread(total_cost, server) == (50 + sent) * Decimal("2.6250105")
