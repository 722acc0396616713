"""The server's own metrics stay as small as they are, whatever senders send."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from ai_usage_exporter.metrics import Metrics
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.receiver import protobuf
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage.batch import WriteOutcome


def call(number: int) -> Span:
    """Return a call whose every name occurs nowhere else."""
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": f"provider-{number}",
        "gen_ai.request.model": f"model-{number}",
        "user.id": f"user-{number}",
        "ai_usage.service.name": f"service-{number}",
        "error.type": f"error-{number}",
    }
    pairs = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in values.items()]
    return Span(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name="chat", kind=3, attributes=pairs)


async def test_no_name_a_sender_chooses_makes_a_series() -> None:
    metrics = Metrics()

    async def submit(calls: list[object], **_: object) -> WriteOutcome:
        return WriteOutcome(stored=len(calls))

    service = ExportService(submit, normalize=normalize, price=Pricing().price, metrics=metrics)

    async def send(first: int, last: int) -> None:
        scope = ScopeSpans(spans=[call(number) for number in range(first, last)])
        body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])]).SerializeToString()
        await service.export(lambda: protobuf.decode(body), transport="grpc")

    await send(1, 2)
    series = metrics.page().count(b"\n")
    await send(2, 500)
    assert metrics.registry.get_sample_value("receiver_accepted_spans_total", {"transport": "grpc"}) == 499
    assert metrics.page().count(b"\n") == series
