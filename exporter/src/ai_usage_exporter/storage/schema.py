"""Migrations: apply the numbered SQL files of ``migrations/`` to a database, each exactly once.

Files have dbmate's format, so its binary can apply them too
(``dbmate --migrations-table ai_usage_schema_migrations``). Safe with several servers starting at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable

    from ai_usage_exporter.storage.connection import DatabaseConnection

LOCK_TIMEOUT_MS: Final = 3_000
"""How long one try may wait for a table lock, and with that hold up everybody queueing behind it."""
GIVE_UP_AFTER_S: Final = 300.0

_ADVISORY_KEY: Final = 0x61_69_75_73_61_67_65  # "aiusage"
_FILE_NAME: Final = re.compile(r"(?P<version>\d{4,})_(?P<name>[a-z0-9_]+)\.sql")
_UP: Final = re.compile(r"^--\s*migrate:up(?P<options>[^\n]*)$", re.MULTILINE)
_DOWN: Final = re.compile(r"^--\s*migrate:down[^\n]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """Hold one migration file; ``checksum`` is the SHA-256 of its whole text."""

    version: str
    name: str
    up: str
    checksum: str
    in_transaction: bool = True

    @property
    def file_name(self) -> str:
        """Return the name of its file."""
        return f"{self.version}_{self.name}.sql"


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Compare the files with what a database says was applied; all values are file names or versions in order."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    changed: tuple[str, ...]
    """Applied, but the file says something else today."""
    unknown: tuple[str, ...]
    """Applied by a newer release: versions this one has no file for."""

    @property
    def is_current(self) -> bool:
        """Tell whether this release can work with the database."""
        return not self.pending and not self.changed


def load_migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """Return the migrations in order, from the package's own folder unless given another.

    Raises ``PermanentError`` for a file without the dbmate markers or two files of one version.
    """
    folder = folder if folder is not None else _shipped_migrations()
    migrations: dict[str, Migration] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            continue
        migration = _parse(match["version"], match["name"], file.read_text(encoding="utf-8"))
        if (other := migrations.get(migration.version)) is not None:
            raise PermanentError(
                f"migrations {other.file_name} and {migration.file_name} share version {other.version}: renumber one"
            )
        migrations[migration.version] = migration
    return tuple(migrations.values())


def _shipped_migrations() -> Traversable:
    """Return the folder inside the installed package; in an editable install, the repository's."""
    packed = resources.files("ai_usage_exporter") / "migrations"
    return packed if packed.is_dir() else Path(__file__).parents[4] / "migrations"


async def migrate(
    connection: DatabaseConnection,
    migrations: Sequence[Migration] | None = None,
    *,
    on_applied: Callable[[Migration], None] | None = None,
    give_up_after_s: float = GIVE_UP_AFTER_S,
) -> tuple[str, ...]:
    """Apply what is pending and return the file names applied by this call, none when the schema is current.

    Raises ``PermanentError`` when an applied file was changed, when a statement fails (everything of that file is
    rolled back) or when locks could not be had within ``give_up_after_s``.
    """
    migrations = migrations if migrations is not None else load_migrations()
    deadline = time.monotonic() + give_up_after_s
    await _create_table(connection, deadline)
    done: list[str] = []
    for migration in migrations:
        if await _apply_with_retry(connection, migration, deadline):
            done.append(migration.file_name)
            if on_applied is not None:
                on_applied(migration)
    return tuple(done)


async def status(connection: DatabaseConnection, migrations: Sequence[Migration] | None = None) -> SchemaStatus:
    """Return which migrations are applied, pending, changed since, or unknown here; changes nothing."""
    migrations = migrations if migrations is not None else load_migrations()
    recorded = await _recorded(connection)
    applied = [migration for migration in migrations if migration.version in recorded]
    return SchemaStatus(
        applied=tuple(migration.file_name for migration in applied),
        pending=tuple(migration.file_name for migration in migrations if migration.version not in recorded),
        changed=tuple(
            migration.file_name
            for migration in applied
            if recorded[migration.version] not in {None, migration.checksum}
        ),
        unknown=tuple(sorted(recorded.keys() - {migration.version for migration in migrations})),
    )


async def pending(connection: DatabaseConnection, migrations: Sequence[Migration] | None = None) -> tuple[str, ...]:
    """Return the file names not applied yet, in order."""
    return (await status(connection, migrations)).pending


async def check(connection: DatabaseConnection, migrations: Sequence[Migration] | None = None) -> SchemaStatus:
    """Return the status of a current schema; raise ``PermanentError`` saying what to do with any other."""
    found = await status(connection, migrations)
    if found.changed:
        raise PermanentError(_changed_message(found.changed[0]))
    if found.pending:
        raise PermanentError(
            f"database schema is behind: {', '.join(found.pending)} not applied; run: ai-usage migrate"
        )
    return found


def _parse(version: str, name: str, text: str) -> Migration:
    up, down = _UP.search(text), _DOWN.search(text)
    if up is None:
        raise PermanentError(f"migration {version}_{name}.sql has no line '-- migrate:up': add one above its SQL")
    return Migration(
        version=version,
        name=name,
        up=text[up.end() : down.start() if down is not None and down.start() > up.end() else len(text)].strip(),
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        in_transaction="transaction:false" not in up["options"].replace(" ", ""),
    )


def _changed_message(file_name: str) -> str:
    return (
        f"migration {file_name} was applied to this database with other contents: restore the file as it was "
        "released and put the change into a new migration"
    )


def _in_one_line(error: asyncpg.PostgresError) -> str:
    hint = getattr(error, "hint", None)
    return f"{getattr(error, 'message', error)}{f' ({hint})' if hint else ''}"


async def _recorded(connection: DatabaseConnection) -> dict[str, str | None]:
    """Return version → checksum; the checksum is ``None`` for what dbmate applied."""
    if not await connection.fetchval("SELECT to_regclass('ai_usage_schema_migrations') IS NOT NULL"):
        return {}
    rows = await connection.fetch(load_statement("schema_applied"))
    return {row["version"]: row["checksum"] for row in rows}


async def _create_table(connection: DatabaseConnection, deadline: float) -> None:
    # IF NOT EXISTS alone still races in the catalog; under the lock it does not.
    async def create() -> bool:
        async with connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _ADVISORY_KEY):
                return False
            if await connection.fetchval("SELECT to_regclass('ai_usage_schema_migrations') IS NULL"):
                await connection.execute(load_statement("schema_create_table"))
            else:
                await connection.execute(load_statement("schema_add_columns"))
        return True

    while not await create():
        await _pause(deadline, "another server")


async def _apply_with_retry(connection: DatabaseConnection, migration: Migration, deadline: float) -> bool:
    """Apply one migration unless it is recorded; return whether this call did it."""
    while True:
        try:
            outcome = await (_apply if migration.in_transaction else _apply_outside)(connection, migration)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            await _pause(deadline, f"a table lock ({error})")
            continue
        except asyncpg.PostgresError as error:
            raise PermanentError(f"migration {migration.file_name} failed: {_in_one_line(error)}") from error
        if outcome is not None:
            return outcome
        await _pause(deadline, "another server's migration")


async def _apply(connection: DatabaseConnection, migration: Migration) -> bool | None:
    """Apply in one transaction; ``None`` means another server holds the lock."""
    async with connection.transaction():
        # A transaction-level lock, taken without waiting: ``ai-usage migrate`` works behind PgBouncer in any mode.
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _ADVISORY_KEY):
            return None
        if await _is_recorded(connection, migration):
            return False
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(migration.up)
        await connection.execute(load_statement("schema_record"), migration.version, migration.name, migration.checksum)
    return True


async def _apply_outside(connection: DatabaseConnection, migration: Migration) -> bool | None:
    """Apply a single statement that PostgreSQL refuses inside a transaction, e.g. CREATE INDEX CONCURRENTLY."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _ADVISORY_KEY):
        return None
    try:
        if await _is_recorded(connection, migration):
            return False
        await connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(migration.up)
        await connection.execute(load_statement("schema_record"), migration.version, migration.name, migration.checksum)
    finally:
        if not connection.is_closed():
            await connection.execute("RESET lock_timeout")
            await connection.execute("RESET statement_timeout")
            await connection.fetchval("SELECT pg_advisory_unlock($1)", _ADVISORY_KEY)
    return True


async def _is_recorded(connection: DatabaseConnection, migration: Migration) -> bool:
    recorded = await _recorded(connection)
    if migration.version not in recorded:
        return False
    if recorded[migration.version] not in {None, migration.checksum}:
        raise PermanentError(_changed_message(migration.file_name))
    return True


async def _pause(deadline: float, awaited: str) -> None:
    if time.monotonic() >= deadline:
        raise PermanentError(f"gave up migrating: still waiting for {awaited}; see pg_stat_activity for who holds it")
    await asyncio.sleep(0.1 + random.random() * 0.4)  # noqa: S311 - jitter, not a secret
