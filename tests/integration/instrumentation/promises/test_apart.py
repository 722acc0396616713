"""L2, L13, L15, L16: the app sees no change, nothing private leaves, exports are no calls, no SDK has to be there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import ai_usage
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.promises.apps import ASYNC, SYNC, async_app, outcome, sync_app
from tests.integration.instrumentation.test_stream_ends import async_stream_of, stream_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.integration.instrumentation.conftest import Spans

HELLO: Any = [{"role": "user", "content": "secret question"}]


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses", "anthropic", "google_genai"])
async def test_streams_have_the_types_and_members_they_have_without_us(
    name: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY", "false")  # its own tracing changes its streams

    def shape(stream: Any) -> tuple[type, set[str], set[str]]:
        # Public names: anthropic makes its private iterator when it is first used, and ours uses it.
        own = {attribute for attribute in getattr(stream, "__dict__", {}) if not attribute.startswith("_")}
        return type(stream), set(dir(stream)), own

    with_us = shape(stream_of(name)), shape(await async_stream_of(name))
    ai_usage.uninstrument()
    assert with_us == (shape(stream_of(name)), shape(await async_stream_of(name)))


def test_typed_use_of_streams_and_raw_answers_works(spans: Spans) -> None:
    stream = stream_of("openai_chat")
    assert isinstance(stream, openai.Stream)
    with stream as inside:
        assert inside is stream
        assert inside.response.status_code == 200
        assert len(list(inside)) == 3
    claude = anthropic.Anthropic(api_key="k", http_client=wire.Server(wire.body(wire.message())).client)
    raw = claude.messages.with_raw_response.create(model="claude-haiku-4-5", max_tokens=9, messages=HELLO)
    assert raw.headers["content-type"] == "application/json"
    assert isinstance(raw.parse(), anthropic.types.Message)
    assert raw.http_response.json()["id"] == "msg_1"


CASES = [(sync_app, name) for name in SYNC if " hand" not in name and name != "logged"] + [
    (async_app, name) for name in ASYNC
]


def test_no_byte_of_what_was_asked_or_answered_is_exported(spans: Spans) -> None:
    for make, name in CASES:
        run = make(name)
        outcome(run)
    assert len(spans.all()) == len(CASES)
    exported = encode_spans(spans.all()).SerializeToString()
    assert b"gpt-4o" in exported
    assert b"secret" not in exported  # the marker in every answer and every error of the stand-in
    assert b"Authorization" not in exported


class Asking(SpanExporter):
    """Make an AI call for every export, as an exporter of a gateway might."""

    def __init__(self) -> None:
        server = wire.Server(wire.body(wire.chat()))
        self._chat = openai.OpenAI(api_key="k", http_client=server.client).chat.completions
        self.exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._chat.create(model="gpt-4o", messages=HELLO)
        self.exported += len(spans)
        return SpanExportResult.SUCCESS


def test_what_an_exporter_does_is_no_call_of_the_app(spans: Spans) -> None:
    exporter = Asking()
    processor = BatchSpanProcessor(exporter)
    spans.provider.add_span_processor(processor)
    sync_app("openai")()
    for _ in range(3):
        processor.force_flush()
    processor.shutdown()
    assert exporter.exported == 1
    assert len(spans.all()) == 1


WITHOUT = """
import sys
for name in ("openai", "anthropic", "google.genai", "litellm"):
    sys.modules[name] = None
import ai_usage
assert ai_usage.instrument() == (), "something was instrumented"
with ai_usage.usage_context(user_id="7"):
    assert ai_usage.log_ai_usage("7", provider="openai", model="gpt-4o", input_tokens=1)
with ai_usage.AIUsageTracker("7") as tracked:
    tracked.set_response({"usage": {"prompt_tokens": 1, "completion_tokens": 2}})
ai_usage.uninstrument()
from importlib.metadata import entry_points
for point in entry_points(group="opentelemetry_pre_instrument"):
    if point.name == "ai_usage":
        point.load()()
"""


def test_with_no_sdk_installed_everything_else_works() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, timeout=100,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ai_usage" not in done.stderr
