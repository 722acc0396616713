"""Build the environment that a dialect's program runs in: the real packages, at fixed versions, outside the repository.

``python -m tests.vectors.environments DIALECT…`` builds them and prints their interpreters.
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

_SDK: Final = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
_OLDER_SDK: Final = ("opentelemetry-sdk==1.36.0", "opentelemetry-exporter-otlp-proto-http==1.36.0")
_OPENAI: Final = "openai==3.54.0"
_ANTHROPIC: Final = "anthropic==2.12.0"
_GOOGLE: Final = "google-genai==3.4.0"
_BOTO: Final = "boto3==1.44.8"
# The newest proxy whose own parts can be had.
_LITELLM_PROXY: Final = (
    *_SDK, _OPENAI, "litellm[proxy]==1.108.7", "openinference-instrumentation-openai==0.1.66",
)  # fmt: skip
SDKS: Final = (*_SDK, _OPENAI, _ANTHROPIC, _GOOGLE)

PYTHON_PACKAGES: Final = {
    "openinference": (
        *SDKS, "langchain-openai==1.7.4",
        "openinference-instrumentation-openai==0.1.66", "openinference-instrumentation-anthropic==3.1.0",
        "openinference-instrumentation-google-genai==1.4.14", "openinference-instrumentation-langchain==0.1.80",
    ),
    "openllmetry": (
        *SDKS, "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4", "opentelemetry-instrumentation-google-generativeai==0.62.4",
        "opentelemetry-instrumentation-langchain==0.62.4", "langchain", "langchain-openai==1.7.4",
    ),
    "openllmetry-workflow": (
        _OPENAI, "openai-agents==0.24.0", "traceloop-sdk==0.62.4", "httpx",
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-openai-agents==0.62.4", "opentelemetry-exporter-otlp-proto-http",
    ),
    "openllmetry-bedrock": (*_SDK, _BOTO, "opentelemetry-instrumentation-bedrock==0.62.4"),
    "openinference-agents": (
        *_SDK, _OPENAI, "openai-agents==0.24.0", "langchain==1.5.2", "langchain-openai==1.7.4",
        "openinference-instrumentation-openai==0.1.66", "openinference-instrumentation-openai-agents==2.6.0",
        "openinference-instrumentation-langchain==0.1.80",
    ),
    "openinference-both_families": (
        *_SDK, _OPENAI, _ANTHROPIC, "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
    ),
    "openinference-bedrock": (*_SDK, _BOTO, "openinference-instrumentation-bedrock==0.1.61"),
    "otel": (
        *SDKS, "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
        "opentelemetry-instrumentation-google-genai",
    ),
    "otel-older": (*_OLDER_SDK, "openai==1.109.1", "opentelemetry-instrumentation-openai-v2==2.1b0"),
    "otel-langchain": (
        *_SDK, _OPENAI, "langchain", "langchain-openai==1.7.4", "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-langchain==1.3b0",
    ),
    "otel-bedrock": (*_SDK, _BOTO, "opentelemetry-instrumentation-botocore==0.66b2"),
    "anthropic_sdk": (
        *_SDK, "anthropic[bedrock,vertex]==2.12.0", "opentelemetry-instrumentation-genai-anthropic==1.3b0",
        "openinference-instrumentation-anthropic==3.1.0",
    ),
    "langfuse": (*_SDK, _OPENAI, "langfuse==5.0.4", "langchain", "langchain-openai==1.7.4"),
    "langfuse-instrumentor": (*_SDK, _OPENAI, "langfuse==5.0.4", "openinference-instrumentation-openai==0.1.66"),
    "logfire": (*_SDK, _OPENAI, _ANTHROPIC, "logfire==5.4.0"),
    "logfire-instrumentor": (*_SDK, _OPENAI, "logfire==5.4.0", "openinference-instrumentation-openai==0.1.66"),
    "logfire-claude_agent": (*_SDK, "logfire==5.4.0", "claude-agent-sdk==0.2.189"),
    "claude_code": (*_SDK, "claude-agent-sdk==0.2.189"),
    "pydantic_ai": (*_SDK, _OPENAI, "pydantic-ai-slim[openai]==2.68.0"),
    "pydantic_ai-v1": (*_OLDER_SDK, "openai==1.109.1", "pydantic-ai-slim[openai]==1.0.18"),
    "litellm": (*_SDK, _OPENAI, "litellm==1.109.1", "orjson"),
    "litellm-v2": (
        *_SDK, _OPENAI, "litellm==1.109.1", "orjson", "openinference-instrumentation-openai==0.1.66",
    ),
    "litellm-proxy": _LITELLM_PROXY,
    "litellm-proxy_v2": _LITELLM_PROXY,
    "openlit-langchain": ("openlit==1.45.0", "openai<3", "langchain==1.5.2", "langchain-openai==1.7.4"),
    "openlit": ("openlit==1.45.0", "openai<3", "anthropic", _GOOGLE),
    "mlflow": (*_SDK, _OPENAI, _ANTHROPIC, "mlflow-tracing==3.17.2"),
    "google_adk": ("google-adk==2.13.0", "opentelemetry-exporter-otlp-proto-http"),
    "google_adk-v1.20": ("google-adk==1.20.0", "opentelemetry-exporter-otlp-proto-http"),
    "google_adk-v1.39": ("google-adk==1.39.1", "opentelemetry-exporter-otlp-proto-http"),
    "strands": ("strands-agents[openai,otel]==1.62.0",),
    "semantic_kernel": ("semantic-kernel==1.45.0", "opentelemetry-exporter-otlp-proto-http"),
}  # fmt: skip
"""Dialect → what its program needs."""
_NODE_SDK: Final = (
    "@opentelemetry/sdk-trace-node", "@opentelemetry/exporter-trace-otlp-proto", "@opentelemetry/api",
    "@opentelemetry/resources",
)  # fmt: skip
NODE_PACKAGES: Final = {
    "codex": ("@openai/codex@0.169.0",),
    "gemini_cli": ("@google/gemini-cli@0.61.0",),
    "vercel": (
        "ai@7.0.173", "@ai-sdk/otel@1.0.173", "@ai-sdk/openai", "zod", *_NODE_SDK,
    ),
    "vercel-v6": ("ai@6.0.326", "@ai-sdk/openai@3", "@ai-sdk/anthropic@3", "zod", *_NODE_SDK),
    "vercel-v5": ("ai@5", "@ai-sdk/openai@2", "@ai-sdk/anthropic@2", "zod@3", *_NODE_SDK),
    "vercel-v4": ("ai@4", "@ai-sdk/openai@1", "@ai-sdk/anthropic@1", "zod@3", *_NODE_SDK),
    "vercel-v3": ("ai@3.4", "@ai-sdk/openai@0.0", "@ai-sdk/anthropic@0.0", "zod@3", *_NODE_SDK),
}  # fmt: skip
ALL: Final = {**PYTHON_PACKAGES, **NODE_PACKAGES}


def build(dialect: str) -> Path:
    """Return the folder of a dialect's environment, building it first when it is not there."""
    return build_of(dialect, ALL[dialect])


def build_of(name: str, packages: tuple[str, ...]) -> Path:
    """Return the folder of an environment of these packages, building it first when it is not there."""
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-usage" / "vectors"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{digest}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            if name in NODE_PACKAGES:
                folder.mkdir()
                _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages)
            else:
                uv = str(Path(sys.executable).with_name("uv"))
                _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
                python = str(folder / "bin" / "python")
                _run(uv, "pip", "install", "--quiet", "--prerelease", "if-necessary-or-explicit", "--python", python,
                     *packages)  # fmt: skip
            (folder / "complete").touch()
    return folder


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=900)


if __name__ == "__main__":
    for name in sys.argv[1:] or (*PYTHON_PACKAGES, *NODE_PACKAGES):
        try:
            print(build(name), flush=True)
        except subprocess.CalledProcessError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
