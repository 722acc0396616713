"""An app run under ``opentelemetry-instrument``: rows with no code change, and never a change to the app."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ai_usage_exporter.config import Address
from ai_usage_exporter.demo.provider import stand_in_provider
from ai_usage_exporter.demo.run import wait_for_calls
from ai_usage_exporter.listen import bind

if TYPE_CHECKING:
    from ai_usage_exporter.server import Server

# Knows nothing of telemetry; prints everything an app could notice.
APP = """
import openai, anthropic
from google import genai

client = openai.OpenAI(max_retries=0)
messages = [{"role": "user", "content": "hello"}]
print(client.chat.completions.create(model="gpt-4o", messages=messages).model_dump_json())
for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
    print(chunk.model_dump_json())
try:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "[fail]"}])
except openai.RateLimitError as error:
    print(type(error), error, error.body)
claude = anthropic.Anthropic(max_retries=0)
with claude.messages.stream(model="claude-3-haiku-20240307", max_tokens=9, messages=messages) as stream:
    print(stream.get_final_message().model_dump_json())
gemini = genai.Client()
reply = gemini.models.generate_content(model="gemini-2.0-flash", contents="hi")
print(reply.model_dump_json(exclude={"sdk_http_response"}))
raise SystemExit(3)
"""
CALLS = 5


class Outcome(NamedTuple):
    """Hold what the outside sees of an app."""

    code: int | None
    stdout: bytes


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


async def run(app: Path, *, endpoint: str | None) -> Outcome:
    """Run the app against a fresh stand-in provider; plain without an endpoint, instrumented with one."""
    prefix = [str(Path(sys.executable).with_name("opentelemetry-instrument"))] if endpoint else []
    with stand_in_provider() as provider:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | {
            "OPENAI_BASE_URL": provider.base_url("openai"),
            "OPENAI_API_KEY": "k",
            "ANTHROPIC_BASE_URL": provider.base_url("anthropic"),
            "ANTHROPIC_API_KEY": "k",
            "GOOGLE_GEMINI_BASE_URL": provider.base_url("gemini"),
            "GEMINI_API_KEY": "k",
        }
        if endpoint:
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
            environment["OTEL_METRICS_EXPORTER"] = environment["OTEL_LOGS_EXPORTER"] = "none"
        process = await asyncio.create_subprocess_exec(
            *prefix,
            sys.executable,
            str(app),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        stdout, _ = await asyncio.wait_for(process.communicate(), 100)
        assert len(provider.ledger) == CALLS
        return Outcome(process.returncode, stdout.replace(provider.base_url("openai").encode(), b""))


async def test_an_app_with_no_code_change_produces_rows_and_behaves_as_without_instrumentation(
    server: Server, app: Path
) -> None:
    plain = await run(app, endpoint=None)
    instrumented = await run(app, endpoint=f"http://{server.addresses['otlp_grpc']}")
    assert plain.code == 3
    assert instrumented == plain
    rows = await wait_for_calls(server.database_url, CALLS)
    assert sorted((r["provider"], r["success"], r["total_tokens"] > 0) for r in rows) == [
        ("anthropic", True, True),
        ("gcp.gemini", True, True),
        ("openai", False, False),
        ("openai", True, True),
        ("openai", True, True),
    ]


async def test_with_the_receiver_down_the_app_behaves_byte_for_byte_the_same(app: Path) -> None:
    with bind(Address("127.0.0.1", 0), "test") as listener:
        port = listener.getsockname()[1]
    plain = await run(app, endpoint=None)
    assert await run(app, endpoint=f"http://127.0.0.1:{port}") == plain
