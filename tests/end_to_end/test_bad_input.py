"""What an operator or a sender gets wrong is answered in words, with an exit code or a status, and disturbs nothing."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import grpc
import httpx2
import pytest
from google.rpc.status_pb2 import Status

from ai_usage_exporter.config import Address
from ai_usage_exporter.listen import bind
from ai_usage_exporter.storage import quarantine
from tests.end_to_end.test_replay import EXPORT, recorded_spans

if TYPE_CHECKING:
    from ai_usage_exporter.server import Server


async def run_cli(*arguments: str, **environment: str) -> tuple[int | None, str]:
    """Run the command; return its exit code and what it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AI_USAGE_")}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("ai-usage")),
        *arguments,
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@127.0.0.1:1/usage", "cannot reach database 127.0.0.1:1/usage"),
        ("127.0.0.1/usage", "write postgresql://user:password@host:5432/database"),
    ],
)
async def test_a_database_that_cannot_be_used_is_one_line_and_exit_code_one(url: str, said: str) -> None:
    code, output = await run_cli(
        "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0",
        AI_USAGE_DATABASE_URL=url, AI_USAGE_DATABASE_WAIT="0", AI_USAGE_LOG_LEVEL="error",
    )  # fmt: skip
    assert code == 1
    assert said in output
    assert len(output.splitlines()) == 1
    assert "secret" not in output


async def test_a_database_that_does_not_exist_is_named(postgres_server_url: str) -> None:
    nowhere = urlunsplit(urlsplit(postgres_server_url)._replace(path="/nowhere_at_all"))
    code, output = await run_cli("migrate", "--check", AI_USAGE_DATABASE_URL=nowhere)

    assert (code, len(output.splitlines())) == (1, 1)
    assert "does not exist" in output


@pytest.mark.parametrize("option", ["--grpc", "--http", "--api"])
async def test_a_taken_port_says_which_and_how_to_change_it(option: str, database_url: str) -> None:
    places = {"--grpc": "127.0.0.1:0", "--http": "127.0.0.1:0", "--api": "127.0.0.1:0"}
    setting = {"--grpc": "OTLP_GRPC", "--http": "OTLP_HTTP", "--api": "API"}[option]
    with bind(Address("127.0.0.1", 0), "test") as taken:
        places[option] = f"127.0.0.1:{taken.getsockname()[1]}"
        code, output = await run_cli(
            "serve", *(word for pair in places.items() for word in pair),
            AI_USAGE_DATABASE_URL=database_url, AI_USAGE_LOG_LEVEL="error",
        )  # fmt: skip
    assert code == 1
    assert f"AI_USAGE_{setting}_LISTEN" in output
    assert places[option] in output
    assert "Traceback" not in output


async def test_an_unknown_setting_is_refused_with_the_nearest_valid_name() -> None:
    code, output = await run_cli("serve", AI_USAGE_API_LISTN="127.0.0.1:0")
    assert code == 1
    assert "unknown setting AI_USAGE_API_LISTN: did you mean AI_USAGE_API_LISTEN?" in output


async def test_malformed_requests_get_a_status_and_good_ones_around_them_are_stored(server: Server) -> None:
    url = f"http://{server.addresses['otlp_http']}/v1/traces"
    body = recorded_spans(3)
    async with (
        grpc.aio.insecure_channel(str(server.addresses["otlp_grpc"])) as channel,
        httpx2.AsyncClient() as client,
    ):
        export = channel.unary_unary(EXPORT)

        async def malformed_grpc() -> grpc.StatusCode:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await export(b"\xff not protobuf")
            return caught.value.code()

        good, bad_grpc, bad_protobuf, bad_json = await asyncio.gather(
            export(body),
            malformed_grpc(),
            client.post(url, content=b"\xff nope", headers={"content-type": "application/x-protobuf"}),
            client.post(url, content=b'{"resourceSpans": 3}', headers={"content-type": "application/json"}),
        )
    assert good == b""
    assert bad_grpc is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_protobuf.status_code == 400
    assert bad_protobuf.headers["content-type"] == "application/x-protobuf"
    assert Status.FromString(bad_protobuf.content).message
    assert bad_json.status_code == 400
    assert "body.resourceSpans: expected an array" in bad_json.json()["message"]
    connection = await asyncpg.connect(server.database_url)
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 3
    await connection.close()


async def test_heads_of_malformed_bodies_are_kept_for_people_and_not_without_end(server: Server) -> None:
    """C14: size, hash, sender and head; an avalanche of them neither fills the database nor holds up a refusal."""
    url = f"http://{server.addresses['otlp_http']}/v1/traces"
    truncated = gzip.compress(recorded_spans(3))[:-20]
    bodies = [truncated, b"\xff" + bytes(5_000), *(b"\xff%d" % number for number in range(100))]
    headers = {"content-type": "application/x-protobuf"}
    async with httpx2.AsyncClient() as client:
        first = await client.post(url, content=truncated, headers=headers | {"content-encoding": "gzip"})
        again = await client.post(url, content=truncated, headers=headers | {"content-encoding": "gzip"})
        others = [await client.post(url, content=body, headers=headers) for body in bodies[1:]]
    assert {answer.status_code for answer in (first, again, *others)} == {400}

    connection = await asyncpg.connect(server.database_url)
    kept = await quarantine.list_entries(connection, reason="malformed")
    entry = await quarantine.load_entry(connection, kept[-1].id)
    large = await quarantine.load_entry(connection, kept[-2].id)
    await connection.close()
    assert 5 < len(kept) < 50
    assert entry is not None
    assert (entry.kind, entry.raw, entry.raw_bytes) == ("body", truncated, len(truncated))
    assert hashlib.sha256(truncated).hexdigest() in entry.detail
    assert "cut off" in entry.detail
    assert "key none" in entry.detail
    assert large is not None
    assert (large.raw, large.raw_bytes) == (bodies[1][:1_024], 5_001)


async def test_the_summary_needs_the_token(server: Server) -> None:
    url = f"http://{server.addresses['api']}/api/admin/ai-usage/summary"
    async with httpx2.AsyncClient() as client:
        assert (await client.get(url)).status_code == 401
        assert (await client.get(url, headers={"Authorization": "Bearer wrong"})).status_code == 401
        good = await client.get(url, headers={"Authorization": f"Bearer {server.admin_token}"})
    assert good.status_code == 200
