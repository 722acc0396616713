"""Requests to send: spans of AI calls, as protobuf or OTLP/JSON, with ids of their own."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

_numbers: Final = itertools.count(1)


def text(key: str, value: str) -> KeyValue:
    """Return a string attribute."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


def count(key: str, value: int) -> KeyValue:
    """Return an integer attribute."""
    return KeyValue(key=key, value=AnyValue(int_value=value))


def span(*more: KeyValue, tokens: int = 1000, **fields: Any) -> Span:
    """Return the span of one call, with fresh ids."""
    now = time.time_ns()
    number = next(_numbers)
    attributes = [
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o-mini"),
        text("gen_ai.response.id", f"conformance-{os.getpid()}-{number}"),
        count("gen_ai.usage.input_tokens", tokens),
        count("gen_ai.usage.output_tokens", 20),
        *more,
    ]
    values: dict[str, Any] = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "name": "chat gpt-4o-mini",
        "kind": Span.SPAN_KIND_CLIENT,
        "start_time_unix_nano": now - 1_000_000_000,
        "end_time_unix_nano": now,
        "attributes": attributes,
    }
    return Span(**(values | fields))


def request(*spans: Span) -> ExportTraceServiceRequest:
    """Return one request with these spans."""
    resource = Resource(attributes=[text("service.name", "conformance")])
    scope_spans = ScopeSpans(scope=InstrumentationScope(name="conformance", version="1"), spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope_spans])])


def body_of(*spans: Span) -> bytes:
    """Return one encoded request."""
    encoded: bytes = request(*spans).SerializeToString()
    return encoded


def id_of(one: Span) -> tuple[bytes, bytes]:
    """Return trace id and span id."""
    return one.trace_id, one.span_id


def sized(size_bytes: int) -> bytes:
    """Return a request of exactly ``size_bytes``, made long by spans of little meaning."""
    filler = 4096
    base = body_of(span())
    parts = [base]
    size = len(base)
    while size_bytes - size > filler * 2:
        part = _padded(filler)
        parts.append(part)
        size += len(part)
    rest = size_bytes - size
    # A length is written in 1 to 3 bytes at several levels: look for the padding that fits.
    for padding in range(max(0, rest - 400), rest):
        part = _padded(padding)
        if len(part) == rest:
            return b"".join([*parts, part])
    raise ValueError(f"no request of {size_bytes} bytes")


def _padded(padding: int) -> bytes:
    # Unknown to every receiver and of no meaning: it only has a size.
    encoded: bytes = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=[text("padding", (os.urandom(1 + padding // 2).hex())[:padding])])
            )
        ]
    ).SerializeToString()
    return encoded


def json_value(value: AnyValue) -> dict[str, Any]:
    """Return an attribute's value by the rules of OTLP/JSON (integers as strings)."""
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case other:
            raise ValueError(other)


def json_span(one: Span, **changes: Any) -> dict[str, Any]:
    """Return a span by the rules of OTLP/JSON: hex ids, enum numbers, lowerCamelCase."""
    return {
        "traceId": one.trace_id.hex(),
        "spanId": one.span_id.hex(),
        "name": one.name,
        "kind": int(one.kind),
        "startTimeUnixNano": str(one.start_time_unix_nano),
        "endTimeUnixNano": str(one.end_time_unix_nano),
        "attributes": [{"key": pair.key, "value": json_value(pair.value)} for pair in one.attributes],
    } | changes


def json_document(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return a request document."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "conformance"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "c"}, "spans": list(spans)}]}]}


def json_body(*spans: dict[str, Any]) -> bytes:
    """Return an encoded request."""
    return json.dumps(json_document(*spans)).encode()


def with_attribute(value: Any) -> bytes:
    """Return a JSON request of one span with one more attribute, whose value document is ``value``."""
    one = json_span(span())
    one["attributes"].append({"key": "conformance.value", "value": value})
    return json_body(one)
