"""Environments with other instrumentation libraries, each its own, outside the repository: they pin what we do not.

Made once by ``python -m tests.integration.instrumentation.peers`` or by the first test that needs them, and kept in the
user's cache folder under a name that changes with the list of packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SDKS: Final = ("openai>=3.54,<4", "anthropic>=2.12,<3", "google-genai>=3.4,<4", "opentelemetry-sdk>=1.44")
PEERS: Final = {
    "official": (
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
        "opentelemetry-instrumentation-google-genai==1.3b0",
    ),
    "openllmetry": (
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4",
        "opentelemetry-instrumentation-google-generativeai==0.62.4",
    ),
    "openinference": (
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
        "openinference-instrumentation-google-genai==1.4.14",
    ),
}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment; make the environment when it is missing."""
    packages = (*SDKS, *PEERS[peer])
    mark = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-usage"
    folder = cache / f"peer-{peer}-{mark}"
    python, is_done = folder / "bin" / "python", folder / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"peer-{peer}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        if not is_done.exists():
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(python), *packages)
            is_done.touch()
    return python


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)} failed: {done.stderr.strip()}")


if __name__ == "__main__":
    for name in PEERS:
        print(name, python_of(name))
