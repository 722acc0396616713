"""OTLP/JSON of logs: request text → the protobuf message, by the same rules as for spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from ai_usage_exporter.receiver import json as spans

if TYPE_CHECKING:
    from typing import Any

# The readers of the parts that logs and spans have in common are those of spans.
_record = spans._message(
    LogRecord,
    {
        "timeUnixNano": ("time_unix_nano", spans._integer(*spans._UINT64)),
        "observedTimeUnixNano": ("observed_time_unix_nano", spans._integer(*spans._UINT64)),
        "body": ("body", spans._any_value),
        "attributes": spans._attributes,
        "traceId": ("trace_id", spans._id),
        "spanId": ("span_id", spans._id),
        "eventName": ("event_name", spans._string),
    },
)
_scope_logs = spans._message(
    ScopeLogs, {"scope": ("scope", spans._scope), "logRecords": ("log_records", spans._list(_record))}
)
_resource_logs = spans._message(
    ResourceLogs, {"resource": ("resource", spans._resource), "scopeLogs": ("scope_logs", spans._list(_scope_logs))}
)
_request = spans._message(ExportLogsServiceRequest, {"resourceLogs": ("resource_logs", spans._list(_resource_logs))})


def read(document: Any) -> ExportLogsServiceRequest:
    """Return the request in a parsed document; raises ``MalformedError`` naming the field that is wrong."""
    request: ExportLogsServiceRequest = _request(document, "body")
    return request
