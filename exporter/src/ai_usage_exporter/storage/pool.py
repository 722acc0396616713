"""Connections to PostgreSQL: one pool for ingest, one for queries, so that a report never holds up a span."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ai_usage_exporter.errors import PermanentError

if TYPE_CHECKING:
    from asyncpg.pool import Pool

CONNECT_TIMEOUT_S: Final = 5.0
URL_SETTING: Final = "AI_USAGE_DATABASE_URL"
QUERY_URL_SETTING: Final = "AI_USAGE_QUERY_DATABASE_URL"
_LOOKS_FOR_SHARING: Final = 10
UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.UndefinedTableError,
)
"""What a question meets when the database is away, stopping, too busy, or not migrated yet."""
_MAY_PASS: Final = (OSError, TimeoutError, asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError)


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bound what the server asks of PostgreSQL; all times in seconds."""

    ingest_connections: int = 4
    query_connections: int = 8
    query_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Pools:
    """Hold the two pools of one database; ``query`` only reads. They connect when first used and after every loss."""

    ingest: Pool[asyncpg.Record]
    query: Pool[asyncpg.Record]

    async def ping(self, timeout_s: float = 2.0) -> bool:
        """Tell whether the database answers; never raises."""
        try:
            async with asyncio.timeout(timeout_s), self.query.acquire() as connection:
                return await connection.fetchval("SELECT true") is True
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return False  # the last of them when a connection breaks while it is given back

    async def close(self, timeout_s: float = 5.0) -> None:
        """Close both, waiting for what is in use at most ``timeout_s`` before cutting it off."""
        for pool in (self.ingest, self.query):
            try:
                async with asyncio.timeout(timeout_s):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


class DatabaseUnreachableError(PermanentError):
    """Say that nobody answers where the database should be, which may pass by itself."""


async def open_pools(url: str, limits: PoolLimits | None = None, *, query_url: str | None = None) -> Pools:
    """Create both pools; connects to nothing yet, so a database that is away does not keep the server from starting.

    ``query_url`` is another login for questions. Raises ``PermanentError`` for a URL that cannot be one.
    """
    _check(url)
    if query_url is not None:
        _check(query_url, QUERY_URL_SETTING)
    limits = limits or PoolLimits()
    ingest = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=limits.ingest_connections,
        timeout=CONNECT_TIMEOUT_S,
    )
    query = await asyncpg.create_pool(
        query_url or url,
        min_size=0,
        max_size=limits.query_connections,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=limits.query_timeout_s,
        init=_only_read,
        reset=_leave_as_it_is,
    )
    return Pools(ingest, query)


async def _only_read(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    # Not at connecting, where poolers refuse what they do not know.
    await connection.execute("SET default_transaction_read_only = on")


async def _leave_as_it_is(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """Keep a session's settings: questions change them for their own transaction only."""


async def connect(
    url: str, *, timeout_s: float = CONNECT_TIMEOUT_S, setting: str = URL_SETTING
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection outside the pools, e.g. for migrations; ``setting`` is what to correct in a wrong URL.

    Raises ``PermanentError`` with one line that says what is wrong and what to check, without any password;
    ``DatabaseUnreachableError`` when waiting may help.
    """
    _check(url, setting)
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncpg.connect(url, timeout=timeout_s)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        kind = DatabaseUnreachableError if isinstance(error, _MAY_PASS) else PermanentError
        raise kind(explain(url, error, setting)) from None


async def refuse_transaction_pooling(url: str, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Raise ``PermanentError`` when something in between, e.g. PgBouncer, gives every transaction another session.

    Prepared statements, ``LISTEN`` and the locks of long tasks belong to a session and would be lost or left behind.
    """
    if await _shares_sessions(url, connection):
        raise PermanentError(
            f"database {describe(url)} is behind a pooler in transaction mode, which loses locks and prepared "
            "statements: use its session mode (pool_mode = session), or connect to PostgreSQL itself"
        )


async def _shares_sessions(url: str, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    session = "SELECT pg_backend_pid()"
    try:
        if await connection.fetchval(session) == connection.get_server_pid():
            return False  # nobody in between: a pooler hands out numbers of its own
        other = await connect(url)
        try:
            # Two open connections are one session only where sessions are shared; a busy pooler needs several looks.
            for _ in range(_LOOKS_FOR_SHARING):
                if await connection.fetchval(session) == await other.fetchval(session):
                    return True
        finally:
            await other.close()
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        return True  # prepared in one session, asked of another
    return False


def explain(url: str, error: BaseException, setting: str = URL_SETTING) -> str:
    """Return one line saying why ``url`` could not be connected to and what to check."""
    place = describe(url)
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"database {place} refused the login: {error}; check user and password in {setting}"
        case asyncpg.InvalidCatalogNameError():
            return f"database {place} does not exist: create it (createdb) or correct {setting}"
        case asyncpg.TooManyConnectionsError() | asyncpg.CannotConnectNowError():
            return f"database {place} takes no connections now: {error}"
        case asyncpg.PostgresError():
            return f"database {place} refused the connection: {error}"
        case TimeoutError():
            return f"database {place} did not answer within {CONNECT_TIMEOUT_S:g} s: check host, port and firewall"
        case OSError():
            reason = error.strerror or str(error)
            return f"cannot reach database {place}: {reason}; is PostgreSQL running there? check {setting}"
        case _:
            return f"cannot use database {place}: {_without_password(url, str(error))}"


def describe(url: str) -> str:
    """Return hosts, ports and database of a URL for messages: never the password."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"{hosts}{parts.path}"


def _check(url: str, setting: str = URL_SETTING) -> None:
    try:
        parts = urlsplit(url)
        if "," not in parts.netloc:  # several hosts are allowed, each with a port of its own
            _ = parts.port
        if parts.scheme in {"postgresql", "postgres"}:
            return
        problem = f"it starts with {parts.scheme}://" if parts.scheme else "it is no URL"
    except ValueError:
        # What could not be read may be half a password: it is not repeated.
        problem = "its host or port cannot be read (in a password, write @ : / # ? % as %40 %3A %2F %23 %3F %25)"
    raise PermanentError(f"cannot use {setting}: {problem}; write postgresql://user:password@host:5432/database")


def _without_password(url: str, text: str) -> str:
    password = urlsplit(url).password
    return text.replace(password, "***") if password else text
