"""The real Collector as a process that can be killed and started again with its queue."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from tests.collector.waiting import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "collector-config"
BUILD = CONFIGS / "build.sh"


class Collector:
    """Run one configuration file, unchanged: ports, folders and addresses go in through its environment variables."""

    def __init__(self, binary: str, config: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.grpc_port, self.http_port, self._health_port, self.metrics_port = (free_port() for _ in range(4))
        self._command = [binary, "--config", str(config)]
        self._log = folder / f"{config.stem}.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "OTLP_GRPC_LISTEN": f"127.0.0.1:{self.grpc_port}",
            "OTLP_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
            "HEALTH_LISTEN": f"127.0.0.1:{self._health_port}",
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(self.metrics_port),
            "QUEUE_DIR": str(folder / f"{config.stem}-queue"),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def validate(self) -> subprocess.CompletedProcess[str]:
        """Run the Collector's own check of the file."""
        command = [self._command[0], "validate", *self._command[1:]]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)

    def start(self) -> None:
        """Return once it takes spans."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        wait_until(self._is_healthy, f"the Collector ({self._log.read_text()[-2000:]})")

    def _is_healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the Collector ended: {self._log.read_text()[-4000:]}"
        try:
            with urlopen(f"http://127.0.0.1:{self._health_port}/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End it as a power cut would, as far as the process is concerned."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it as a deployment does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    @property
    def log(self) -> str:
        """Return what it printed."""
        return self._log.read_text()

    def metrics(self) -> str:
        """Return its own metrics page."""
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            page: str = answer.read().decode()
            return page

    def queue_bytes_on_disk(self) -> int:
        """Return the size of the queue's files."""
        return sum(path.stat().st_size for path in Path(self._environment["QUEUE_DIR"]).iterdir())
