"""A database URL that does not work is explained in one line, without its password."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.pool import connect, open_pools

WRONG_URLS = {
    "mysql://a:s3cret@h/x": "starts with mysql://",
    "not a url": "is no URL",
    "postgresql://a:s3cret@127.0.0.1:99999/x": "host or port cannot be read",
    "postgresql://a:s3cret@[::1/x": "host or port cannot be read",
    "postgresql://a:s3/cret@h/x": "host or port cannot be read",
}


@pytest.mark.parametrize("url", WRONG_URLS)
async def test_url_that_cannot_be_one_is_refused_before_connecting(url: str) -> None:
    for attempt in (connect(url), open_pools(url)):
        with pytest.raises(PermanentError, match=WRONG_URLS[url]) as raised:
            await attempt
        assert "s3" not in str(raised.value)
        assert "\n" not in str(raised.value)


async def test_nobody_listening_says_where_and_what_to_check() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(PermanentError, match=rf"127\.0\.0\.1:{port}/usage.*AI_USAGE_DATABASE_URL") as raised:
            await connect(f"postgresql://a:s3cret@127.0.0.1:{port}/usage")
    assert "s3cret" not in str(raised.value)


async def test_database_that_does_not_exist_is_named(database_url: str) -> None:
    missing = urlunsplit(urlsplit(database_url)._replace(path="/nowhere"))
    with pytest.raises(PermanentError, match="nowhere does not exist: create it"):
        await connect(missing)


async def test_pools_are_opened_for_a_database_that_is_away_and_say_so() -> None:
    pools = await open_pools("postgresql://a:s3cret@127.0.0.1:1/usage")
    assert not await pools.ping()
    await pools.close()


async def test_ping_tells_that_the_database_answers_and_close_cuts_off_what_hangs(database_url: str) -> None:
    pools = await open_pools(database_url)
    assert await pools.ping()
    held = await pools.ingest.acquire()
    await pools.close(timeout_s=0.1)
    with pytest.raises(asyncpg.InterfaceError):
        await held.fetchval("SELECT true")
    assert not await pools.ping()
