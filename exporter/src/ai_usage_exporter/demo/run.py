"""Run the demo: server, stand-in provider and app together, and read back what became of the calls."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.pool import connect
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.demo.provider import StandInProvider
    from ai_usage_exporter.server import Server

APP: Final = Path(__file__).with_name("app.py")
_KEYS: Final = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
_ARRIVAL_DEADLINE_S: Final = 20.0
_ALL: Final = 10_000


def demo_settings(data_dir: Path) -> Settings:
    """Return settings that touch nothing of the user's: an own database, free ports on loopback."""
    free = Address("127.0.0.1", 0)
    return Settings(
        data_dir=data_dir, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free, log_level="WARNING"
    )


def app_environment(server: Server, provider: StandInProvider | None) -> dict[str, str]:
    """Return the environment of the app: where spans go, and where the SDKs find their provider.

    Without a stand-in provider the real ones are called with the keys in the environment; raises ``PermanentError``
    when there is none.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "AI_USAGE_"))} | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.addresses['otlp_grpc']}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_SERVICE_NAME": "demo-app",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    if provider is None:
        if not any(os.environ.get(name) for names in _KEYS.values() for name in names):
            wanted = ", ".join(name for names in _KEYS.values() for name in names)
            raise PermanentError(f"--live needs a provider key in the environment: {wanted}")
        return environment
    return environment | {
        "OPENAI_BASE_URL": provider.base_url("openai"),
        "OPENAI_API_KEY": "stand-in",
        "ANTHROPIC_BASE_URL": provider.base_url("anthropic"),
        "ANTHROPIC_API_KEY": "stand-in",
        "GOOGLE_GEMINI_BASE_URL": provider.base_url("gemini"),
        "GEMINI_API_KEY": "stand-in",
        "GOOGLE_API_KEY": "stand-in",
    }


async def run_app(environment: Mapping[str, str], app: Path = APP) -> None:
    """Run the app under ``opentelemetry-instrument``; raise ``PermanentError`` with its last words when it fails."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    process = await asyncio.create_subprocess_exec(
        str(command),
        sys.executable,
        str(app),
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        last_words = output.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise PermanentError(f"the demo app ended with exit code {process.returncode}: {last_words[0]}")


async def wait_for_calls(database_url: str, expected: int) -> list[dict[str, Any]]:
    """Return all calls, newest first, once there are at least ``expected``.

    Raises ``PermanentError`` when they do not arrive within 20 s.
    """
    connection = await connect(database_url)
    try:
        deadline = time.monotonic() + _ARRIVAL_DEADLINE_S
        while True:
            rows = await connection.fetch(load_statement("read_newest_calls"), _ALL)
            if len(rows) >= expected:
                return [dict(row) for row in rows]
            if time.monotonic() > deadline:
                raise PermanentError(f"only {len(rows)} of {expected} calls arrived: see the messages above")
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def fetch_summary(server: Server) -> dict[str, Any]:
    """Return the summary of the last 30 days, from the API."""
    url = f"http://{server.addresses['api']}/api/admin/ai-usage/summary"
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {server.admin_token}"}) as client:
        response = await client.get(url, params={"days": 30})
        response.raise_for_status()
        summary: dict[str, Any] = response.json()
        return summary
