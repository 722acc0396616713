"""Whoever may look at a call when it starts finds its attributes; where nobody does, they come a moment later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from ai_usage import semconv
from ai_usage._sampling import RecordingSampler
from ai_usage._telemetry import Telemetry
from ai_usage.processor import AIUsageSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

START: dict[str, Any] = {semconv.OPERATION_NAME: "chat", semconv.SERVER_PORT: 443}


class Onlooker(SpanProcessor):
    """Remember what spans start with."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.seen.append(dict(span.attributes or {}))


class Choosy(Sampler):
    """Drop what a rule about attributes drops, as rule-based samplers do."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        self.seen.append(dict(attributes or {}))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), "rule": 1})

    def get_description(self) -> str:
        return "Choosy"


def start(telemetry: Telemetry, current: Context | None = None) -> ReadableSpan:
    span: Any = telemetry.start_span("chat", current or Context(), dict(START), None)
    span.end()
    readable: ReadableSpan = span
    return readable


def test_a_processor_finds_the_attributes_at_the_start_also_one_that_came_later() -> None:
    provider, onlooker, later = TracerProvider(), Onlooker(), Onlooker()
    provider.add_span_processor(onlooker)
    telemetry = Telemetry("ai_usage.t", "1", tracer_provider=provider)
    assert start(telemetry).attributes == START
    quiet = TracerProvider()
    telemetry = Telemetry("ai_usage.t", "1", tracer_provider=quiet)
    start(telemetry)
    quiet.add_span_processor(later)
    start(telemetry)
    assert (onlooker.seen, later.seen) == ([START], [START])


def test_a_processor_whose_start_was_replaced_finds_them_too() -> None:
    provider, seen = TracerProvider(), []
    processor: Any = SimpleSpanProcessor(InMemorySpanExporter())
    processor.on_start = lambda span, parent_context=None: seen.append(dict(span.attributes))
    provider.add_span_processor(processor)
    start(Telemetry("ai_usage.t", "1", tracer_provider=provider))
    assert seen == [START]


@pytest.mark.parametrize("is_root", [True, False], ids=["root", "below ParentBased"])
def test_a_sampler_finds_the_attributes_and_adds_its_own(is_root: bool) -> None:
    sampler = Choosy()
    provider = TracerProvider(sampler=sampler if is_root else ParentBased(sampler))
    span = start(Telemetry("ai_usage.t", "1", tracer_provider=provider))
    assert sampler.seen == [START]
    assert span.attributes == {**START, "rule": 1}


@pytest.mark.parametrize("make", [None, ConcurrentMultiSpanProcessor])
def test_without_onlookers_the_span_is_the_same(make: Any) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(active_span_processor=None if make is None else make())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    provider.add_span_processor(AIUsageSpanProcessor(provider))
    start(Telemetry("ai_usage.t", "1", tracer_provider=provider))
    (span,) = exporter.get_finished_spans()
    assert span.attributes == START
    provider.shutdown()


PARENTS = {
    "none": Context(),
    **{
        f"{'remote' if is_remote else 'local'} {flags!r}": set_span_in_context(
            NonRecordingSpan(SpanContext(1, 1, is_remote=is_remote, trace_flags=TraceFlags(flags))), Context()
        )
        for is_remote in (True, False)
        for flags in (0, 1)
    },
}


@pytest.mark.parametrize("current", PARENTS.values(), ids=PARENTS)
@pytest.mark.parametrize(
    "sampler",
    [
        ALWAYS_ON,
        ALWAYS_OFF,
        DEFAULT_ON,
        ParentBased(ALWAYS_OFF),
        TraceIdRatioBased(0.5),
        ParentBased(TraceIdRatioBased(0)),
    ],
    ids=lambda sampler: str(sampler.get_description())[:40],
)
@pytest.mark.parametrize("attributes", [None, START], ids=["blind", "told"])
def test_a_sampler_decides_as_without_us(sampler: Sampler, current: Context, attributes: Any) -> None:
    for trace_id in (1, (1 << 64) - 1):
        theirs = sampler.should_sample(current, trace_id, "chat", None, attributes, ())
        ours = RecordingSampler(sampler).should_sample(current, trace_id, "chat", None, attributes, ())
        is_dropped = theirs.decision is Decision.DROP
        assert ours.decision is (Decision.RECORD_ONLY if is_dropped else theirs.decision)
        assert (ours.trace_state or None) == (theirs.trace_state or None)
        assert ours.attributes == ({**(attributes or {}), semconv.UNSAMPLED: True} if is_dropped else theirs.attributes)
