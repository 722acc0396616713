"""OTLP protobuf: request bytes → spans."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ai_usage_exporter.errors import MalformedError
from ai_usage_exporter.receiver import utf8
from ai_usage_exporter.receiver.limits import Limits
from ai_usage_exporter.receiver.wire import Request, ResourceSpans, ScopeSpans, attributes_of, to_attributes
from ai_usage_exporter.record import Span, SpanEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from ai_usage_exporter.record import AttributeValue

_DEFAULT_LIMITS: Final = Limits()
# As ``_make`` does it, without a call of Python's.
_to_span: Final[Callable[[tuple[Any, ...]], Span]] = partial(tuple.__new__, Span)


class DecodedRequest:
    """Hold the spans of a request and the way back to each one's bytes."""

    __slots__ = ("_body", "cut_values", "is_mended", "limits", "oversized", "spans")

    def __init__(self, body: bytes, spans: list[Span], limits: Limits = _DEFAULT_LIMITS) -> None:
        self._body = body
        self.spans = spans
        self.limits = limits
        self.oversized: dict[int, int] = {}
        """Position of a span with more attributes than allowed → how many; its attributes were not read."""
        self.cut_values = 0
        """Texts longer than allowed, of which only the beginning was kept."""
        self.is_mended = False
        """Some text was no UTF-8: what could not be read of it is U+FFFD."""

    def raw(self, index: int) -> bytes:
        """Return one span as an ExportTraceServiceRequest of its own, with every field it came with.

        Reads the request again: it is asked of a span that cannot be stored, and nearly all can.
        """
        for resource_spans in Request.FromString(self._body).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                if index < len(scope_spans.spans):
                    return _alone(resource_spans, scope_spans, scope_spans.spans[index])
                index -= len(scope_spans.spans)
        raise IndexError(index)


def _alone(resource_spans: Any, scope_spans: Any, wire: Any) -> bytes:
    alone = ResourceSpans(
        resource=resource_spans.resource,
        schema_url=resource_spans.schema_url,
        scope_spans=[ScopeSpans(scope=scope_spans.scope, schema_url=scope_spans.schema_url, spans=[wire])],
    )
    encoded: bytes = Request(resource_spans=[alone]).SerializeToString()
    return encoded


def decode(body: bytes, limits: Limits = _DEFAULT_LIMITS) -> DecodedRequest:
    """Return the spans of an ExportTraceServiceRequest; raise ``MalformedError`` when it is none.

    Raises ``TooLargeError`` when it has too many.
    """
    try:
        return _decode(body, limits)
    except (DecodeError, RecursionError) as error:
        refusal = MalformedError(f"the body is no ExportTraceServiceRequest: {error}")
    try:
        decoded = _decode(utf8.mend(body, "TraceRequest"), limits)
    except (DecodeError, RecursionError, ValueError):
        raise refusal from None
    decoded.is_mended = True
    return decoded


def from_message(request: ExportTraceServiceRequest, limits: Limits = _DEFAULT_LIMITS) -> DecodedRequest:
    """Return the spans of a decoded request."""
    return decode(request.SerializeToString(), limits)


def _decode(body: bytes, limits: Limits) -> DecodedRequest:
    spans: list[Span] = []
    decoded = DecodedRequest(body, spans, limits)
    append, to_span = spans.append, _to_span
    max_attributes = limits.max_attributes
    request = Request.FromString(body)
    count = sum(len(scope_spans.spans) for one in request.resource_spans for scope_spans in one.scope_spans)
    if count > limits.max_spans:
        raise limits.refuse("max_spans", f"{count} spans in one request")
    may_have_long_values = len(body) > limits.max_value_bytes
    for resource_spans in request.resource_spans:
        resource = to_attributes(Resource.FromString(resource_spans.resource).attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = InstrumentationScope.FromString(scope_spans.scope)
            scope_name, scope_version = scope.name, scope.version
            for wire in scope_spans.spans:
                pairs = wire.attributes[:]
                if len(pairs) > max_attributes:
                    decoded.oversized[len(spans)] = len(pairs)
                    attributes: dict[str, AttributeValue] = {}
                else:
                    attributes = attributes_of(pairs)
                code, message = _status(status) if (status := wire.status) else (0, "")
                events = wire.events
                if may_have_long_values:
                    decoded.cut_values += _cut(attributes, limits.max_value_bytes)
                append(
                    to_span(
                        (
                            wire.trace_id,
                            wire.span_id,
                            wire.parent_span_id,
                            wire.name,
                            wire.kind,
                            wire.start_time_unix_nano,
                            wire.end_time_unix_nano,
                            attributes,
                            resource,
                            scope_name,
                            scope_version,
                            code,
                            message,
                            [_event(event) for event in events] if events else (),
                        )
                    )
                )
    return decoded


def _cut(attributes: dict[str, AttributeValue], max_bytes: int) -> int:
    """Shorten long texts and bytes in place; return how many."""
    long = [key for key, value in attributes.items() if isinstance(value, str | bytes) and len(value) > max_bytes]
    for key in long:
        attributes[key] = attributes[key][:max_bytes]  # type: ignore[index]
    return len(long)


def _status(encoded: bytes) -> tuple[int, str]:
    status = Status.FromString(encoded)
    return status.code, status.message


def _event(encoded: bytes) -> SpanEvent:
    event = WireSpan.Event.FromString(encoded)
    return SpanEvent(event.name, to_attributes(event.attributes), event.time_unix_nano)
