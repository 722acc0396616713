"""Speak to a receiver the way any client could: grpcio, http.client and sockets, bytes in and bytes out."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.conformance.verdict import Failed, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.target import Target

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PATH: Final = "/v1/traces"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


class Reply(NamedTuple):
    """Hold an HTTP reply; header names are in lower case."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """Return the content type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def export(self) -> ExportTraceServiceResponse:
        """Return the response of a 200."""
        expect(self.code == 200, f"HTTP {self.code} instead of 200: {self.body[:200]!r}")
        if self.kind != JSON:
            return ExportTraceServiceResponse.FromString(self.body)
        partial = json.loads(self.body).get("partialSuccess", {})
        response = ExportTraceServiceResponse()
        if partial:
            response.partial_success.rejected_spans = int(partial.get("rejectedSpans", 0))
            response.partial_success.error_message = partial.get("errorMessage", "")
        return response

    def failure(self) -> dict[str, Any]:
        """Return the ``google.rpc.Status`` of a 4xx or 5xx as ``{code, message, details: [type names]}``."""
        if self.kind == JSON:
            document = json.loads(self.body)
            expect(isinstance(document.get("message", ""), str), "the JSON body is no Status")
            details = [detail.get("@type", "") for detail in document.get("details", [])]
            return {"code": document.get("code", 0), "message": document.get("message", ""), "details": details}
        status = Status.FromString(self.body)
        return {"code": status.code, "message": status.message, "details": [d.type_url for d in status.details]}


def post(
    target: Target,
    body: bytes,
    *,
    kind: str | None = PROTOBUF,
    path: str = PATH,
    method: str = "POST",
    encoding: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send one request on a connection of its own."""
    connection = connect(target)
    try:
        return exchange(connection, target, body, kind=kind, path=path, method=method, encoding=encoding, more=headers)
    finally:
        connection.close()


def connect(target: Target) -> http.client.HTTPConnection:
    """Return a connection that stays open between requests."""
    host, _, port = target.http.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=target.timeout_s)


def exchange(
    connection: http.client.HTTPConnection,
    target: Target,
    body: bytes,
    *,
    kind: str | None = PROTOBUF,
    path: str = PATH,
    method: str = "POST",
    encoding: str | None = None,
    more: dict[str, str] | None = None,
) -> Reply:
    """Send one request on ``connection`` and read its reply."""
    headers = dict(target.headers)
    if kind is not None:
        headers["Content-Type"] = kind
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered before the whole body was read
        connection.request(method, path, body=body, headers=headers | (more or {}))
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def raw_http(target: Target, *pieces: bytes, read: bool = True) -> bytes:
    """Write bytes to a socket, return everything until the server closes or is silent."""
    host, _, port = target.http.rpartition(":")
    received = b""
    with socket.create_connection((host.strip("[]"), int(port)), timeout=target.timeout_s) as client:
        for piece in pieces:
            client.sendall(piece)
        while read:
            chunk = client.recv(65536)
            received += chunk
            if not chunk or b"\r\n\r\n" in received:
                break
    return received


class GrpcReply(NamedTuple):
    """Hold a gRPC reply."""

    code: grpc.StatusCode
    message: str
    trailers: dict[str, bytes | str]
    body: bytes = b""

    def export(self) -> ExportTraceServiceResponse:
        """Return the response of an OK."""
        expect(self.code is grpc.StatusCode.OK, f"gRPC {self.code.name} instead of OK: {self.message[:200]}")
        return ExportTraceServiceResponse.FromString(self.body)

    def delays_s(self) -> list[float]:
        """Return the delay asked for in each of the two trailers that has one."""
        found = []
        if (plain := self.trailers.get("google.rpc.retryinfo-bin")) is not None:
            found.append(_seconds(RetryInfo.FromString(_bytes(plain))))
        if (details := self.trailers.get("grpc-status-details-bin")) is not None:
            for detail in Status.FromString(_bytes(details)).details:
                if detail.Is(RetryInfo.DESCRIPTOR):
                    found.append(_seconds(RetryInfo.FromString(detail.value)))
        return found

    def has_bad_request(self) -> bool:
        """Tell whether the details say what is bad."""
        details = self.trailers.get("grpc-status-details-bin")
        return details is not None and any(
            detail.Is(BadRequest.DESCRIPTOR) for detail in Status.FromString(_bytes(details)).details
        )


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def _seconds(info: RetryInfo) -> float:
    return float(info.retry_delay.ToTimedelta().total_seconds())


@contextlib.contextmanager
def channel(target: Target) -> Iterator[grpc.Channel]:
    """Open a channel that neither retries nor shares its connection."""
    options = (
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_http_proxy", 0),
    )
    with grpc.insecure_channel(target.grpc, options=options) as opened:
        yield opened


def call(
    target: Target,
    body: bytes,
    *,
    compression: grpc.Compression = grpc.Compression.NoCompression,
    method: str = EXPORT,
    metadata: tuple[tuple[str, str], ...] = (),
    via: grpc.Channel | None = None,
) -> GrpcReply:
    """Make one unary call."""
    with contextlib.ExitStack() as stack:
        opened = via or stack.enter_context(channel(target))
        headers = tuple((name.lower(), value) for name, value in target.headers.items()) + metadata
        try:
            reply, info = opened.unary_unary(method).with_call(
                body, timeout=target.timeout_s, compression=compression, metadata=headers
            )
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return GrpcReply(error.code(), error.details() or "", trailers)
        return GrpcReply(grpc.StatusCode.OK, "", dict(info.trailing_metadata() or ()), reply)


def zipped(body: bytes) -> bytes:
    """Return ``body`` in gzip."""
    return gzip.compress(body, 6)


def accepted(reply: Reply | GrpcReply) -> None:
    """Expect complete success: nothing rejected, nothing to say (A8 alone looks at how that is written)."""
    partial = reply.export().partial_success
    if says_something(reply):
        raise Failed(f"{partial.rejected_spans} rejected, {partial.error_message[:200]!r} instead of success")


def says_something(reply: Reply | GrpcReply) -> bool:
    """Tell whether a success is a partial one or has a warning."""
    partial = reply.export().partial_success
    return bool(partial.rejected_spans or partial.error_message)


def bad(reply: Reply | GrpcReply, what: str) -> None:
    """Expect the sender to be told that its data is bad."""
    if isinstance(reply, GrpcReply):
        expect(reply.code is grpc.StatusCode.INVALID_ARGUMENT, f"{what}: gRPC {reply.code.name}, not INVALID_ARGUMENT")
    else:
        expect(reply.code == 400, f"{what}: HTTP {reply.code}, not 400")
