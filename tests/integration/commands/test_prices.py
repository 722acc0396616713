"""The price commands: own prices, models without one, a cost explained by hand, calls priced again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from click.testing import CliRunner

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.cli import cli
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.price import price
from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from click.testing import Result

    from ai_usage_exporter.record import PricedCall, UsageRecord

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)


async def _write(url: str, calls: Sequence[PricedCall]) -> None:
    pools = await open_pools(url)
    try:
        await UsageWriter(pools.ingest).write(calls)
    finally:
        await pools.close()


async def _fetch(url: str, statement: str, *parameters: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *parameters)
    finally:
        await connection.close()


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", database_url)

    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "250"})
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return invoke


@pytest.fixture
def read(run: Callable[..., Result]) -> Callable[..., Any]:
    return lambda *arguments, code=0: json.loads(run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def stored(database_url: str) -> Callable[..., None]:
    """Store records at shipped prices, as the receiver does."""
    return lambda *records: asyncio.run(_write(database_url, [price(record) for record in records]))


@pytest.fixture
def sums_are_right(run: Callable[..., Result]) -> Callable[[], None]:
    return lambda: run("verify") and None


def fetch(url: str, statement: str, *parameters: Any) -> list[Any]:
    return asyncio.run(_fetch(url, statement, *parameters))


def call(minute: int = 0, **fields: Any) -> UsageRecord:
    fields = {
        "model": "gpt-4o",
        "usage": TokenUsage(1_000_000, 0),
        "created_at": NOON + timedelta(minutes=minute),
    } | fields
    return make_record(**fields)


def test_price_is_set_shown_listed_and_removed(run: Callable[..., Result], read: Callable[..., Any]) -> None:
    document = read(
        "prices", "set", "OpenAI", "gpt-4o", "--input", "2.10", "--output", "8", "--request", "0.0001",
        "--from", "2026-11-01", "--to", "2026-12-01", "--note", "contract 17",
    )  # fmt: skip
    expected = {
        "provider": "openai", "model": "gpt-4o", "service_tier": None, "above_input_tokens": 0,
        "effective_from": "2026-11-01T00:00:00+00:00", "effective_to": "2026-12-01T00:00:00+00:00",
        "discount_percent": None, "rates_usd_per_mtok": {"input": "2.1", "output": "8", "request": "100"},
    }  # fmt: skip
    assert document == {"id": document["id"], **expected}
    (listed,) = read("prices", "list")
    assert listed == {
        "id": document["id"], "origin": f"ai_model_prices {document['id']}", "note": "contract 17", **expected
    }  # fmt: skip
    (shown,) = read("prices", "show", "openai", "gpt-4o-2024-11-20", "--at", "2026-11-05")
    assert (shown["source"], shown["rates_usd_per_mtok"]["input"]) == ("own", "2.1")
    (shown,) = read("prices", "show", "openai", "gpt-4o", "--at", "2026-12-05")
    assert (shown["source"], shown["rates_usd_per_mtok"]["input"]) == ("genai-prices", "2.5")
    assert "2.1" in run("prices", "list").stdout
    run("prices", "remove", str(document["id"]))
    assert read("prices", "list") == []


def test_prices_of_the_file_are_listed_and_used(
    run: Callable[..., Result], read: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(
        '[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\ninput = 1\n[[price.above]]\ninput_tokens = 9\ninput = 2\n'
    )
    monkeypatch.setenv("AI_USAGE_PRICES_FILE", str(file))
    assert [price["id"] for price in read("prices", "list")] == [None, None]
    sizes = read("prices", "show", "openai", "gpt-4o")
    assert [(size["above_input_tokens"], size["rates_usd_per_mtok"]["input"]) for size in sizes] == [(0, "1"), (9, "2")]
    assert "prices.toml" in run("prices", "list").stdout


def test_shipped_prices_are_listed(run: Callable[..., Result], read: Callable[..., Any]) -> None:
    shipped = read("prices", "list", "--shipped", "--provider", "openai")
    assert {"provider": "openai", "model": "gpt-4o"}.items() <= next(
        price for price in shipped if price["model"] == "gpt-4o"
    ).items()
    assert "claude" not in run("prices", "list", "--shipped", "--provider", "openai").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either rates"),
        (("--input", "1", "--discount", "5"), "give either rates"),
        (("--input", "-1"), "input is -1: write dollars per million tokens"),
        (("--input", "cheap"), "input is 'cheap': write a number"),
        (("--discount", "101"), "discount_percent is 101"),
        (("--input", "1", "--from", "soon"), "'soon' is no time: write 2026-11-01"),
        (("--input", "1", "--from", "0001-01-01T00:00+05:00"), "is no time"),
        (("--input", "1", "--from", "2026-11-01", "--to", "2026-11-01"), "must be after --from"),
        (("--discount", "5", "--above", "9"), "leave out --above"),
    ],
    ids=str,
)
def test_senseless_price_is_refused(run: Callable[..., Result], arguments: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(cli, ["prices", "set", "openai", "gpt-4o", *arguments])
    assert result.exit_code == 2
    assert words in result.stderr


def test_later_price_in_the_way_is_named(run: Callable[..., Result]) -> None:
    run("prices", "set", "openai", "gpt-4o", "--input", "1", "--from", "2026-12-01")
    result = run("prices", "set", "openai", "gpt-4o", "--input", "1", "--from", "2026-11-01", code=1)
    assert isinstance(result.exception, PermanentError)
    assert "holds from 2026-12-01 00:00 UTC" in str(result.exception)


def test_operator_is_told_of_what_a_price_leaves_out(run: Callable[..., Result]) -> None:
    result = run("prices", "set", "openai", "gpt-4o", "--input", "1", "--output", "2")
    assert "no rate for cache_read" in result.stderr
    assert (
        "input 2500 is far from the shipped 2.5" in run("prices", "set", "openai", "gpt-4o", "--input", "2500").stderr
    )
    assert "check the spelling" in run("prices", "set", "openai", "gtp-4o", "--input", "1").stderr


def test_models_without_a_price_are_listed_by_volume(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None]
) -> None:
    now = datetime.now(UTC)
    small, large = TokenUsage(10, 5), TokenUsage(1000, 500)
    stored(
        call(model="gpt-4o", created_at=now),
        call(model="our-llama", provider="vllm", usage=small, created_at=now),
        call(model="claude-opus-99x", provider="anthropic", usage=large, created_at=now),
        call(model="claude-opus-99x", provider="anthropic", usage=large, created_at=now - timedelta(days=3)),
        call(model="old", provider="vllm", usage=small, created_at=now - timedelta(days=40)),
    )
    found = read("prices", "missing")
    assert [(model["model"], model["calls"], model["total_tokens"]) for model in found] == [
        ("claude-opus-99x", 2, 3000),
        ("our-llama", 1, 15),
    ]
    assert found[0] | {"similar": None} == {
        "provider": "anthropic", "model": "claude-opus-99x", "cost_status": "estimated", "calls": 2,
        "input_tokens": 2000, "output_tokens": 1000, "total_tokens": 3000, "cost_usd": "0.006000000000",
        "last_day": f"{now:%Y-%m-%d}", "similar": None,
    }  # fmt: skip
    assert found[0]["similar"].startswith("claude-opus")
    assert "old" in [model["model"] for model in read("prices", "missing", "--days", "60")]
    assert "our-llama" in run("prices", "missing").stdout


def test_explained_lines_add_up_to_the_cost_of_the_row(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str
) -> None:
    records = [
        call(usage=TokenUsage(1_234, 567, 1_000)),
        call(model="claude-sonnet-4-5", provider="anthropic", usage=TokenUsage(250_001, 77, 9_999, 3_333, 1_111)),
        call(model="gpt-4o", usage=TokenUsage(1_234, 567), service_tier="batch"),
        call(model="gpt-4o-audio-preview", usage=TokenUsage(500, 400, None, None, None, None, 300, 200)),
        call(model="nobody-knows", usage=TokenUsage(17, 19)),
    ]
    stored(*records)
    for record in records:
        (row,) = fetch(database_url, "SELECT * FROM ai_usage_logs WHERE id = $1", record.id)
        explained = read("prices", "explain", str(record.id))
        amounts = [Decimal(line["amount_usd"]) for line in explained["lines"]]
        assert sum(amounts, Decimal(explained["rounding_usd"])) == row["cost_usd"] == Decimal(explained["cost_usd"])
        for line in explained["lines"]:
            by_hand = line["quantity"] * Decimal(line["rate_usd_per_mtok"]) / 1_000_000
            assert by_hand == Decimal(line["amount_usd"])
        assert explained["price"]["id"] == row["price_ref"]
    text = run("prices", "explain", str(records[0].id)).stdout
    assert "1,000" in text
    # 234 × 2.50 + 1,000 × 1.25 + 567 × 10.00, by a million
    assert "0.007505000000" in text


def test_call_without_a_calculation_is_explained_in_words(
    run: Callable[..., Result], stored: Callable[..., None]
) -> None:
    reported = call(model="nobody-knows", reported_cost_usd=Decimal("0.25"))
    unmetered = call(usage=TokenUsage())
    stored(reported, unmetered)
    assert "taken as it was reported" in run("prices", "explain", str(reported.id)).stderr
    assert "reported no usage" in run("prices", "explain", str(unmetered.id)).stderr
    missing = run("prices", "explain", "00000000-0000-0000-0000-000000000000", code=1)
    assert "no call 00000000" in str(missing.exception)
    run("prices", "explain", "nonsense", code=2)


def test_dry_run_shows_the_difference_and_changes_nothing(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str
) -> None:
    stored(call(0), call(1), call(2, model="gpt-4o-mini"))
    run("prices", "set", "openai", "gpt-4o", "--input", "1", "--output", "2", "--from", "2026-11-01")
    period = ("--from", "2026-11-05", "--to", "2026-11-06")
    before = fetch(database_url, "SELECT * FROM ai_usage_logs ORDER BY id")
    difference = read("prices", "reprice", *period, "--dry-run")
    assert difference == {
        "dry_run": True, "calls_seen": 3, "calls": 2,
        "cost_usd": "5.000000000000", "new_cost_usd": "2.000000000000", "difference_usd": "-3.000000000000",
        "by_model": [
            {
                "provider": "openai", "model": "gpt-4o", "status": "priced", "new_status": "priced", "calls": 2,
                "cost_usd": "5.000000000000", "new_cost_usd": "2.000000000000",
            }
        ],
    }  # fmt: skip
    assert fetch(database_url, "SELECT * FROM ai_usage_logs ORDER BY id") == before
    assert not fetch(database_url, "SELECT FROM ai_usage_audit WHERE action LIKE 'prices.repric%'")
    assert "-3" in run("prices", "reprice", *period, "--dry-run").stdout


def test_repricing_changes_rows_sums_and_the_audit_trail_together(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str,
    sums_are_right: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ai_usage_exporter.storage.reprice.BATCH", 7)
    unknown = {"provider": "vllm", "model": "our-llama"}
    stored(
        *(call(minute) for minute in range(20)),
        *(call(minute, **unknown, usage=TokenUsage(10, 20), user="anna") for minute in range(10)),
        call(5, usage=TokenUsage()),
        call(6, cache_hit=True),
        call(7, model="nobody-knows", reported_cost_usd=Decimal("0.25")),
        call(24 * 60),
    )
    before = {row["id"]: row for row in fetch(database_url, "SELECT * FROM ai_usage_logs")}
    run("prices", "set", "openai", "gpt-4o", "--input", "0.000001", "--output", "2", "--from", "2026-11-05T12:10")
    run("prices", "set", "vllm", "our-*", "--input", "0.3", "--output", "0.6", "--from", "2026-11-01")
    done = read("prices", "reprice", "--from", "2026-11-05", "--to", "2026-11-06")
    assert (done["dry_run"], done["calls_seen"], done["calls"]) == (False, 33, 20)
    after = {row["id"]: row for row in fetch(database_url, "SELECT * FROM ai_usage_logs")}
    changed = {id_ for id_, row in after.items() if row != before[id_]}
    assert len(changed) == 20
    for id_ in changed:
        row = after[id_]
        if row["provider"] == "vllm":
            assert (row["cost_status"], row["cost_usd"]) == ("priced", Decimal("0.000015"))
        else:
            assert row["created_at"] >= NOON + timedelta(minutes=10)
            assert row["cost_usd"] == Decimal("0.000001")
        (kept,) = fetch(database_url, "SELECT source FROM ai_usage_price_refs WHERE id = $1", row["price_ref"])
        assert kept["source"] == "own"
    assert {row["cost_status"] for id_, row in after.items() if id_ not in changed} == {
        "priced", "unmetered", "free", "reported"
    }  # fmt: skip
    sums_are_right()
    (planned, finished) = fetch(
        database_url, "SELECT actor, action, details FROM ai_usage_audit WHERE action LIKE 'prices.repric%' ORDER BY id"
    )
    assert planned["actor"].startswith("cli:")
    assert json.loads(planned["details"])["planned"] == json.loads(finished["details"])["done"]
    assert json.loads(finished["details"])["done"]["calls"] == 20
    again = read("prices", "reprice", "--from", "2026-11-05", "--to", "2026-11-06")
    assert again["calls"] == 0


def test_repricing_can_be_limited_and_gone_back_on(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str,
    sums_are_right: Callable[[], None],
) -> None:  # fmt: skip
    stored(*(call(minute) for minute in range(5)), call(6, model="gpt-4o-mini"))
    before = fetch(database_url, "SELECT id, cost_usd, cost_status FROM ai_usage_logs ORDER BY id")
    set_ = ("prices", "set", "openai", "gpt-4o*", "--discount", "50", "--from", "2026-11-01")
    price_id = read(*set_)["id"]
    period = ("--from", "2026-11-05", "--to", "2026-11-06")
    assert read("prices", "reprice", *period, "--model", "gpt-4o-mini")["calls"] == 1
    assert read("prices", "reprice", *period, "--provider", "anthropic")["calls"] == 0
    assert read("prices", "reprice", *period)["calls"] == 5
    sums_are_right()
    run("prices", "remove", str(price_id))
    assert read("prices", "reprice", *period)["calls"] == 6
    sums_are_right()
    assert fetch(database_url, "SELECT id, cost_usd, cost_status FROM ai_usage_logs ORDER BY id") == before


def test_second_repricing_waits_for_the_first(
    run: Callable[..., Result], stored: Callable[..., None], database_url: str
) -> None:
    from ai_usage_exporter.storage.reprice import LOCK_KEY

    stored(call())
    run("prices", "set", "openai", "gpt-4o", "--input", "1", "--output", "2", "--from", "2026-11-01")

    async def while_locked() -> Result:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
            return await asyncio.to_thread(run, "prices", "reprice", "--from", "2026-11-05", code=1)
        finally:
            await connection.close()

    assert "another repricing runs" in str(asyncio.run(while_locked()).exception)


def test_interrupted_repricing_is_right_so_far_and_goes_on(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str,
    sums_are_right: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ai_usage_exporter.storage.reprice.BATCH", 4)
    stored(*(call(minute) for minute in range(10)))
    run("prices", "set", "openai", "gpt-4o", "--input", "1", "--output", "2", "--from", "2026-11-01")
    apply, batches = rollups.apply, 0

    async def break_off(*arguments: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise KeyboardInterrupt
        await apply(*arguments)

    period = ("--from", "2026-11-05", "--to", "2026-11-06")
    monkeypatch.setattr(rollups, "apply", break_off)
    run("prices", "reprice", *period, code=1)
    monkeypatch.setattr(rollups, "apply", apply)
    costs = fetch(database_url, "SELECT cost_usd, count(*) AS calls FROM ai_usage_logs GROUP BY 1 ORDER BY 1")
    assert [(row["cost_usd"], row["calls"]) for row in costs] == [(1, 4), (Decimal("2.5"), 6)]
    sums_are_right()
    assert read("prices", "reprice", *period)["calls"] == 6
    sums_are_right()


def test_shadow_spans_are_repriced_without_being_counted(
    run: Callable[..., Result], read: Callable[..., Any], stored: Callable[..., None], database_url: str,
    sums_are_right: Callable[[], None],
) -> None:  # fmt: skip
    stored(call(), call(1))
    columns = "id, created_at, service_name, provider, model, input_tokens, total_tokens, cost_usd, cost_status"
    fetch(
        database_url,
        f"INSERT INTO ai_usage_shadow_spans ({columns}, reason, row_id, variant) SELECT {columns},"
        " 'replay_with_other_content', id, number FROM ai_usage_logs, generate_series(-1, 1, 2) AS number",
    )
    run("prices", "set", "openai", "gpt-4o", "--input", "1", "--output", "2", "--from", "2026-11-01")
    assert read("prices", "reprice", "--from", "2026-11-05")["calls"] == 2
    shadows = fetch(database_url, "SELECT cost_usd FROM ai_usage_shadow_spans")
    assert [row["cost_usd"] for row in shadows] == [1, 1, 1, 1]
    sums_are_right()


def test_amount_no_row_can_hold_is_refused_with_the_price_to_check(
    run: Callable[..., Result], stored: Callable[..., None], database_url: str, sums_are_right: Callable[[], None]
) -> None:
    stored(call(usage=TokenUsage(2**40, 0)))
    before = fetch(database_url, "SELECT cost_usd FROM ai_usage_logs")
    run("prices", "set", "openai", "gpt-4o", "--input", "999999", "--from", "2026-11-01")
    result = run("prices", "reprice", "--from", "2026-11-05", code=1)
    assert "(openai/gpt-4o) would cost $1,099,510,528,264.37" in str(result.exception)
    assert fetch(database_url, "SELECT cost_usd FROM ai_usage_logs") == before
    sums_are_right()


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "a\udcff"], ids=["empty", "blank", "escape", "no utf-8"])
def test_names_that_are_no_text_are_refused(run: Callable[..., Result], name: str) -> None:
    assert "write printable text" in run("prices", "set", name, "m", "--input", "1", code=2).stderr
    assert "write printable text" in run("prices", "set", "openai", name, "--input", "1", code=2).stderr
    assert "USER is" in run("users", "erase", name, code=2).stderr
