"""Our receiver as a process of its own, on one database, that can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import asyncpg

from tests.collector.waiting import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

ADMIN_TOKEN = "a-token-for-tests-only"


class Receiver:
    """Run ``ai-usage serve`` on free ports, the same ones after every start."""

    def __init__(self, database_url: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.grpc, self.http, self.api = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.database_url = database_url
        self._log = folder / "receiver.log"
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it is ready."""
        command = [str(Path(sys.executable).with_name("ai-usage")), "serve"]
        command += ["--grpc", self.grpc, "--http", self.http, "--api", self.api]
        own = {"AI_USAGE_DATABASE_URL": self.database_url, "AI_USAGE_ADMIN_TOKEN": ADMIN_TOKEN, **self._environment}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        # How long a start takes is not what is tested here, and a process that ended is told at once.
        wait_until(self._is_ready, "the receiver", deadline_s=120)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the receiver ended: {self._log.read_text()[-4000:]}"
        try:
            with urlopen(f"http://{self.api}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it with SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def metrics(self) -> str:
        """Return its metrics page."""
        request = Request(f"http://{self.api}/metrics", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        with urlopen(request, timeout=5) as answer:
            page: str = answer.read().decode()
            return page

    def refused_requests(self) -> float:
        """Return how many requests were answered with "try again" (503, UNAVAILABLE)."""
        found = re.findall(r'^receiver_requests_total{[^}]*outcome="retry"[^}]*} (\S+)$', self.metrics(), re.MULTILINE)
        return sum(map(float, found))

    def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Ask the database."""

        async def ask() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return await connection.fetch(query, *args)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def rows_by_call(self) -> Counter[str]:
        """Return how many rows there are of each call, by the id its reply had."""
        rows = self.fetch("SELECT provider_response_id AS call, count(*) AS rows FROM ai_usage_logs GROUP BY 1")
        return Counter({row["call"]: row["rows"] for row in rows})
