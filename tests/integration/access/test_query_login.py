"""D7: questions are asked with a login that can only read usage; a login that may do more is refused."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from ai_usage_exporter.api.usage import PREFIX
from ai_usage_exporter.config import Settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.server import Server
from tests.conformance.spans import body_of, span
from tests.integration.access.conftest import FREE
from tests.integration.access.installation import Installation
from tests.integration.access.test_roles import EXAMPLES, routes_of
from tests.integration.access.test_threats import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def signed_in_as(url: str, login: str, password: str) -> str:
    place = urlsplit(url).netloc.rpartition("@")[2]
    return urlunsplit(urlsplit(url)._replace(netloc=f"{quote(login)}:{password}@{place}"))


@pytest.fixture
async def reader_url(database_url: str, connection: asyncpg.Connection[Any]) -> AsyncIterator[str]:
    """Give the URL of a login that may do nothing yet; its name needs quoting."""
    login, password = f'usage "reader" {secrets.token_hex(4)}', secrets.token_hex(8)
    quoted = '"' + login.replace('"', '""') + '"'
    await connection.execute(f"CREATE ROLE {quoted} LOGIN PASSWORD '{password}'")
    yield signed_in_as(database_url, login, password)
    await connection.execute(f"DROP OWNED BY {quoted}; DROP ROLE {quoted}")


def settings_with(database_url: str, query_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        query_database_url=query_url,
        otlp_grpc_listen=FREE,
        otlp_http_listen=FREE,
        api_listen=FREE,
    )


@pytest.fixture
async def confined(
    database_url: str, reader_url: str, connection: asyncpg.Connection[Any]
) -> AsyncIterator[Installation]:
    """Give a running server that asks with the login."""
    async with Server(settings_with(database_url, reader_url)) as server, Installation(server, connection) as running:
        yield running


async def test_every_route_answers_with_a_login_that_can_change_nothing(confined: Installation) -> None:
    assert (await confined.post(body_of(span()))).code == 200
    call_id = str(await confined.connection.fetchval("SELECT id FROM ai_usage_logs"))
    routes = [route for route in routes_of(confined.server) if route.method == "GET" and route.path.startswith(PREFIX)]
    assert len(routes) >= 8
    for route in routes:
        reply = await ask(confined, route.url.replace(EXAMPLES["id"], call_id))
        assert reply.status_code == (404 if "/users/" in route.path else 200), (route, reply.text)
    assert (await ask(confined, f"{PREFIX}/summary")).json()["total_requests"] == 1


async def test_the_page_is_signed_in_to_although_questions_cannot_write(confined: Installation) -> None:
    home = f"http://{confined.server.addresses['api']}"
    reply = await confined.client.post(
        f"{home}/admin/ai-usage/login", data={"token": confined.server.admin_token}, headers={"origin": home}
    )
    assert reply.status_code == 303, reply.text
    assert await confined.connection.fetchval("SELECT count(*) FROM ai_usage_sessions") == 1


async def test_the_login_reads_usage_and_neither_changes_a_table_nor_sees_a_key(
    confined: Installation, reader_url: str
) -> None:
    login = await asyncpg.connect(reader_url)
    try:
        assert await login.fetchval("SELECT count(*) FROM ai_usage_logs") == 0
        tables = [
            row[0]
            for row in await confined.connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        assert len(tables) > 10
        for table in tables:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await login.execute(statement)
        for secret in ("ai_usage_keys", "ai_usage_sessions", "ai_usage_audit"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await login.execute(f"SELECT * FROM {secret}")
    finally:
        await login.close()


async def test_without_a_login_of_their_own_questions_still_cannot_write(installation: Installation) -> None:
    for _ in range(2):  # a connection that was given back too
        async with installation.server.reader.pool.acquire() as connection:
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("DELETE FROM ai_usage_logs")


async def test_a_login_that_may_do_more_is_refused_by_name(
    database_url: str, reader_url: str, connection: asyncpg.Connection[Any]
) -> None:
    with pytest.raises(PermanentError, match=r"QUERY_DATABASE_URL: .* may change ai_model_prices, .* and more"):
        async with Server(settings_with(database_url, database_url)):
            pass
    await connection.execute("GRANT SELECT (token_hash) ON ai_usage_keys TO PUBLIC")
    with pytest.raises(PermanentError, match=r"may read ai_usage_keys: use a login that owns no tables"):
        async with Server(settings_with(database_url, reader_url)):
            pass


async def test_a_login_on_another_database_is_refused(database_url: str, reader_url: str) -> None:
    elsewhere = urlunsplit(urlsplit(reader_url)._replace(path="/postgres"))
    with pytest.raises(PermanentError, match="postgres is another database than AI_USAGE_DATABASE_URL"):
        async with Server(settings_with(database_url, elsewhere)):
            pass


async def test_a_wrong_url_is_explained_by_its_own_name(database_url: str) -> None:
    for wrong, said in (
        ("mysql://a:s3cret@h/x", "cannot use AI_USAGE_QUERY_DATABASE_URL: it starts with mysql://"),
        ("postgresql://a:s3cret@127.0.0.1:1/x", "is PostgreSQL running there? check AI_USAGE_QUERY_DATABASE_URL"),
    ):
        with pytest.raises(PermanentError) as raised:
            async with Server(settings_with(database_url, wrong)):
                pass
        assert said in str(raised.value)
        assert "s3cret" not in str(raised.value)
