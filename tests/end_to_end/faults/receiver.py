"""``ai-usage serve`` in a process of its own, to be killed, stopped, starved and measured."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from tests.collector.waiting import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SERVE = (str(Path(sys.executable).with_name("ai-usage")), "serve")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def until(condition: Callable[[], object], what: str, *, deadline_s: float = 30) -> None:
    """Return once ``condition`` holds; fail naming what never came."""
    end = asyncio.get_running_loop().time() + deadline_s
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"{what}: not within {deadline_s:g} s"
        await asyncio.sleep(0.02)


class Receiver:
    """Run the server on a database, or on an embedded one of its own; the addresses stay the same over restarts.

    ``prefix`` are words before the command, e.g. of a program that limits it; ``settings`` are environment variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        command: Sequence[str] = SERVE,
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self.data_dir = folder / "data"
        self._command = [*prefix, *command]
        self._ready = folder / "ready.json"
        self._log_file = folder / "receiver.log"
        self._token = "token-of-the-fault-tests"
        self.grpc, self.http, self.api = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._settings = {
            "AI_USAGE_OTLP_GRPC_LISTEN": self.grpc,
            "AI_USAGE_OTLP_HTTP_LISTEN": self.http,
            "AI_USAGE_API_LISTEN": self.api,
            "AI_USAGE_ADMIN_TOKEN": self._token,
            "AI_USAGE_READY_FILE": str(self._ready),
        }
        if database_url is None:
            self._settings["AI_USAGE_DATA_DIR"] = str(self.data_dir)
        else:
            self._settings["AI_USAGE_DATABASE_URL"] = database_url
        self._settings |= settings
        self.process: subprocess.Popen[bytes]

    def launch(self) -> None:
        """Start the process and return at once."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AI_USAGE_")}
        inherited.pop("DATABASE_URL", None)
        self._ready.unlink(missing_ok=True)
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=inherited | self._settings, stdout=log, stderr=log)

    async def start(self) -> None:
        """Start the process and return once it says it is ready."""
        self.launch()
        await until(self._is_ready, "the receiver", deadline_s=90)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        return self._ready.exists()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    @property
    def database_pid(self) -> int:
        """Return the process id of the embedded PostgreSQL."""
        return int((self.data_dir / "postgresql" / "postmaster.pid").read_text().split()[0])

    @property
    def database_url(self) -> str:
        """Return what the ready file says."""
        return str(json.loads(self._ready.read_text())["database_url"])

    @property
    def log(self) -> str:
        """Return everything it said so far."""
        return self._log_file.read_text()

    @property
    def rss_mib(self) -> float:
        """Return the memory it holds."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 2**20

    @property
    def cpu_s(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def open_files(self) -> int:
        """Return how many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def get(self, path: str) -> httpx2.Response:
        """Ask the API."""
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {self._token}"}, timeout=10) as client:
            return await client.get(f"http://{self.api}{path}")

    async def readiness(self) -> int | None:
        """Return the status of ``/readyz``, ``None`` when nobody answers."""
        try:
            return (await self.get("/readyz")).status_code
        except httpx2.TransportError:
            return None

    async def becomes_ready(self, *, within_s: float, status: int = 200) -> None:
        """Wait until ``/readyz`` answers ``status``."""
        async with asyncio.timeout(within_s):
            while await self.readiness() != status:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.05)

    async def metrics(self) -> dict[str, float]:
        """Return metric with labels → value."""
        page = (await self.get("/metrics")).text
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:{[^}]*})?) (\S+)$", page, re.MULTILINE)}

    def kill(self, *, database_too: bool = False) -> None:
        """Kill the receiver hard, and its embedded PostgreSQL with it as a power cut would."""
        if database_too:
            os.kill(self.database_pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    async def stop(self, *, within_s: float = 30) -> None:
        """Stop as an operator does; asserts that it ends well."""
        self.process.terminate()
        await self.ends_well(within_s=within_s)

    async def ends_well(self, *, within_s: float) -> None:
        """Wait for its end and assert that it exits with 0."""
        code = await asyncio.to_thread(self.process.wait, within_s)
        assert code == 0, self.log

    def close(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            finally:
                self.process.kill()
