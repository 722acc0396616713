"""OTLP logs: the records that tell of a provider call, as spans; all others are taken and left aside.

Claude Code, Codex and Gemini CLI report usage as events. A record becomes the span it would have been: from its end
and its duration, with ids that follow from what it says, so that the same record sent again is the same span.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage_exporter.errors import MalformedError
from ai_usage_exporter.normalize import claude_code, codex, gemini_cli
from ai_usage_exporter.receiver import json, log_json, protobuf, utf8
from ai_usage_exporter.receiver.limits import Limits

if TYPE_CHECKING:
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from ai_usage_exporter.receiver.protobuf import DecodedRequest
    from ai_usage_exporter.receiver.service import ExportOutcome

EVENTS: Final = frozenset(
    name for name in claude_code.NAMES | codex.NAMES | gemini_cli.NAMES if "." in name and name != claude_code.SPAN
)
"""Names of the events that tell of a call; ``gen_ai.client.inference.operation.details`` only repeats one."""
SCOPE_SUFFIX: Final = ".events"
"""Events are another library than the spans of the same program: a call that both tell of has one row."""
_DEFAULT_LIMITS: Final = Limits()
_NANOSECONDS_A_MS: Final = 1_000_000


def decode(body: bytes, limits: Limits = _DEFAULT_LIMITS) -> DecodedRequest:
    """Return the calls of an ExportLogsServiceRequest as spans; raise ``MalformedError`` when it is none."""
    try:
        return _decoded(ExportLogsServiceRequest.FromString(body), limits)
    except (DecodeError, RecursionError) as error:
        refusal = MalformedError(f"the body is no ExportLogsServiceRequest: {error}")
    try:
        decoded = _decoded(ExportLogsServiceRequest.FromString(utf8.mend(body, "LogsRequest")), limits)
    except (DecodeError, RecursionError, ValueError):
        raise refusal from None
    decoded.is_mended = True
    return decoded


def decode_json(body: bytes, limits: Limits = _DEFAULT_LIMITS) -> DecodedRequest:
    """Return the same of OTLP/JSON; raise ``MalformedError`` naming the field that is wrong."""
    return _decoded(log_json.read(json.parse(body)), limits)


def to_response(outcome: ExportOutcome) -> ExportLogsServiceResponse:
    """Return the reply: ``partial_success`` is set only when there is something to say."""
    if not outcome.message:
        return ExportLogsServiceResponse()
    partial = ExportLogsPartialSuccess(rejected_log_records=outcome.rejected, error_message=outcome.message)
    return ExportLogsServiceResponse(partial_success=partial)


def _decoded(request: ExportLogsServiceRequest, limits: Limits) -> DecodedRequest:
    made = ExportTraceServiceRequest()
    for resource_logs in request.resource_logs:
        resource_spans = made.resource_spans.add(resource=resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            scope_spans = resource_spans.scope_spans.add(scope=scope_logs.scope)
            scope_spans.scope.name = scope_logs.scope.name.removesuffix(SCOPE_SUFFIX) + SCOPE_SUFFIX
            for record in scope_logs.log_records:
                name = event_name(record)
                if name in EVENTS:
                    _fill(scope_spans.spans.add(), record, name, resource_logs.resource.SerializeToString())
    return protobuf.from_message(made, limits)


def event_name(record: LogRecord) -> str:
    """Return the full name of an event: its own field, the older attribute, or the body, which some write it to."""
    told = [record.event_name, *(pair.value.string_value for pair in record.attributes if pair.key == "event.name")]
    told.append(record.body.string_value)
    found = next((name for name in told if name), "")
    # Claude Code's attribute leaves the product out, its body has it.
    return next((name for name in told if name in EVENTS), found)


def _fill(span: Span, record: LogRecord, name: str, resource: bytes) -> None:
    end_ns = record.time_unix_nano or record.observed_time_unix_nano
    said = blake2b(resource, digest_size=24)
    said.update(name.encode() + end_ns.to_bytes(8, "big"))
    for pair in sorted(record.attributes, key=lambda pair: pair.key):
        said.update(pair.SerializeToString(deterministic=True))
    digest = said.digest()
    span.trace_id = record.trace_id if any(record.trace_id) else digest[:16]
    span.span_id = digest[16:]
    if any(record.trace_id) and any(record.span_id):
        span.parent_span_id = record.span_id
    span.name = name
    span.end_time_unix_nano = end_ns
    span.start_time_unix_nano = max(0, end_ns - _duration_ns(record)) if end_ns else 0
    span.attributes.extend(record.attributes)


def _duration_ns(record: LogRecord) -> int:
    """Return how long the call took, in nanoseconds; 0 when the record does not say or says nonsense."""
    for pair in record.attributes:
        if pair.key == "duration_ms":
            value = pair.value
            told = value.int_value or value.double_value or value.string_value
            try:
                duration_ms = float(told or 0)
            except ValueError:
                return 0
            return int(duration_ms * _NANOSECONDS_A_MS) if 0 <= duration_ms < 86_400_000 else 0
    return 0
