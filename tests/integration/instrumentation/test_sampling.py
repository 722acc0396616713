"""Usage does not depend on trace sampling: dropped traces lose no call, and trace backends see no more than before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

from ai_usage import _guard, semconv
from ai_usage.openai import OpenAIInstrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import openai
    from opentelemetry.sdk.trace import ReadableSpan

HELLO: Any = [{"role": "user", "content": "hello"}]


class TraceOnlyExporter(SpanExporter):
    """Stand for a vendor's trace exporter."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


@pytest.fixture(autouse=True)
def uninstrumented() -> Iterator[None]:
    before = _guard.set_strict(True)
    yield
    OpenAIInstrumentor().uninstrument()
    _guard.set_strict(before)


@pytest.mark.parametrize(
    "sampler", [ALWAYS_OFF, TraceIdRatioBased(0.0), ParentBased(ALWAYS_OFF)], ids=["off", "ratio", "parent"]
)
@pytest.mark.parametrize("is_batched", [False, True])
def test_a_call_in_a_dropped_trace_still_leaves_by_the_usage_exporter_only(
    sampler: Any, is_batched: bool, openai_client: openai.OpenAI
) -> None:
    usage, traces = InMemorySpanExporter(), TraceOnlyExporter()
    provider = TracerProvider(sampler=sampler)
    make: Any = BatchSpanProcessor if is_batched else SimpleSpanProcessor
    provider.add_span_processor(make(usage))
    provider.add_span_processor(make(traces))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    with provider.get_tracer("app").start_as_current_span("request") as request:
        assert not request.is_recording()
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    provider.force_flush()
    (span,) = usage.get_finished_spans()
    attributes = span.attributes or {}
    assert attributes[semconv.USAGE_INPUT_TOKENS] > 0  # type: ignore[operator]
    assert attributes[semconv.COST_AMOUNT] > 0  # type: ignore[operator]
    assert attributes[semconv.UNSAMPLED] is True
    assert span.context is not None
    assert span.context.trace_id == request.get_span_context().trace_id
    assert traces.spans == []
    provider.shutdown()


def test_a_call_in_a_sampled_trace_leaves_once_and_unmarked(openai_client: openai.OpenAI) -> None:
    usage = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_ON)
    provider.add_span_processor(SimpleSpanProcessor(usage))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    (span,) = usage.get_finished_spans()
    assert semconv.UNSAMPLED not in (span.attributes or {})


def test_other_spans_of_a_dropped_trace_stay_dropped(openai_client: openai.OpenAI) -> None:
    usage = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(usage))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    with provider.get_tracer("app").start_as_current_span("request"):
        pass
    assert usage.get_finished_spans() == ()
