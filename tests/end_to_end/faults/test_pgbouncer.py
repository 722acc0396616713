"""PgBouncer between the server and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.server import Server
from tests.collector.waiting import free_port
from tests.end_to_end.faults.receiver import until
from tests.end_to_end.faults.sender import Load
from tests.end_to_end.faults.test_database import client, settings
from tests.proxy import DatabaseProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.end_to_end.faults.conftest import Account

CONFIGURATION = """
[databases]
{database} = host=127.0.0.1 port={database_port} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
"""


@contextlib.asynccontextmanager
async def pgbouncer(database_url: str, folder: Path, *, mode: str) -> AsyncIterator[str]:
    """Run PgBouncer in front of a database and give its URL."""
    program = shutil.which("pgbouncer")
    assert program, "pgbouncer is not installed: apt-get install pgbouncer"
    async with DatabaseProxy(database_url) as proxy:
        parts, port = urlsplit(proxy.url), free_port()
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                database=parts.path.removeprefix("/"),
                database_port=parts.port,
                user=parts.username,
                password=f"password='{parts.password}'" if parts.password else "",
                port=port,
                mode=mode,
            )
        )
        log = folder / "pgbouncer.log"
        with log.open("wb") as file:
            # It does not run as root.
            process = subprocess.Popen(
                [program, str(configuration)], stdout=file, stderr=file, user="nobody" if os.geteuid() == 0 else None
            )
        try:
            await until(lambda: process.poll() is not None or "process up" in log.read_text(), "PgBouncer")
            assert process.poll() is None, log.read_text()
            yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        finally:
            process.terminate()
            process.wait(10)


async def test_session_mode_is_worked_with(empty_database_url: str, folder: Path, account: Account) -> None:
    """C42: migrations, ingest and questions at once."""
    async with pgbouncer(empty_database_url, folder, mode="session") as url, Server(settings(url)) as server:
        async with Load(server.addresses["otlp_grpc"], senders=4) as load, client(server) as api:
            answers = await asyncio.gather(*(api.get("/api/admin/ai-usage/summary?days=1") for _ in range(6)))
            assert {answer.status_code for answer in answers} == {200}
            await load.acknowledged_more()
            await load.finish()
        assert load.sent_again == 0
        await account.settle(empty_database_url, load.acknowledged, receiver=server)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_modes_that_share_sessions_are_refused_at_start(mode: str, database_url: str, folder: Path) -> None:
    """C42: prepared statements and the locks of long tasks would be lost."""
    async with pgbouncer(database_url, folder, mode=mode) as url:
        with pytest.raises(PermanentError, match=r"behind a pooler in transaction mode.*pool_mode = session"):
            async with Server(settings(url)):
                pass
