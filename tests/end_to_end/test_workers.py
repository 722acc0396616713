"""Several workers on the same ports: all of them take spans, one killed loses nothing, all stop together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import httpx2
import psutil
import pytest
from benchmarks.ingest.spans import encode_requests

from ai_usage_exporter.receiver.protobuf import decode
from tests.end_to_end.test_replay import EXPORT
from tests.invariants import check_acknowledged, check_invariants

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 2
pytestmark = pytest.mark.timeout(400)  # each process takes its time to start on a busy machine


class Supervised:
    """Run ``ai-usage serve`` with several workers."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self._ready = folder / "ready.json"
        self.log = folder / "server.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_USAGE_")}
        environment |= {
            "AI_USAGE_DATABASE_URL": database_url,
            "AI_USAGE_WORKERS": str(WORKERS),
            "AI_USAGE_OTLP_GRPC_LISTEN": "127.0.0.1:0",
            "AI_USAGE_OTLP_HTTP_LISTEN": "127.0.0.1:0",
            "AI_USAGE_API_LISTEN": "127.0.0.1:0",
            "AI_USAGE_READY_FILE": str(self._ready),
            **settings,
        }
        command = [str(Path(sys.executable).with_name("ai-usage")), "serve"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    async def ready(self) -> dict[str, str]:
        """Return what the ready file says, once it is there."""
        await self.until(self._ready.exists)
        said: dict[str, str] = json.loads(self._ready.read_text())
        return said

    async def until(self, is_true: Any, timeout_s: float = 150) -> None:
        """Wait for something while the server runs."""
        deadline = time.monotonic() + timeout_s
        while not is_true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    def workers(self) -> dict[int, psutil.Process]:
        """Return the workers' processes by process id."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if any("spawn_main" in part for part in child.cmdline()):
                    found[child.pid] = child
        return found

    async def stop(self) -> int:
        """Ask for the end and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 40)


@pytest.fixture
def start(tmp_path: Path, database_url: str) -> Iterator[Any]:
    """Give a function that starts a server, which is killed after the test in case it still runs."""
    started: list[Supervised] = []

    def start_one(**settings: str) -> Supervised:
        started.append(Supervised(tmp_path, database_url, **settings))
        return started[-1]

    yield start_one
    for server in started:
        for worker in server.workers().values() if server.process.poll() is None else ():
            worker.kill()
        server.process.kill()
        server.process.wait()


async def _send(address: str, body: bytes) -> None:
    """Send over a connection of its own, so that any worker may get it, until it is acknowledged."""
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                await channel.unary_unary(EXPORT)(body, timeout=20)
                return
        await asyncio.sleep(0.05)


async def _samples(said: dict[str, str]) -> dict[tuple[str, str], float]:
    """Return accepted spans by (transport, worker)."""
    async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {said['admin_token']}"}) as client:
        page = (await client.get(f"http://{said['api']}/metrics")).text
    assert len(re.findall("^# TYPE receiver_accepted_spans_total ", page, re.MULTILINE)) == 1
    pattern = r'^receiver_accepted_spans_total{worker="(\d+)",transport="(\w+)"} (\S+)$'
    return {(transport, worker): float(count) for worker, transport, count in re.findall(pattern, page, re.MULTILINE)}


async def test_every_worker_takes_spans_and_one_page_has_the_metrics_of_all(start: Any, database_url: str) -> None:
    server = start()
    said = await server.ready()
    requests = encode_requests(48, 5, end_ns=time.time_ns())
    async with asyncio.TaskGroup() as tasks, httpx2.AsyncClient(timeout=60) as client:
        for body in requests[:24]:
            tasks.create_task(_send(said["otlp_grpc"], body))
        for body in requests[24:]:
            headers = {"content-type": "application/x-protobuf", "connection": "close"}
            url = f"http://{said['otlp_http']}/v1/traces"
            assert (await client.post(url, content=body, headers=headers)).status_code == 200
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 48 * 5
    await check_invariants(connection)
    await connection.close()
    accepted = await _samples(said)
    assert {worker for _, worker in accepted} == {str(number) for number in range(WORKERS)}
    for transport in ("grpc", "http"):
        counts = [accepted[transport, str(number)] for number in range(WORKERS)]
        assert sum(counts) == 24 * 5
        assert sum(count > 0 for count in counts) > 1
    assert await server.stop() == 0


async def test_worker_killed_under_load_loses_nothing_acknowledged_and_is_replaced(
    start: Any, database_url: str
) -> None:
    server = start()
    said = await server.ready()
    before = server.workers()
    assert len(before) == WORKERS
    acknowledged: set[tuple[bytes, bytes]] = set()
    stopping = asyncio.Event()

    async def keep_sending(seed: int) -> None:
        while not stopping.is_set():
            seed += 1000
            (body,) = encode_requests(1, 20, end_ns=time.time_ns(), seed=seed)
            await _send(said["otlp_grpc"], body)
            acknowledged.update((span.trace_id, span.span_id) for span in decode(body).spans)

    async with asyncio.TaskGroup() as tasks:
        for seed in range(6):
            tasks.create_task(keep_sending(seed))
        for pid in before:
            sent = len(acknowledged)
            await server.until(lambda sent=sent: len(acknowledged) > sent + 60)
            os.kill(pid, signal.SIGKILL)
            await server.until(lambda pid=pid: pid not in server.workers() and len(server.workers()) == WORKERS)
        sent = len(acknowledged)
        await server.until(lambda: len(acknowledged) > sent + 60)
        stopping.set()
    connection: Any = await asyncpg.connect(database_url)
    await check_invariants(connection)
    await check_acknowledged(connection, acknowledged)
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == len(acknowledged)
    await connection.close()
    async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {said['admin_token']}"}) as client:
        url = f"http://{said['api']}/api/admin/ai-usage/summary"

        async def answers() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                return (await client.get(url)).status_code == 200
            return False

        deadline = time.monotonic() + 30
        while not await answers():  # the worker with the API was killed too: same address, same token
            assert time.monotonic() < deadline, server.log.read_text()
            await asyncio.sleep(0.05)
    workers = server.workers()
    assert await server.stop() == 0
    assert not any(worker.is_running() for worker in workers.values())


async def test_workers_stop_when_their_supervisor_is_gone(start: Any) -> None:
    server = start()
    await server.ready()
    workers = list(server.workers().values())
    server.process.kill()
    server.process.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=30)
    assert (len(gone), alive) == (WORKERS, [])


@pytest.mark.parametrize("name", ["AI_USAGE_OTLP_GRPC_LISTEN", "AI_USAGE_OTLP_HTTP_LISTEN"])
async def test_port_of_somebody_else_is_not_shared(start: Any, name: str) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = start(**{name: address})
        assert await asyncio.to_thread(server.process.wait, 150) == 1
    (line,) = [line for line in server.log.read_text().splitlines() if "ai-usage:" in line]
    assert f"{name}: {address} is in use by another process" in line
