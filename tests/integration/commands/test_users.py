"""Erasing a user from the command line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from click.testing import CliRunner

from ai_usage_exporter.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

ROWS = """
INSERT INTO ai_usage_logs (user_ref, user_email, service_name, provider, model, total_tokens, cost_usd)
VALUES ('anna-7', 'anna@example.com', 'cv', 'openai', 'gpt-4o', 100, 0.5), ('bob', NULL, 'cv', 'openai', 'gpt-4o', 1, 1)
"""


async def _fetch(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def _execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", database_url)
    asyncio.run(_fetch(database_url, ROWS))
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_user_is_erased_and_sums_are_right(run: Callable[..., Result], database_url: str) -> None:
    found = json.loads(run("users", "erase", "anna@example.com", "--dry-run", "--json").stdout)
    assert (found["user_refs"], found["emails"], found["erased"]) == (
        ["anna-7", "anna@example.com"],
        ["anna@example.com"],
        None,
    )
    assert len(asyncio.run(_fetch(database_url, "SELECT FROM ai_usage_logs WHERE user_email IS NOT NULL"))) == 1
    done = json.loads(run("users", "erase", "anna@example.com", "--json").stdout)
    assert done["erased"] == {"calls": 1, "texts": 0, "shadows": 0, "quarantined": 0}
    (entry,) = asyncio.run(_fetch(database_url, "SELECT * FROM ai_usage_audit"))
    assert (entry["action"], entry["subject"]) == ("user.erase", done["audit_subject"])
    assert run("verify").exit_code == 0
    users = asyncio.run(_fetch(database_url, "SELECT user_ref FROM ai_usage_logs ORDER BY 1"))
    assert [row["user_ref"] for row in users] == ["bob", None]


def test_words_say_what_was_done(run: Callable[..., Result]) -> None:
    result = run("users", "erase", "bob", "--yes")
    assert result.exit_code == 0
    assert "Erased from 1 calls" in result.stderr
    assert "bob" in result.stdout


def test_nobody_is_refused(run: Callable[..., Result]) -> None:
    result = run("users", "erase", " ")
    assert (result.exit_code, "USER is ' '" in result.output) == (2, True)


def test_audit_trail_is_listed(run: Callable[..., Result]) -> None:
    run("users", "erase", "bob", "--yes")
    run("prices", "set", "openai", "gpt-4o", "--discount", "5")
    added, erased = json.loads(run("audit", "--json").stdout)
    assert (added["action"], added["subject"], erased["action"]) == ("prices.add", "openai/gpt-4o", "user.erase")
    assert added["actor"].startswith("cli:")
    assert [entry["action"] for entry in json.loads(run("audit", "--action", "user.erase", "--json").stdout)] == [
        "user.erase"
    ]
    assert "user.erase" in run("audit").stdout


def test_broken_audit_trail_is_noticed(run: Callable[..., Result], database_url: str) -> None:
    run("users", "erase", "bob", "--yes")
    assert run("audit", "--verify").exit_code == 0
    tamper = "ALTER TABLE ai_usage_audit DISABLE TRIGGER append_only; UPDATE ai_usage_audit SET actor = 'nobody'"
    asyncio.run(_execute(database_url, tamper))
    result = run("audit", "--verify", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"unbroken": False, "broken_at": [1]})


def test_calls_are_given_to_a_user_created_later(run: Callable[..., Result], database_url: str) -> None:
    late = "0b2f7d51-6d0a-4c87-9a51-3d3d7c9f6a11"
    named = f"UPDATE ai_usage_logs SET user_ref = '{late}' WHERE user_ref = 'bob'"
    asyncio.run(_execute(database_url, f"{named}; INSERT INTO users (id) VALUES ('{late}')"))
    dry = json.loads(run("users", "link", "--dry-run", "--json").stdout)
    assert dry == {"dry_run": True, "found": [{"user_id": late, "calls": 1}], "linked": None}
    assert late in run("users", "link", "--dry-run").stdout
    assert json.loads(run("users", "link", "--json").stdout)["linked"] == {"users": 1, "calls": 1, "shadows": 0}
    (row,) = asyncio.run(_fetch(database_url, "SELECT user_ref FROM ai_usage_logs WHERE user_id IS NOT NULL"))
    assert row["user_ref"] is None
    assert "0 calls" in run("users", "link").output
    assert run("verify").exit_code == 0
