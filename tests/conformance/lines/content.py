"""A10, A11, A32–A35: what was rejected, what was set aside, what comes twice."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs

from tests.conformance.spans import body_of, id_of, json_body, json_span, span
from tests.conformance.verdict import expect, line
from tests.conformance.wire import JSON, PATH, PROTOBUF, accepted, call, post, says_something

if TYPE_CHECKING:
    from tests.conformance.target import Target

_REPLIES_ONLY = "replies only: no hook to look into the storage"


@line("A10", "partial success: rejected_spans exact, with a message")
def a10(target: Target) -> str | None:
    """Send 3 spans without ids among 10."""
    good = [span() for _ in range(7)]
    spans = [*good, span(trace_id=b""), span(span_id=b""), span(trace_id=bytes(16))]
    random.Random(10).shuffle(spans)
    documents = json_body(*map(json_span, spans))
    for reply in (call(target, body_of(*spans)), post(target, body_of(*spans)), post(target, documents, kind=JSON)):
        partial = reply.export().partial_success
        expect(partial.rejected_spans == 3, f"{partial.rejected_spans} rejected instead of 3")
        expect(partial.error_message, "no error_message")
    stored = target.hooks.stored([id_of(one) for one in good])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 7, f"{len(stored)} of 7 good spans are stored")
    return None


@line("A11", "warning: rejected 0 and a message")
def a11(target: Target) -> str | None:
    """Send a count of tokens nobody can bill."""
    for reply in (call(target, body_of(span(), span(tokens=-5))), post(target, body_of(span(), span(tokens=-6)))):
        if says_something(reply):
            partial = reply.export().partial_success
            expect(partial.rejected_spans == 0, f"{partial.rejected_spans} rejected")
            expect(partial.error_message, "partial_success is set and says nothing")
        else:
            expect(not target.hooks.parks_unbillable(), "a span was set aside without a warning")
    return None if target.hooks.parks_unbillable() else "this receiver warns of nothing"


@line("A32", "duplicates: everything twice, shuffled, adds nothing")
def a32(target: Target) -> str | None:
    """Send 200 spans, then all of them again in another order and other requests."""
    spans = [span() for _ in range(200)]
    for seed in range(3):
        random.Random(seed).shuffle(spans)
        for at in range(0, 200, 50):
            accepted(call(target, body_of(*spans[at : at + 50])))
    accepted(post(target, body_of(*spans[:5], *spans[:5])))
    stored = target.hooks.stored([id_of(one) for one in spans])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 200, f"{200 - len(stored)} accepted spans are not stored")
    expect(max(stored.values()) == 1, f"a span is stored {max(stored.values())} times")
    return None


@line("A33", "no reply read, the same bytes sent again: accepted, nothing new")
def a33(target: Target) -> str | None:
    """Cut the connection right after the request, then send it again."""
    one = span()
    body = body_of(one)
    fixed = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: {PROTOBUF}\r\n{fixed}Content-Length: {len(body)}\r\n\r\n"
    )
    host, _, port = target.http.rpartition(":")
    for _ in range(5):
        with socket.create_connection((host.strip("[]"), int(port)), timeout=target.timeout_s) as client:
            client.sendall(head.encode() + body)
    accepted(post(target, body))
    accepted(call(target, body))
    stored = target.hooks.stored([id_of(one)])
    if stored is None:
        return _REPLIES_ONLY
    expect(stored == {id_of(one): 1}, f"stored {sum(stored.values())} times")
    return None


@line("A34", "signals that are not served: UNIMPLEMENTED and 404, never a false success")
def a34(target: Target) -> str | None:
    """Send metrics, logs and profiles; a receiver that serves a signal answers it, on both transports."""
    served = []
    for signal, service in (("metrics", "metrics.v1.MetricsService"), ("logs", "logs.v1.LogsService")):
        over_grpc = call(target, b"", method=f"/opentelemetry.proto.collector.{service}/Export").code
        over_http = post(target, b"", path=f"/v1/{signal}").code
        both = (over_grpc, over_http)
        if both == (grpc.StatusCode.OK, 200):
            served.append(signal)
        else:
            expect(both == (grpc.StatusCode.UNIMPLEMENTED, 404), f"{signal}: gRPC {over_grpc.name}, HTTP {over_http}")
    reply = call(target, b"", method="/opentelemetry.proto.collector.trace.v1.TraceService/Nothing")
    expect(reply.code is grpc.StatusCode.UNIMPLEMENTED, f"an unknown method: {reply.code.name}")
    return f"also serves {', '.join(served)}" if served else None


@line("A35", "logs posted as traces: each span without ids refused, the rest kept")
def a35(target: Target) -> str | None:
    """Send log records to the traces path, whose fields have the same numbers."""
    record = LogRecord(time_unix_nano=1, body=AnyValue(string_value="hello"))
    logs = LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record, record])])])
    reply = post(target, logs.SerializeToString())
    if reply.code == 400:
        return "refused as a whole"
    rejected = reply.export().partial_success.rejected_spans
    expect(rejected == 2, f"{rejected} of 2 log records rejected")
    one = span()
    reply = post(target, logs.SerializeToString() + body_of(one))
    expect(reply.export().partial_success.rejected_spans == 2, "a good span beside log records")
    stored = target.hooks.stored([id_of(one)])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 1, "the good span beside log records is not stored")
    return None
