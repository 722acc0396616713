"""Ingest keys over both transports, on a server with a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.keys import Role
from ai_usage_exporter.server import Part, Server
from tests.conformance.spans import body_of, span, text
from tests.integration.access.installation import KeyMaker, until

if TYPE_CHECKING:
    from tests.integration.access.installation import Answer, Installation

OK = (200, grpc.StatusCode.OK)
UNKNOWN = (401, grpc.StatusCode.UNAUTHENTICATED)
FORBIDDEN = (403, grpc.StatusCode.PERMISSION_DENIED)


def bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


async def codes(installation: Installation, *headers: tuple[str, str], body: bytes | None = None) -> tuple[Any, Any]:
    """Send one call over each transport and return how they were answered."""
    http, rpc = await both(installation, *headers, body=body)
    return http.code, rpc.code


async def both(
    installation: Installation, *headers: tuple[str, str], body: bytes | None = None
) -> tuple[Answer, Answer]:
    return (
        await installation.post(body or body_of(span()), *headers),
        await installation.call(body or body_of(span()), *headers),
    )


async def answers(installation: Installation, expected: tuple[Any, Any], *headers: tuple[str, str]) -> bool:
    return await codes(installation, *headers) == expected


async def rows(installation: Installation) -> int:
    count: int = await installation.connection.fetchval("SELECT count(*) FROM ai_usage_logs")
    return count


async def test_on_loopback_everybody_may_send_until_the_first_ingest_key_is_made(installation: Installation) -> None:
    assert await codes(installation) == OK
    assert await codes(installation, bearer("of another system")) == OK
    await installation.key(Role.VIEWER)
    assert await codes(installation) == OK
    key = await installation.key()
    assert await codes(installation, bearer(key.token)) == OK
    await until(lambda: answers(installation, UNKNOWN))
    await installation.revoke(key)
    await until(lambda: answers(installation, UNKNOWN, bearer(key.token)))
    assert await codes(installation) == UNKNOWN, "an installation with keys does not open again with the last one"


async def test_a_key_is_taken_in_either_header_and_by_nothing_else(installation: Installation) -> None:
    key, other = await installation.key(), await installation.key()
    for header in (
        bearer(key.token),
        ("authorization", f"bearer  {key.token}"),
        ("x-api-key", key.token),
        ("x-api-key", other.token),
    ):
        assert await codes(installation, header) == OK, header
    before = await rows(installation)
    for headers in (
        [],
        [("x-api-key", "")],
        [("authorization", key.token)],
        [("authorization", f"Basic {key.token}")],
        [("authorization", "Bearer")],
        [bearer(key.token), bearer(other.token)],
        [bearer(key.token), ("x-api-key", other.token)],
        [bearer(key.token[:-1])],
        [bearer(key.token + "x")],
        [bearer(key.token[:20])],
        [bearer(key.token[:17] + other.token[17:])],
        [bearer(key.token.upper())],
        [bearer("x" * 600)],
        [bearer("' OR 1=1 --")],
        [("api-key", key.token)],
    ):
        assert await codes(installation, *headers) == UNKNOWN, headers
    assert (await installation.post(body_of(span()), path=f"/v1/traces?key={key.token}")).code == 401
    assert await rows(installation) == before


async def test_only_the_ingest_role_may_send(installation: Installation) -> None:
    await installation.key()
    for role in (Role.VIEWER, Role.ADMIN):
        http, rpc = await both(installation, bearer((await installation.key(role)).token))
        assert (http.code, rpc.code) == FORBIDDEN
        assert f"its role is {role.value}" in rpc.message
    assert await codes(installation, bearer(installation.server.admin_token)) == UNKNOWN


async def test_every_export_method_asks_for_the_key(installation: Installation) -> None:
    await installation.key()
    for path in ("/v1/traces", "/v1/logs"):
        assert (await installation.post(b"", path=path)).code == 401
    for signal in ("trace.v1.Trace", "logs.v1.Logs"):
        method = f"/opentelemetry.proto.collector.{signal}Service/Export"
        assert (await installation.call(b"", method=method)).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_revoked_key_is_refused_within_five_seconds_and_an_expired_one_at_once(
    installation: Installation,
) -> None:
    kept, revoked = await installation.key(), await installation.key()
    assert await codes(installation, bearer(revoked.token)) == OK
    await installation.revoke(revoked)
    assert await until(lambda: answers(installation, UNKNOWN, bearer(revoked.token))) < 8  # 5, and time to ask
    assert await codes(installation, bearer(kept.token)) == OK
    expires_at = datetime.now(UTC) + timedelta(seconds=4)
    expiring = await installation.key(expires_at=expires_at)
    assert await codes(installation, bearer(expiring.token)) == OK
    await until(lambda: answers(installation, UNKNOWN, bearer(expiring.token)))
    assert timedelta() <= datetime.now(UTC) - expires_at < timedelta(seconds=3)


async def test_a_new_key_is_good_at_once_while_others_are_guessed(installation: Installation) -> None:
    await installation.key()
    guesses = [asyncio.create_task(codes(installation, bearer(f"aiu_guess_{number}"))) for number in range(50)]
    key = await installation.key()
    assert await codes(installation, bearer(key.token)) == OK
    assert set(await asyncio.gather(*guesses)) == {UNKNOWN}


async def test_the_service_of_another_key_is_parked_and_the_rest_is_stored(installation: Installation) -> None:
    key = await installation.key(services=["xray"])
    mine = span(text("ai_usage.service.name", "xray"))
    theirs = span(text("ai_usage.service.name", "payroll"))
    http, rpc = await both(installation, bearer(key.token), body=body_of(mine, theirs))
    assert (http.code, rpc.code) == OK
    assert "1 spans could not be stored as usage and are kept in quarantine" in http.message
    stored = await installation.connection.fetch("SELECT service_name FROM ai_usage_logs")
    assert [row["service_name"] for row in stored] == ["xray"]
    parked = await installation.connection.fetch("SELECT reason, detail, service_name FROM ai_usage_quarantine")
    assert [tuple(row) for row in parked] == [
        ("foreign_service", "the key it came with may not send for service 'payroll'", "payroll")
    ]


async def test_who_sends_too_much_is_told_to_wait_and_others_are_not(installation: Installation) -> None:
    limited, other = await installation.key(spans_per_s=1), await installation.key()
    assert (await installation.post(body_of(*(span() for _ in range(50))), bearer(limited.token))).code == 200
    before = await rows(installation)
    for _ in range(3):
        http, rpc = await both(installation, bearer(limited.token))
        assert (http.code, rpc.code) == (429, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert (http.retry_after_s or 9) <= 2
        assert rpc.retry_after_s is not None
        assert "may send 1 spans a second" in rpc.message
        assert limited.token not in rpc.message
    assert await rows(installation) == before
    assert await codes(installation, bearer(other.token)) == OK


async def test_no_body_is_taken_from_a_stranger(installation: Installation) -> None:
    await installation.key()
    host, port = installation.server.addresses["otlp_http"]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        b"content-length: 60000000\r\n\r\n"
    )
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()

    async def endless() -> Any:
        started.set()
        await asyncio.Event().wait()
        yield b""

    started = asyncio.Event()
    address = str(installation.server.addresses["otlp_grpc"])
    async with grpc.aio.insecure_channel(address) as channel:
        method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.stream_unary(method)(endless(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_database_keeps_nothing_that_lets_anybody_in(installation: Installation) -> None:
    key = await installation.key()
    assert await codes(installation, bearer(key.token)) == OK
    secret = key.token.rpartition("_")[2]
    for table in ("ai_usage_keys", "ai_usage_audit", "ai_usage_logs", "ai_usage_quarantine"):
        for row in await installation.connection.fetch(f"SELECT to_jsonb(found)::text FROM {table} AS found"):
            assert secret not in row[0]
    stored = await installation.connection.fetchval("SELECT encode(token_hash, 'hex') FROM ai_usage_keys")
    assert await codes(installation, bearer(stored)) == UNKNOWN


async def test_its_last_use_is_noted(installation: Installation) -> None:
    key = await installation.key()
    before = datetime.now(UTC)
    assert await codes(installation, bearer(key.token)) == OK
    last_used = "SELECT last_used_at FROM ai_usage_keys"
    await until(lambda: installation.connection.fetchval(last_used))
    assert await installation.connection.fetchval(last_used) >= before
    changes = await installation.connection.fetch("SELECT action, actor FROM ai_usage_audit")
    assert [tuple(row) for row in changes] == [("key.create", "test")]


async def test_a_key_store_that_is_away_is_no_wrong_key(installation: Installation, postgres_server_url: str) -> None:
    key = await installation.key()
    assert await codes(installation, bearer(key.token)) == OK
    name = await installation.connection.fetchval("SELECT current_database()")
    connection = await asyncpg.connect(postgres_server_url)
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await connection.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    loop = asyncio.get_running_loop()
    stays_away_until = loop.time() + 7  # beyond the time that keys in memory are believed
    while loop.time() < stays_away_until:
        for header in (bearer(key.token), bearer("unknown")):
            http, rpc = await both(installation, header)
            assert (http.code, rpc.code) == (503, grpc.StatusCode.UNAVAILABLE)
            assert (http.retry_after_s or 9) <= 2
            assert rpc.retry_after_s is not None
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await connection.close()
    await until(lambda: answers(installation, OK, bearer(key.token)))
    assert await codes(installation, bearer("unknown")) == UNKNOWN


@pytest.mark.parametrize("setting", ["otlp_grpc_listen", "otlp_http_listen", "api_listen"])
async def test_what_others_can_reach_does_not_start_without_keys(
    setting: str, database_url: str, connection: Any
) -> None:
    free = Address("127.0.0.1", 0)
    addresses = {"otlp_grpc_listen": free, "otlp_http_listen": free, "api_listen": free}
    settings = Settings(database_url=database_url, **addresses | {setting: Address("0.0.0.0", 0)})  # noqa: S104
    with pytest.raises(PermanentError) as refused:
        await Server(settings).__aenter__()
    assert f"AI_USAGE_{setting.upper()}: 0.0.0.0:0 can be reached from other machines" in str(refused.value)
    assert "ai-usage keys create" in str(refused.value)
    other_half = Part.RECEIVER if setting == "api_listen" else Part.API
    async with Server(settings, only=other_half):
        pass
    keys = KeyMaker(connection)
    await keys.revoke(await keys.key(Role.ADMIN if setting == "api_listen" else Role.INGEST))
    with pytest.raises(PermanentError):
        await Server(settings).__aenter__()
    await keys.key(Role.VIEWER if setting == "api_listen" else Role.INGEST)
    async with Server(settings):
        pass
