"""Build the environment the programs run in: every library at once, apart from the project's own dependencies.

``python -m tests.integration.programs.environment`` builds it and prints its interpreter. It is kept outside the
repository and made anew when the list below or the project's own package changes its dependencies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

REQUIREMENTS: Final = (
    "anthropic==2.13.0",
    "langchain-openai==1.7.4",
    "litellm==1.110.2",
    "openai==3.57.0",
    "openinference-instrumentation-anthropic==3.1.0",
    "openinference-instrumentation-langchain==0.1.80",
    "openinference-instrumentation-litellm==0.1.51",
    "openinference-instrumentation-openai==0.1.66",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "opentelemetry-instrumentation-anthropic==0.62.4",
    "opentelemetry-instrumentation-genai-anthropic==1.3b0",
    "opentelemetry-instrumentation-genai-openai==1.3b0",
    "opentelemetry-instrumentation-openai==0.62.4",
    "opentelemetry-sdk==1.45.2",
    "pydantic-ai-slim[openai]==2.68.0",
)
_ROOT: Final = Path(__file__).resolve().parents[3]
_OURS: Final = _ROOT / "instrumentation"


def build() -> Path:
    """Return the interpreter of the environment, building it first when it is not there."""
    digest = hashlib.sha256("\n".join(REQUIREMENTS).encode() + (_OURS / "pyproject.toml").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-usage" / "programs"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / digest
    python = folder / "bin" / "python"
    with (cache / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side build it once
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            uv = str(Path(sys.executable).with_name("uv"))
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
            _run(uv, "pip", "install", "--quiet", "--python", str(python), *REQUIREMENTS, "--editable", str(_OURS))
            (folder / "complete").touch()
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=600)


if __name__ == "__main__":
    print(build())
