"""The migration runner applies every file once, in order, whatever starts beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import schema

if TYPE_CHECKING:
    from pathlib import Path


def _write(folder: Path, name: str, up: str, options: str = "") -> None:
    (folder / name).write_text(f"-- migrate:up{options}\n{up}\n-- migrate:down\nDROP TABLE never;\n")


async def test_applies_all_released_files_and_then_nothing(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    released = schema.load_migrations()
    assert await schema.pending(connection) == tuple(migration.file_name for migration in released)
    assert await schema.migrate(connection) == tuple(migration.file_name for migration in released)
    assert await schema.migrate(connection) == ()
    assert (await schema.check(connection)).is_current
    await connection.close()


async def test_two_servers_starting_at_once_apply_each_file_once(empty_database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, "0001_create_a.sql", "CREATE TABLE a (x int); SELECT pg_sleep(0.2);")
    _write(tmp_path, "0002_create_b.sql", "CREATE TABLE b (x int);")
    _write(tmp_path, "0003_index_a.sql", "CREATE INDEX CONCURRENTLY a_x ON a (x);", " transaction:false")
    files = schema.load_migrations(tmp_path)
    connections = [await asyncpg.connect(empty_database_url) for _ in range(4)]
    applied = await asyncio.gather(*(schema.migrate(connection, files) for connection in connections))
    assert sorted(name for names in applied for name in names) == [file.file_name for file in files]
    for connection in connections:
        assert (await schema.status(connection, files)).is_current
        await connection.close()


async def test_failing_file_leaves_nothing_behind_and_names_itself(empty_database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, "0001_half.sql", "CREATE TABLE half (x int); SELECT 1 / 0;")
    connection = await asyncpg.connect(empty_database_url)
    with pytest.raises(PermanentError, match=r"0001_half\.sql failed: division by zero"):
        await schema.migrate(connection, schema.load_migrations(tmp_path))
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await schema.pending(connection, schema.load_migrations(tmp_path)) == ("0001_half.sql",)
    await connection.close()


async def test_changed_file_is_refused_by_name(empty_database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_database_url)
    _write(tmp_path, "0001_a.sql", "CREATE TABLE a (x int);")
    await schema.migrate(connection, schema.load_migrations(tmp_path))
    _write(tmp_path, "0001_a.sql", "CREATE TABLE a (x bigint);")
    with pytest.raises(PermanentError, match=r"0001_a\.sql was applied .* with other contents"):
        await schema.migrate(connection, schema.load_migrations(tmp_path))
    with pytest.raises(PermanentError, match="new migration"):
        await schema.check(connection, schema.load_migrations(tmp_path))
    await connection.close()


async def test_schema_behind_says_what_to_run_and_newer_one_is_reported(
    empty_database_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    _write(tmp_path, "0001_a.sql", "CREATE TABLE a (x int);")
    _write(tmp_path, "0002_b.sql", "CREATE TABLE b (x int);")
    both = schema.load_migrations(tmp_path)
    await schema.migrate(connection, both[:1])
    with pytest.raises(PermanentError, match=r"0002_b\.sql not applied; run: ai-usage migrate"):
        await schema.check(connection, both)
    await schema.migrate(connection, both)
    older = await schema.check(connection, both[:1])
    assert older.unknown == ("0002",)
    await connection.close()


async def test_files_applied_by_dbmate_count_as_applied(empty_database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, "0001_a.sql", "CREATE TABLE a (x int);")
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("CREATE TABLE ai_usage_schema_migrations (version varchar(128) PRIMARY KEY)")
    await connection.execute("INSERT INTO ai_usage_schema_migrations (version) VALUES ('0001')")
    assert await schema.migrate(connection, schema.load_migrations(tmp_path)) == ()
    await connection.close()


async def test_table_lock_held_by_somebody_is_waited_for_in_short_tries(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT_MS", 50)
    holder, connection = await asyncpg.connect(empty_database_url), await asyncpg.connect(empty_database_url)
    await holder.execute("CREATE TABLE busy (x int)")
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE busy IN ACCESS SHARE MODE")
    _write(tmp_path, "0001_a.sql", "ALTER TABLE busy ADD COLUMN y int;")
    files = schema.load_migrations(tmp_path)
    with pytest.raises(PermanentError, match="gave up migrating: still waiting for a table lock"):
        await schema.migrate(connection, files, give_up_after_s=0.1)
    migrating = asyncio.create_task(schema.migrate(connection, files))
    await transaction.rollback()
    assert await migrating == ("0001_a.sql",)
    await holder.close()
    await connection.close()


def test_file_without_marker_and_doubled_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x int);")
    with pytest.raises(PermanentError, match=r"0001_a\.sql has no line '-- migrate:up'"):
        schema.load_migrations(tmp_path)
    _write(tmp_path, "0001_a.sql", "SELECT 1;")
    _write(tmp_path, "0001_b.sql", "SELECT 1;")
    with pytest.raises(PermanentError, match="share version 0001"):
        schema.load_migrations(tmp_path)
