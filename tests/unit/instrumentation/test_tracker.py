"""The manual API: the same span as an instrumented call, whatever the app tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from ai_usage import _guard, semconv, tracker
from ai_usage._invocation import Telemetry
from ai_usage.tracker import AIUsageTracker, log_ai_usage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=provider))
    before = _guard.set_strict(True)
    yield memory
    _guard.set_strict(before)


def only(exporter: InMemorySpanExporter) -> dict[str, Any]:
    (span,) = exporter.get_finished_spans()
    return {**(span.attributes or {}), "status": span.status.status_code, "name": span.name}


def test_a_tracked_block_is_one_span_with_owner_tokens_and_cost(exporter: InMemorySpanExporter) -> None:
    with AIUsageTracker("7", "a@x", "xray_analyzer", "analyze") as tracked:
        tracked.set_provider_model("openai", "gpt-4o")
        tracked.set_tokens(1_000_000, 0)
        tracked.add_metadata("pages", 3)
        tracked.add_metadata("when", object)
    found = only(exporter)
    assert found["name"] == "chat gpt-4o"
    assert found[semconv.USER_ID] == "7"
    assert found[semconv.PROVIDER_NAME] == "openai"
    assert found[semconv.USAGE_INPUT_TOKENS] == 1_000_000
    assert found[semconv.COST_AMOUNT] == 2.5
    assert found["ai_usage.metadata.pages"] == 3
    assert found["ai_usage.metadata.when"] == "<class 'object'>"


@pytest.mark.parametrize(
    ("response", "provider", "model", "tokens"),
    [
        ({"model": "gpt-4o", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}, "openai", "gpt-4o", (10, 5)),
        (
            {"object": "response", "model": "gpt-5", "usage": {"input_tokens": 10, "output_tokens": 5}},
            "openai",
            "gpt-5",
            (10, 5),
        ),
        (
            {
                "type": "message",
                "role": "assistant",
                "model": "claude-3-haiku",
                "usage": {"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 5},
            },
            "anthropic",
            "claude-3-haiku",
            (10, 5),
        ),
        (
            {
                "modelVersion": "gemini-2.0-flash",
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
            },
            "gcp.gemini",
            "gemini-2.0-flash",
            (10, 5),
        ),
    ],
)
def test_set_response_reads_the_answers_of_every_sdk(
    exporter: InMemorySpanExporter, response: Any, provider: str, model: str, tokens: tuple[int, int]
) -> None:
    with AIUsageTracker("7") as tracked:
        tracked.set_response(response)
    found = only(exporter)
    assert (found[semconv.PROVIDER_NAME], found[semconv.REQUEST_MODEL]) == (provider, model)
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == tokens


def test_what_was_never_said_is_unknown_and_not_zero(exporter: InMemorySpanExporter) -> None:
    with AIUsageTracker("7", provider="openai", model="gpt-4o"):
        pass
    assert semconv.USAGE_INPUT_TOKENS not in only(exporter)
    assert semconv.COST_AMOUNT not in only(exporter)


async def test_an_error_in_the_block_is_recorded_and_raised_on(exporter: InMemorySpanExporter) -> None:
    async def failing() -> None:
        async with AIUsageTracker("7", provider="openai", model="gpt-4o"):
            raise KeyError("k")

    with pytest.raises(KeyError):
        await failing()
    assert (only(exporter)["status"], only(exporter)[semconv.ERROR_TYPE]) == (StatusCode.ERROR, "KeyError")


def test_an_error_told_by_the_app_is_recorded(exporter: InMemorySpanExporter) -> None:
    with AIUsageTracker("7") as tracked:
        tracked.set_error("quota used up", code="429")
    (span,) = exporter.get_finished_spans()
    assert span.status.description == "quota used up"
    assert only(exporter)[semconv.ERROR_TYPE] == "429"


def test_a_call_that_is_over_is_logged_with_its_duration(exporter: InMemorySpanExporter) -> None:
    assert log_ai_usage("7", None, "s", "a", "openai", "gpt-4o", 10, 5, duration_ms=1500, metadata={"k": "v"})
    (span,) = exporter.get_finished_spans()
    assert span.start_time is not None
    assert span.end_time is not None
    assert 1_500 <= (span.end_time - span.start_time) / 1e6 < 2_500
    assert only(exporter)["ai_usage.metadata.k"] == "v"


def test_logging_never_raises(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise ZeroDivisionError

    _guard.set_strict(False)
    assert log_ai_usage("7", metadata={"k": Hostile()}) is False
    assert log_ai_usage("7", success=False, error_message="no") is True
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert log_ai_usage(Hostile(), service_name="s") is True
    assert semconv.USER_ID not in (exporter.get_finished_spans()[1].attributes or {})
