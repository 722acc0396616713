"""One string that is no UTF-8 costs itself, and not the request it is in."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import MessageToJson, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.receiver import logs, protobuf
from ai_usage_exporter.receiver.utf8 import MAX_FIELDS, mend

GOOD = ExportTraceServiceRequest()
for number in range(3):
    resource_spans = GOOD.resource_spans.add(schema_url="https://schema")
    resource_spans.resource.attributes.add(key="service.name").value.string_value = f"clinic-{number}"
    resource_spans.resource.attributes.add(key="bytes").value.bytes_value = b"\xff\xfe"
    scope_spans = resource_spans.scope_spans.add(schema_url="https://schema")
    scope_spans.scope.name, scope_spans.scope.version = f"library-{number}", "1"
    span = scope_spans.spans.add(trace_id=b"\xff" * 16, span_id=b"\xfe" * 8, name="chat", trace_state="a=b")
    span.start_time_unix_nano, span.end_time_unix_nano, span.kind, span.flags = 2**63, 2**63 + 1, 3, 257
    values = span.attributes.add(key="list").value
    values.array_value.values.add(string_value=f"item-{number}")
    values.array_value.values.add(double_value=0.5)
    span.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.string_value = f"entry-{number}"
    span.attributes.add(key="count").value.int_value = -1
    span.events.add(name="exception", time_unix_nano=7).attributes.add(key="t").value.string_value = f"error-{number}"
    span.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="x=y")
    span.status.message, span.status.code = f"said-{number}", 2
BODY = GOOD.SerializeToString()


def test_good_requests_stay_as_they_are() -> None:
    assert mend(BODY, "TraceRequest") == BODY


@pytest.mark.parametrize("text", ["clinic-1", "library-1", "item-1", "entry-1", "error-1", "said-1"])
def test_only_what_is_bad_is_replaced(text: str) -> None:
    bad = BODY.replace(text.encode(), text[:-2].encode() + b"\xff1")
    assert bad != BODY
    mended = ExportTraceServiceRequest.FromString(mend(bad, "TraceRequest"))
    assert MessageToJson(mended, ensure_ascii=False).replace("\ufffd1", "-1") == MessageToJson(GOOD, ensure_ascii=False)
    decoded = protobuf.decode(bad)
    assert decoded.is_mended
    assert len(decoded.spans) == 3
    assert not protobuf.decode(BODY).is_mended


def test_logs_are_mended_too() -> None:
    record = {
        "timeUnixNano": "1793534400000000000",
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [{"key": "model", "value": {"stringValue": "claude-sonnet-4-5"}}],
    }
    request = ParseDict(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, record]}]}]}, ExportLogsServiceRequest()
    )
    body = request.SerializeToString()
    assert mend(body, "LogsRequest") == body
    decoded = logs.decode(body.replace(b"sonnet", b"sonne\xff", 1))
    assert decoded.is_mended
    assert [span.attributes["model"] for span in decoded.spans] == ["claude-sonne\ufffd-4-5", "claude-sonnet-4-5"]


def test_too_much_to_mend_is_refused() -> None:
    with pytest.raises(ValueError, match="too many fields"):
        mend(b"\x18\x01" * (MAX_FIELDS + 1), "TraceRequest")
    with pytest.raises(PermanentError, match="no ExportTraceServiceRequest"):
        protobuf.decode(b"\x18\x01" * (MAX_FIELDS + 1) + b"\x0f")


@given(noise=st.binary(max_size=200), at=st.integers(0, len(BODY)))
def test_noise_is_refused_or_mended_and_never_more(noise: bytes, at: int) -> None:
    try:
        decoded = protobuf.decode(BODY[:at] + noise + BODY[at:])
    except PermanentError:
        return
    assert all(isinstance(span.name, str) for span in decoded.spans)
