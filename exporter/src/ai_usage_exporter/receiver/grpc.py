"""OTLP over gRPC: TraceService/Export on grpc.aio."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ai_usage_exporter.config import Address
from ai_usage_exporter.errors import MalformedError, PermanentError, RetryableError
from ai_usage_exporter.receiver import logs, protobuf
from ai_usage_exporter.receiver.access import let_everybody_in
from ai_usage_exporter.receiver.health import Health
from ai_usage_exporter.receiver.status import failure_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.protobuf.message import Message

    from ai_usage_exporter.receiver.access import Gate
    from ai_usage_exporter.receiver.limits import Admission, Limits
    from ai_usage_exporter.receiver.protobuf import DecodedRequest
    from ai_usage_exporter.receiver.service import ExportOutcome, ExportService
    from ai_usage_exporter.tls import Tls

_log = logging.getLogger(__name__)

SERVICE_NAME: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
LOGS_SERVICE_NAME: Final = "opentelemetry.proto.collector.logs.v1.LogsService"
SETTING: Final = "AI_USAGE_OTLP_GRPC_LISTEN"

END_WITHIN_S: Final = 10.0
"""How long after its message a request may take to end; clients send both at once."""

_CONNECTION_OPTIONS: Final = (
    # A peer that is gone is noticed, one that asks too often is told to calm down.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    # No connection lives for ever: load balancers can move it, and a stalled stream ends with it.
    ("grpc.max_connection_idle_ms", 15 * 60_000),
    ("grpc.max_connection_age_ms", 60 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 1_024),
    # Above the first number gRPC cancels some of the requests nobody looked at yet, above the second all of them: at
    # its own 1,000 a burst of streams that say nothing takes ordinary requests with it.
    ("grpc.server.max_pending_requests", 8_192),
    ("grpc.server.max_pending_requests_hard_limit", 16_384),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
)

_Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcReceiver:
    """Serve TraceService/Export on one address until ``stop``."""

    def __init__(self, server: grpc.aio.Server, address: Address, health: Health) -> None:
        self._server = server
        self.address = address
        self.health = health

    async def stop(self, grace_s: float) -> None:
        """Refuse new requests, let those in flight finish within the grace time."""
        await self._server.stop(grace_s)


async def start_grpc(
    service: ExportService,
    admission: Admission,
    listen: Address,
    *,
    limits: Limits,
    gate: Gate = let_everybody_in,
    tls: Tls | None = None,
    is_shared: bool = False,
) -> GrpcReceiver:
    """Listen and serve; with ``is_shared`` beside other processes on the same port.

    Raises ``PermanentError`` when the address cannot be had.
    """
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", limits.max_request_bytes),
            # Unless told so, a second server on the port is a mistake, not a colleague.
            ("grpc.so_reuseport", int(is_shared)),
            *_CONNECTION_OPTIONS,
        )
    )
    health = Health(server, SERVICE_NAME)
    # A generated servicer answers UNKNOWN on malformed protobuf: take the bytes as they come.
    for name, decode, reply in (
        (SERVICE_NAME, protobuf.decode, to_response),
        (LOGS_SERVICE_NAME, logs.decode, logs.to_response),
    ):
        export = _export_with(service, admission, limits, gate, decode, reply)
        # On the wire the same as unary: but we are asked before the message is received, and may refuse it unread.
        handler = grpc.stream_unary_rpc_method_handler(export)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": handler}),))
    try:
        if tls is None:
            port = server.add_insecure_port(str(listen))
        else:
            port = server.add_secure_port(str(listen), tls.grpc_credentials())
    except RuntimeError:
        raise PermanentError(
            f"{SETTING}: {listen} cannot be listened on (in use by another process?); "
            f"stop that one or set {SETTING} to another address (port 0 chooses a free one)"
        ) from None
    await server.start()
    await health.tell(is_serving=False)
    return GrpcReceiver(server, Address(listen.host, port), health)


def _export_with(  # type: ignore[no-untyped-def]
    service: ExportService,
    admission: Admission,
    limits: Limits,
    gate: Gate,
    decode: Callable[[bytes, Limits], DecodedRequest],
    reply: Callable[[ExportOutcome], Message],
):
    async def export(messages: AsyncIterator[bytes], context: _Context) -> bytes:
        try:
            metadata = context.invocation_metadata() or ()
            sender = await gate((name, value) for name, value in metadata if isinstance(value, str))
            body = await anext(messages, b"")  # without a message: nothing was sent
            with admission.enter() as ticket:
                ticket.hold(len(body))
                await _end(messages)
                try:
                    outcome = await service.export(
                        partial(decode, body, limits), transport="grpc", size_bytes=len(body), sender=sender
                    )
                except MalformedError as error:
                    await service.keep_malformed(body, error, sender)
                    raise
        except (PermanentError, RetryableError) as error:
            await _abort(context, error)
        except Exception as error:
            _log.exception("an export failed in a way nobody foresaw")
            await _abort(context, error)
        return reply(outcome).SerializeToString()

    return export


async def _end(messages: AsyncIterator[bytes]) -> None:
    """Read the end of a request: gRPC never frees the message of one that is answered before its end was read."""
    try:
        async with asyncio.timeout(END_WITHIN_S):
            more = await anext(messages, None)
    except TimeoutError:
        raise RetryableError("the request did not end, try again") from None
    if more is not None:
        raise PermanentError("a request is one message, this one has more")


async def _abort(context: _Context, error: Exception) -> NoReturn:
    failure = failure_of(error)
    await context.abort(failure.grpc_code, failure.message, failure.grpc_trailers)


def to_response(outcome: ExportOutcome) -> ExportTraceServiceResponse:
    """Return the reply: ``partial_success`` is set only when there is something to say."""
    if not outcome.message:
        return ExportTraceServiceResponse()
    partial = ExportTracePartialSuccess(rejected_spans=outcome.rejected, error_message=outcome.message)
    return ExportTraceServiceResponse(partial_success=partial)
