"""The commands that ask: summary, top, logs, verify."""

from __future__ import annotations

import asyncio
import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from click.testing import CliRunner

from ai_usage_exporter.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


ROWS = """
INSERT INTO ai_usage_logs (created_at, user_ref, service_name, provider, model, total_tokens, cost_usd, success,
    error_code, cost_status, duration_ms)
VALUES
    (now() - interval '2 hours', 'anna', 'cv', 'openai', 'gpt-4o', 100, 0.5, true, NULL, 'priced', 900),
    (now() - interval '1 hour', '=1+1', 'xray', 'anthropic', 'claude', 50, 0.25, false, '429', 'priced', 100),
    (now() - interval '3 hours', NULL, 'cv', 'openai', E'bad\\x1b[31m[bold]', 7, 0, true, NULL, 'unpriced', NULL)
"""


async def _execute(url: str, statement: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def ask(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", database_url)
    asyncio.run(_execute(database_url, ROWS))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, env={"COLUMNS": "200"})

    return invoke


def test_summary_prints_the_sums_as_json(ask: Callable[..., Result]) -> None:
    result = ask("summary", "--json")

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["total_tokens"] == 157
    assert Decimal(document["total_cost_usd"]) == Decimal("0.75")
    assert document["errors_by_code"] == {"429": 1}


def test_summary_is_a_table_that_no_name_can_colour(ask: Callable[..., Result]) -> None:
    result = ask("summary")

    assert "$0.7500" in result.stdout
    assert "[bold]" in result.stdout
    assert "\x1b" not in result.stdout


def test_top_ranks_by_what_is_asked(ask: Callable[..., Result]) -> None:
    rows = json.loads(ask("top", "--by", "service", "--by", "user", "--sort", "tokens", "-n", "2", "--json").stdout)

    assert [row["group"] for row in rows["rows"]] == [
        {"service": "cv", "user": "anna"},
        {"service": "xray", "user": "=1+1"},
    ]
    assert rows["other"]["requests"] == 1


def test_csv_has_no_formula_in_it(ask: Callable[..., Result]) -> None:
    rows = list(csv.reader(ask("top", "--by", "user", "--csv").stdout.splitlines()))

    assert rows[0] == ["user", "requests", "failed", "tokens", "cost_usd"]
    assert {row[0] for row in rows[1:]} == {"anna", "'=1+1", ""}


def test_logs_lists_the_newest_first(ask: Callable[..., Result]) -> None:
    calls = json.loads(ask("logs", "--json").stdout)

    assert [call["service"] for call in calls] == ["xray", "cv", "cv"]
    assert [call["error_code"] for call in json.loads(ask("logs", "--failed", "--json").stdout)] == ["429"]


EVERY_SUM = {
    (name, grain_s)
    for name, grains_s in {
        "full": (86_400,),
        "service": (432_000, 86_400, 3_600, 900),
        "model": (432_000, 86_400, 3_600, 900),
        "status": (432_000, 86_400, 3_600, 900),
        "user": (2_592_000, 86_400),
        "duration": (432_000, 86_400, 3_600, 900),
        "pair": (432_000, 86_400, 3_600),
    }.items()
    for grain_s in grains_s
}

# Another measure of each cuboid and grain, one key of each: whatever is spoilt, by hand, has to be noticed.
SPOIL = """
UPDATE ai_usage_rollups AS rollup SET
    calls = rollup.calls + (number % 4 = 0)::int, cost_usd = rollup.cost_usd + (number % 4 = 1)::int * 0.000000000001,
    total_tokens = rollup.total_tokens - (number % 4 = 2)::int, duration_ms = rollup.duration_ms + (number % 4 = 3)::int
FROM (
    SELECT *, row_number() OVER (ORDER BY cuboid, grain_s) AS number
    FROM (SELECT DISTINCT ON (cuboid, grain_s) * FROM ai_usage_rollups ORDER BY cuboid, grain_s, key_id) AS first
) AS spoilt
WHERE (rollup.cuboid, rollup.grain_s, rollup.bucket, rollup.key_id, rollup.slot)
    = (spoilt.cuboid, spoilt.grain_s, spoilt.bucket, spoilt.key_id, spoilt.slot)
"""


def test_verify_names_every_sum_that_was_changed_by_hand_and_mends_it(
    ask: Callable[..., Result], database_url: str
) -> None:
    assert ask("verify").exit_code == 0
    assert asyncio.run(_execute(database_url, SPOIL)) == f"UPDATE {len(EVERY_SUM)}"

    broken = ask("verify", "--json")
    assert broken.exit_code == 1
    found = json.loads(broken.stdout)
    assert not found["equal"]
    assert {(item["rollup"], item["grain_s"]) for item in found["differences"]} == EVERY_SUM
    assert len(found["differences"]) == len(EVERY_SUM)
    shown = ask("verify")
    assert shown.exit_code == 1
    assert f"{len(EVERY_SUM)} sums differ from their rows" in shown.stdout
    assert "ai-usage verify --rebuild" in shown.stderr

    assert ask("verify", "--rebuild").exit_code == 0
    assert ask("verify").exit_code == 0
    entries = json.loads(ask("audit", "--action", "rollups.rebuild", "--json").stdout)
    # Long buckets were built again with the day in them.
    long = sum(1 for _, grain_s in EVERY_SUM if grain_s > 86_400)
    assert sum(entry["details"]["differences"] for entry in entries) == len(EVERY_SUM) - long
    assert all(entry["actor"].startswith("cli:") for entry in entries)


def test_summary_and_logs_as_csv_and_as_tables(ask: Callable[..., Result]) -> None:
    summed = list(csv.DictReader(ask("summary", "--csv").stdout.splitlines()))
    assert {"dimension": "service", "value": "cv", "requests": "2", "tokens": "107", "cost": "0.5"} in summed
    listed = list(csv.DictReader(ask("logs", "--csv").stdout.splitlines()))
    assert [(call["user"], call["cost_usd"]) for call in listed] == [
        ("'=1+1", "0.250000000000"),
        ("anna", "0.500000000000"),
        ("", "0.000000000000"),
    ]
    table = ask("logs", "-n", "2").stdout
    assert "2 newest calls" in table
    assert "$0.250000" in table
    ranked = ask("top", "--by", "model", "-n", "1").stdout
    assert "gpt-4o" in ranked
    assert "2 others" in ranked


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("summary", "--tz", "Mars/Olympus"), "tz"),
        (("summary", "--from", "yesterday"), "from"),
        (("logs", "--from", "2026-01-02", "--to", "2026-01-01"), "to"),
        (("summary", "--json", "--csv"), "--json"),
        (("top", "--by", "user", "--by", "model", "--by", "service", "--by", "action"), "three"),
    ],
)
def test_a_wrong_option_is_named(ask: Callable[..., Result], arguments: tuple[str, ...], named: str) -> None:
    result = ask(*arguments)

    assert result.exit_code == 2
    assert named in result.stderr


def test_a_database_without_tables_is_said_to_lack_them(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", empty_database_url)

    result = CliRunner().invoke(cli, ["summary"])

    assert result.exit_code == 1
    assert "ai-usage migrate" in str(result.exception)
