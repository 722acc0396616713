"""The doctor names what is wrong and what to do about it."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import date
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import trustme
from click.testing import CliRunner

from ai_usage_exporter.cli import cli
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.doctor import Health, check_price_data
from ai_usage_exporter.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PORTS = ("AI_USAGE_OTLP_GRPC_LISTEN", "AI_USAGE_OTLP_HTTP_LISTEN", "AI_USAGE_API_LISTEN")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> dict[str, str]:
    values = {"AI_USAGE_DATABASE_URL": database_url} | dict.fromkeys(PORTS, "127.0.0.1:0")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def examine(environment: dict[str, str]) -> Callable[..., Any]:
    def run(code: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(cli, ["doctor", "--json"])
        assert result.exit_code == code, (result.output, result.exception)
        document = json.loads(result.stdout)
        assert document["ok"] is (code == 0)
        for check in document["checks"]:
            assert (check["health"] == "ok") == (check["fix"] == ""), check
        return {check["name"]: check for check in document["checks"]}

    return run


def test_sound_installation_is_fine(examine: Callable[..., Any]) -> None:
    found = examine()
    assert {check["health"] for check in found.values()} == {"ok"}
    assert set(found) == {
        "settings", "port 0", "database", "clock", "schema", "keys", "own prices", "quarantine", "unpriced calls",
        "price data", "audit trail"
    }  # fmt: skip
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 0
    assert "ok   schema" in result.stdout
    assert "0 failed, 0 warnings" in result.stderr


def test_unknown_and_invalid_settings_are_named(examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_USAGE_API_LISTN", "x")
    assert "did you mean AI_USAGE_API_LISTEN" in examine(1)["settings"]["message"]


def test_an_open_address_without_keys_and_files_without_tls_are_named(
    examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_USAGE_API_LISTEN", "0.0.0.0:0")
    monkeypatch.setenv("AI_USAGE_TLS_CERT", "/nowhere/cert.pem")
    found = examine(1)
    assert "AI_USAGE_API_LISTEN: 0.0.0.0:0 can be reached from other machines" in found["keys"]["message"]
    assert "AI_USAGE_TLS_KEY is not set" in found["settings"]["message"]


def test_a_key_that_expires_soon_is_named(examine: Callable[..., Any]) -> None:
    made = CliRunner().invoke(cli, ["keys", "create", "--role", "ingest", "--name", "collector-eu", "--expires", "10d"])
    assert made.exit_code == 0
    assert "collector-eu (aiu_" in examine()["keys"]["message"]


def test_port_of_another_program_is_named(
    examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("AI_USAGE_OTLP_GRPC_LISTEN", f"127.0.0.1:{taken_port}")
    check = examine(1)[f"port {taken_port}"]
    assert "Address already in use" in check["message"]
    assert "AI_USAGE_OTLP_GRPC_LISTEN" in check["fix"]


@pytest.mark.parametrize("is_tls", [False, True])
async def test_ports_of_the_running_server_are_fine(
    examine: Callable[..., Any],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    is_tls: bool,
) -> None:
    if is_tls:
        issued = trustme.CA().issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        for name in ("CERT", "KEY"):
            environment[f"AI_USAGE_TLS_{name}"] = str(tmp_path / f"{name.lower()}.pem")
            monkeypatch.setenv(f"AI_USAGE_TLS_{name}", environment[f"AI_USAGE_TLS_{name}"])
    async with Server(load_settings(environment)) as server:
        for name, address in zip(PORTS, ("otlp_grpc", "otlp_http", "api"), strict=True):
            monkeypatch.setenv(name, str(server.addresses[address]))
        found = await asyncio.to_thread(examine)
        for address in server.addresses.values():
            assert "the server that runs here answers" in found[f"port {address.port}"]["message"]


def test_unreachable_database_is_named(
    examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/nowhere")
    found = examine(1)
    assert "cannot reach database 127.0.0.1:1/nowhere" in found["database"]["message"]
    assert "secret" not in json.dumps(found)
    assert found["price data"]["health"] == "ok"


def test_missing_migrations_are_named(
    examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", empty_database_url)
    check = examine(1)["schema"]
    assert "not applied yet, from 0001_create_usage_tables.sql on" in check["message"]
    assert check["fix"] == "run: ai-usage migrate"


def test_clock_that_is_off_is_noticed(examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_usage_exporter.doctor.CLOCK_WARN_S", -1.0)
    assert examine()["clock"]["health"] == "warn"
    monkeypatch.setattr("ai_usage_exporter.doctor.CLOCK_FAIL_S", -1.0)
    assert examine(1)["clock"]["health"] == "fail"


def test_calls_without_a_price_and_parked_spans_are_warned_of(examine: Callable[..., Any], database_url: str) -> None:
    asyncio.run(
        _execute(
            database_url,
            "INSERT INTO ai_usage_logs (service_name, provider, model, cost_status)"
            " SELECT 'cv', 'p', 'm', CASE WHEN number <= 2 THEN 'estimated' ELSE 'priced' END"
            " FROM generate_series(1, 100) AS number;"
            "INSERT INTO ai_usage_quarantine (digest, kind, reason, detail, raw, raw_bytes)"
            " VALUES ('x', 'span', 'tokens_out_of_range', 'd', 'r', 1)",
        )
    )
    found = examine()
    assert found["unpriced calls"]["message"] == "2.00 % of 100 calls in 30 days have no price"
    assert found["unpriced calls"]["health"] == "warn"
    assert (found["quarantine"]["message"], found["quarantine"]["health"]) == ("1 tokens_out_of_range", "warn")


def test_tampered_audit_trail_is_named(examine: Callable[..., Any], database_url: str) -> None:
    entry = "INSERT INTO ai_usage_audit (actor, action, subject) VALUES ('a', 'b', 'c');"
    tamper = "ALTER TABLE ai_usage_audit DISABLE TRIGGER append_only; UPDATE ai_usage_audit SET actor = 'nobody'"
    asyncio.run(_execute(database_url, entry + tamper))
    assert "taken out before them: 1" in examine(1)["audit trail"]["message"]


def test_own_prices_that_ended_and_a_broken_file_are_named(
    examine: Callable[..., Any], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = "INSERT INTO ai_model_prices (provider, model, effective_from, effective_to, discount_percent) VALUES"
    asyncio.run(_execute(database_url, f"{price} ('openai', 'gpt-4o', '2026-01-01', '2026-02-01', 5)"))
    assert "ended, with no price after them: openai/gpt-4o" in examine()["own prices"]["message"]
    asyncio.run(_execute(database_url, f"{price} ('openai', 'gpt-4o', '2026-02-01', NULL, 5)"))
    assert examine()["own prices"]["health"] == "ok"
    file = tmp_path / "prices.toml"
    file.write_text("[[price]]\nprovider = 'x'\n")
    monkeypatch.setenv("AI_USAGE_PRICES_FILE", str(file))
    assert "model is None" in examine(1)["own prices"]["message"]


def test_old_price_data_is_warned_of() -> None:
    assert check_price_data(today=date(2026, 11, 24)).health is Health.OK
    assert check_price_data(today=date(2027, 11, 24)).health is Health.WARN
