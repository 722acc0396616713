"""L3 and L4: nobody waits for the receiver, and what cannot be sent takes bounded memory and is counted."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import ai_usage
from ai_usage import tracker
from ai_usage._telemetry import Telemetry
from tests.integration.instrumentation import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

CALLS = 4_000
QUEUE = 500
BATCH = 100


class Stuck(SpanExporter):
    """Stand for a receiver that answers when the test says so."""

    def __init__(self) -> None:
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.delivered = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.has_begun.set()
        assert self.may_go_on.wait(100)
        self.delivered += len(spans)
        return SpanExportResult.SUCCESS


class Setup:
    def __init__(self) -> None:
        self.exporter = Stuck()
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.processor = BatchSpanProcessor(
            self.exporter, max_queue_size=QUEUE, max_export_batch_size=BATCH, meter_provider=self.meters
        )
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)

    def dropped(self) -> int:
        data = self.reader.get_metrics_data()
        return sum(
            point.value  # type: ignore[union-attr,misc]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "otel.sdk.processor.span.processed"
            for point in metric.data.data_points
            if (point.attributes or {}).get("error.type") == "queue_full"
        )


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    made = Setup()
    ai_usage.instrument(sdks=("openai",), tracer_provider=made.provider)
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=made.provider))
    yield made
    made.exporter.may_go_on.set()
    ai_usage.uninstrument()
    made.provider.shutdown()
    made.meters.shutdown()


def test_while_the_receiver_is_stuck_calls_go_on_memory_is_bounded_and_drops_are_counted(stuck: Setup) -> None:
    for _ in range(BATCH):
        ai_usage.log_ai_usage("7", provider="openai", model="gpt-4o", input_tokens=1, output_tokens=1)
    assert stuck.exporter.has_begun.wait(20)
    for _ in range(CALLS - BATCH):  # would not come back if one of them waited
        ai_usage.log_ai_usage("7", provider="openai", model="gpt-4o", input_tokens=1, output_tokens=1)
    assert len(stuck.processor._batch_processor._queue) == QUEUE
    assert stuck.dropped() == CALLS - BATCH - QUEUE
    stuck.exporter.may_go_on.set()
    stuck.provider.force_flush()
    assert stuck.exporter.delivered + stuck.dropped() == CALLS


async def test_the_event_loop_turns_while_the_receiver_is_stuck(stuck: Setup) -> None:
    server = wire.Server(wire.body(wire.chat()))
    client = openai.AsyncOpenAI(api_key="k", http_client=server.async_client, max_retries=0)
    hello: Any = [{"role": "user", "content": "x"}]
    for _ in range(BATCH):
        ai_usage.log_ai_usage("7")
    assert await asyncio.to_thread(stuck.exporter.has_begun.wait, 20)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    answers = await asyncio.gather(*(client.chat.completions.create(model="gpt-4o", messages=hello) for _ in range(50)))
    turning.cancel()
    assert len(answers) == 50
    assert turns > 1
    assert not stuck.exporter.may_go_on.is_set()
