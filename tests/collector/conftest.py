"""A real Collector for the tests, built once, and the table of what outages cost."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collector.collector import BUILD
from tests.collector.installation import run_installation
from tests.collector.outage import COLUMNS
from tests.table import print_recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collector.installation import Installation

TOOLS = Path(__file__).with_name("tools")
HAS_GO = shutil.which("go") is not None
_NEEDS_COLLECTOR = ("test_configs.py", "test_outages.py", "test_fan_out.py", "test_redaction.py", "test_keys.py")
_NEEDS_GO = ("test_tools.py",)
_NEEDS_SYSTEMD = ("test_systemd.py",)


def _why_ignored(name: str) -> str | None:
    if name in _NEEDS_GO and not HAS_GO:
        return "Go is not installed"
    if name in _NEEDS_COLLECTOR and not HAS_GO and shutil.which("otelcol-contrib") is None:
        return "neither Go nor otelcol-contrib is installed"
    if name in _NEEDS_SYSTEMD and shutil.which("systemd-analyze") is None:
        return "systemd-analyze is not installed"
    return None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out, and say so, what cannot run on this machine."""
    return True if _why_ignored(collection_path.name) else None


def _left_out() -> list[str]:
    reasons = {name: _why_ignored(name) for name in (*_NEEDS_COLLECTOR, *_NEEDS_GO, *_NEEDS_SYSTEMD)}
    return [f"not collected: tests/collector/{name}: {reason}" for name, reason in reasons.items() if reason]


@pytest.fixture(scope="session")
def collector_binary() -> str:
    """Give the path of a Collector, built from builder-config.yaml where Go is installed."""
    built = subprocess.run([str(BUILD)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    return built.stdout.strip()


@pytest.fixture(scope="session")
def tools() -> Path | None:
    """Give the folder of the tests' own Go programs, built once for each state of their sources; None without Go."""
    if not HAS_GO:
        return None
    sources = sorted(path for path in TOOLS.rglob("*") if path.is_file())
    state = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ai-usage" / "collector-tools" / state
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (cache.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker builds, the others find it
        if not cache.exists():
            building = cache.with_name(f"{state}.building")
            command = ["go", "build", "-o", f"{building}/", "./..."]
            built = subprocess.run(command, cwd=TOOLS, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stderr[-4000:]
            building.rename(cache)
    return cache


@pytest.fixture
def installation(
    request: pytest.FixtureRequest, collector_binary: str, tools: Path | None, database_url: str, tmp_path: Path
) -> Iterator[Installation]:
    """Give a running installation of the configuration the test names."""
    yield from run_installation(request.param, collector_binary, tools, database_url, tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was left out and why, and what each outage cost."""
    for line in _left_out():
        terminalreporter.write_line(line, yellow=True)
    print_recorded(terminalreporter, "outage", "outages", COLUMNS, words=2)
