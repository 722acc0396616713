"""Limits of requests: what is over one is answered with its name, its value and its setting, and nothing is lost."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from ai_usage_exporter.errors import RetryableError, TooLargeError
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.receiver import protobuf
from ai_usage_exporter.receiver.limits import Admission, Limits
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage.batch import WriteOutcome


def encoded(*attributes: tuple[str, str], spans: int = 1) -> bytes:
    pairs = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes]
    made = [Span(trace_id=b"t" * 16, span_id=bytes([1, n] * 4), name="chat", attributes=pairs) for n in range(spans)]
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=made)])]
    ).SerializeToString()


def test_too_many_spans_are_refused_by_name_value_and_setting() -> None:
    limits = Limits(max_spans=3)
    assert len(protobuf.decode(encoded(spans=3), limits).spans) == 3
    with pytest.raises(TooLargeError, match=r"4 spans in one request: the limit is 3 \(AI_USAGE_MAX_SPANS\)"):
        protobuf.decode(encoded(spans=4), limits)


def test_a_value_too_long_is_cut_and_its_span_stays() -> None:
    decoded = protobuf.decode(encoded(("gen_ai.prompt", "x" * 500), ("short", "y")), Limits(max_value_bytes=256))
    assert decoded.cut_values == 1
    assert decoded.spans[0].attributes == {"gen_ai.prompt": "x" * 256, "short": "y"}


async def test_a_span_with_too_many_attributes_is_kept_in_quarantine_and_said() -> None:
    parked_spans = []

    async def submit(calls: object, *, parked: list[object], **_: object) -> WriteOutcome:
        parked_spans.extend(parked)
        return WriteOutcome(stored=0, duplicates=0, shadows=0, quarantined=len(parked))

    service = ExportService(submit, normalize=normalize, price=Pricing().price)
    request = protobuf.decode(encoded(*((f"k{n}", "v") for n in range(17))), Limits(max_attributes=16))
    outcome = await service.export(lambda: request, transport="grpc")
    assert [parked.reason for parked in parked_spans] == ["too_many_attributes"]
    assert outcome.rejected == 0
    assert "17 attributes" in outcome.message
    assert "16 (AI_USAGE_MAX_ATTRIBUTES)" in outcome.message


def test_as_many_requests_as_allowed_are_worked_on_at_once() -> None:
    admission = Admission(Limits(max_concurrent_requests=2))
    with admission.enter(), admission.enter():
        with pytest.raises(RetryableError, match=r"the limit is 2 .AI_USAGE_MAX_CONCURRENT_REQUESTS"):
            admission.enter()
    with admission.enter():
        assert admission.requests == 1


def test_requests_share_the_memory_budget_and_give_it_back() -> None:
    admission = Admission(Limits(memory_budget=1_000))
    with admission.enter() as first:
        first.hold(900)
        with admission.enter() as second, pytest.raises(RetryableError, match=r"the limit is 1000 .AI_USAGE_MEMORY_BU"):
            second.hold(200)
    assert (admission.requests, admission.held_bytes) == (0, 0)


def test_a_request_larger_than_the_whole_budget_is_let_in_alone() -> None:
    admission = Admission(Limits(memory_budget=1_000))
    with admission.enter() as ticket:
        ticket.hold(5_000)
        ticket.hold(5_000)
        assert admission.held_bytes == 10_000
