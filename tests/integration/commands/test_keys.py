"""``ai-usage keys`` on a real database."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from click.testing import CliRunner

from ai_usage_exporter.cli import cli
from ai_usage_exporter.key_ring import KeyRing

if TYPE_CHECKING:
    from ai_usage_exporter.keys import Key

FORM = r"aiu_[0-9a-z]{12}_[0-9A-Za-z]{43}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", database_url)


def keys(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["keys", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def made(*arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(keys("create", *arguments, "--json").stdout)
    return document


def listed(*arguments: str) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = json.loads(keys("list", *arguments, "--json").stdout)
    return document


def find(url: str, token: str) -> Key | None:
    """Ask for a key as a server does."""

    async def ask() -> Key | None:
        async with asyncpg.create_pool(url, min_size=0) as pool, KeyRing(pool) as ring:
            return await ring.find(token)

    return asyncio.run(ask())


def test_a_key_is_shown_once_with_nothing_beside_it(database_url: str) -> None:
    result = keys("create", "--role", "ingest", "--name", "collector-eu")
    assert re.fullmatch(FORM + "\n", result.stdout), "KEY=$(ai-usage keys create …) holds the key"
    assert "shown this once" in result.stderr
    assert "every sender needs one" in result.stderr
    key = find(database_url, result.stdout.strip())
    assert key is not None
    assert (key.name, key.role, key.services, key.spans_per_s) == ("collector-eu", "ingest", None, None)
    secret = result.stdout.strip().rpartition("_")[2]
    for arguments in (["list"], ["list", "--all", "--json"]):
        assert secret not in keys(*arguments).output
    again = keys("create", "--role", "ingest", "--name", "collector-eu")
    assert again.stdout != result.stdout
    assert "every sender needs one" not in again.stderr


def test_limits_are_kept_and_listed(database_url: str) -> None:
    arguments = (
        "--role",
        "ingest",
        "--name",
        "x",
        "--service",
        "b",
        "--service",
        "a",
        "--rate",
        "2.5",
        "--expires",
        "90d",
    )
    document = made(*arguments)
    assert re.fullmatch(FORM, document["key"])
    assert document["key"].startswith(document["prefix"] + "_")
    key = find(database_url, document["key"])
    assert key is not None
    assert (key.services, key.spans_per_s) == ({"a", "b"}, 2.5)
    assert key.expires_at is not None
    assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=5)
    entry = listed()[0]
    assert "key" not in entry
    assert (entry["services"], entry["spans_per_s"], entry["state"]) == (["a", "b"], 2.5, "usable")


@pytest.mark.parametrize("form", ["id", "prefix", "key"])
def test_a_key_is_revoked_by_id_beginning_or_whole(form: str, database_url: str) -> None:
    document, kept = made("--role", "viewer", "--name", "x"), made("--role", "viewer", "--name", "kept")
    assert json.loads(keys("revoke", document[form], "--json").stdout)["id"] == document["id"]
    assert find(database_url, document["key"]) is None
    assert find(database_url, kept["key"]) is not None
    assert [entry["name"] for entry in listed()] == ["kept"]
    assert {entry["name"]: entry["state"] for entry in listed("--all")} == {"x": "revoked", "kept": "usable"}
    refused = CliRunner().invoke(cli, ["keys", "revoke", document["id"]])
    assert refused.exit_code == 1
    assert "to revoke: see ai-usage keys list --all" in str(refused.exception)


def test_who_made_and_revoked_it_is_in_the_audit_trail(database_url: str) -> None:
    document = made("--role", "ingest", "--name", "collector-eu", "--service", "xray")
    keys("revoke", document["id"])
    entries = json.loads(CliRunner().invoke(cli, ["audit", "--json"]).stdout)
    assert [entry["action"] for entry in entries] == ["key.revoke", "key.create"]
    assert all(entry["actor"].startswith("cli:") for entry in entries)
    assert all(entry["subject"] == f"collector-eu ({document['prefix']})" for entry in entries)
    assert entries[1]["details"]["after"]["services"] == ["xray"]
    text = json.dumps(entries)
    assert document["key"].rpartition("_")[2] not in text
    assert "token_hash" not in text
    assert CliRunner().invoke(cli, ["audit", "--verify"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--name", "x"], "--role"),
        (["create", "--role", "root", "--name", "x"], "'root' is not one of"),
        (["create", "--role", "ingest"], "--name"),
        (["create", "--role", "ingest", "--name", "  "], "--name is ''"),
        (["create", "--role", "ingest", "--name", "a\x1b[2J"], "printable characters"),
        (["create", "--role", "ingest", "--name", "x", "--service", ""], "--service is ''"),
        (["create", "--role", "admin", "--name", "x", "--service", "a"], "an admin sees every service"),
        (["create", "--role", "viewer", "--name", "x", "--rate", "5"], "--rate is for ingest keys"),
        (["create", "--role", "ingest", "--name", "x", "--rate", "0"], "--rate"),
        (["create", "--role", "ingest", "--name", "x", "--rate", "nan"], "--rate"),
        (["create", "--role", "ingest", "--name", "x", "--expires", "soon"], "'soon' is no length"),
        (["create", "--role", "ingest", "--name", "x", "--expires", "0d"], "'0d' is no length"),
        (["revoke", "'; DROP TABLE ai_usage_keys --"], "KEY is none"),
    ],
)
def test_wrong_use_is_named(arguments: list[str], words: str) -> None:
    assert words in keys(*arguments, code=2).stderr
    assert listed("--all") == []
