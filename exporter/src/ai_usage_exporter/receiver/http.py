"""OTLP over HTTP: POST /v1/traces, protobuf and JSON, plain or gzip; an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf import json_format

from ai_usage_exporter.errors import MalformedError, PermanentError, RetryableError, UnauthenticatedError
from ai_usage_exporter.receiver import json, logs, protobuf
from ai_usage_exporter.receiver.access import KEY_HEADERS, let_everybody_in
from ai_usage_exporter.receiver.grpc import to_response
from ai_usage_exporter.receiver.limits import RATIO_COUNTS_FROM_BYTES
from ai_usage_exporter.receiver.status import failure_of, http_only

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from ai_usage_exporter.receiver.access import Gate
    from ai_usage_exporter.receiver.limits import Admission, Limits, Ticket
    from ai_usage_exporter.receiver.service import ExportService
    from ai_usage_exporter.receiver.status import WireFailure

_log = logging.getLogger(__name__)

PATH: Final = "/v1/traces"
LOGS_PATH: Final = "/v1/logs"
_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_DECODERS: Final = {_PROTOBUF: protobuf.decode, _JSON: json.decode}
_LOG_DECODERS: Final = {_PROTOBUF: logs.decode, _JSON: logs.decode_json}
_SIGNALS: Final = {
    PATH.encode(): (_DECODERS, to_response),
    LOGS_PATH.encode(): (_LOG_DECODERS, logs.to_response),
}
_KEY_HEADERS: Final = {name.encode(): name for name in KEY_HEADERS}
_SLICE_BYTES: Final = 16 * 1024
_PIECES_AT_ONCE: Final = 16
"""Inflated before others get their turn; a piece is at most 256 KiB."""
_MAX_MEMBERS: Final = 10_000
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


class _Failed(Exception):  # noqa: N818 - carries a reply, not a fault
    def __init__(self, failure: WireFailure, allow: str | None = None) -> None:
        self.failure = failure
        self.allow = allow


class _Disconnected(Exception):  # noqa: N818 - nobody is left to answer
    pass


class _Request(NamedTuple):
    scope: dict[str, Any]
    headers: dict[bytes, bytes]
    receive: Callable[[], Awaitable[Any]]


def create_http_app(
    service: ExportService, admission: Admission, *, limits: Limits, gate: Gate = let_everybody_in
) -> Callable[..., Awaitable[None]]:
    """Return the application; ``gate`` is asked before anything of a body is read."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # no websockets, no lifespan
            raise RuntimeError(f"the receiver speaks HTTP, not {scope['type']}")
        request = _Request(scope, dict(scope["headers"]), receive)
        content_type = _content_type(request)
        # An answer that has no request type to follow is protobuf, the default encoding.
        reply_type = content_type if content_type in _DECODERS else _PROTOBUF
        try:
            message = await _export(request, content_type)
            await _reply(send, 200, reply_type, message, {})
        except _Disconnected:
            return
        except asyncio.CancelledError:
            # The grace time is over. uvicorn would answer 500, on which a sender drops its spans.
            await _reply_failure(send, failure_of(RetryableError("the server is stopping, try again")), reply_type, {})
        except _Failed as failed:
            headers = {b"allow": failed.allow.encode()} if failed.allow else {}
            await _reply_failure(send, failed.failure, reply_type, headers)
        except Exception as error:
            if not isinstance(error, PermanentError | RetryableError):
                _log.exception("an export failed in a way nobody foresaw")
            headers = {b"www-authenticate": b"Bearer"} if isinstance(error, UnauthenticatedError) else {}
            await _reply_failure(send, failure_of(error), reply_type, headers)

    async def _export(request: _Request, content_type: str) -> Message:
        signal = _SIGNALS.get(request.scope["raw_path"])  # as written: %2F is no slash, // is not /
        if signal is None:
            served = f"only {PATH} and {LOGS_PATH} are served here"
            raise _Failed(http_only(404, grpc.StatusCode.UNIMPLEMENTED, served))
        decoders, to_reply = signal
        if request.scope["method"] != "POST":
            raise _Failed(http_only(405, grpc.StatusCode.UNIMPLEMENTED, "use POST"), allow="POST")
        # From the list, not the mapping: a key sent twice is two keys.
        sender = await gate(
            (_KEY_HEADERS[name], value.decode("latin-1"))
            for name, value in request.scope["headers"]
            if name in _KEY_HEADERS
        )
        decode = decoders.get(content_type)
        if decode is None:
            kinds = " or ".join(_DECODERS)
            raise _Failed(
                http_only(415, grpc.StatusCode.INVALID_ARGUMENT, f"content-type {content_type!r}: send {kinds}")
            )
        with admission.enter() as ticket:
            received, is_gzip = await _read_body(request, limits, ticket)
            try:
                body = await _gunzip(received, limits, ticket) if is_gzip else received
                outcome = await service.export(
                    partial(decode, body, limits), transport="http", size_bytes=len(body), sender=sender
                )
            except MalformedError as error:
                await service.keep_malformed(received, error, sender)
                raise
            return to_reply(outcome)

    return app


def _content_type(request: _Request) -> str:
    return request.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


async def _read_body(request: _Request, limits: Limits, ticket: Ticket) -> tuple[bytes, bool]:
    """Return the body as it was sent, and whether it is compressed."""
    limit_bytes = limits.max_request_bytes
    declared = request.headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise limits.refuse("max_request_bytes", f"a body of {int(declared)} bytes")
    encoding = request.headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if encoding not in {"identity", "gzip", ""}:
        raise _Failed(
            http_only(415, grpc.StatusCode.INVALID_ARGUMENT, f"content-encoding {encoding!r}: send gzip or none")
        )
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await request.receive()
        if event["type"] == "http.disconnect":
            raise _Disconnected
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > limit_bytes:
            raise limits.refuse("max_request_bytes", f"a body of more than {limit_bytes} bytes")
        ticket.hold(len(chunks[-1]))
        if not event.get("more_body", False):
            break
    return b"".join(chunks), encoding == "gzip"


async def _gunzip(body: bytes, limits: Limits, ticket: Ticket) -> bytes:
    """Inflate all members of a gzip body, never holding more than the limits allow nor keeping others waiting."""
    by_ratio = max(RATIO_COUNTS_FROM_BYTES, len(body) * limits.max_gzip_ratio)
    most = min(limits.max_request_bytes, by_ratio)
    inflated: list[bytes] = []
    size = at = members = 0
    while at < len(body) or not members:
        members += 1
        if members > _MAX_MEMBERS:
            raise MalformedError(f"the gzip body has more than {_MAX_MEMBERS} members")
        member = zlib.decompressobj(_GZIP_WBITS)
        while not member.eof:
            # In slices: what follows a member is copied by zlib, and there may be many members.
            given = member.unconsumed_tail or body[at : at + _SLICE_BYTES]
            if not given:
                raise MalformedError("the gzip body is cut off")
            at += 0 if member.unconsumed_tail else len(given)
            try:
                piece = member.decompress(given, _SLICE_BYTES * 16)
            except zlib.error as error:
                raise MalformedError(f"the body is no gzip: {error}") from None
            size += len(piece)
            if size > most:
                name = "max_request_bytes" if most == limits.max_request_bytes else "max_gzip_ratio"
                raise limits.refuse(name, f"a gzip body of {len(body)} bytes becomes more than {most} bytes")
            ticket.hold(len(piece))
            inflated.append(piece)
            if len(inflated) % _PIECES_AT_ONCE == 0:
                await asyncio.sleep(0)
        at -= len(member.unused_data)
    return b"".join(inflated)


async def _reply_failure(send: Any, failure: WireFailure, reply_type: str, headers: dict[bytes, bytes]) -> None:
    if failure.http_retry_after is not None:
        headers[b"retry-after"] = failure.http_retry_after.encode()
    await _reply(send, failure.http_status, reply_type, failure.status, headers)


async def _reply(send: Any, status: int, reply_type: str, message: Message, headers: dict[bytes, bytes]) -> None:
    if reply_type == _JSON:
        content = json_format.MessageToJson(message, indent=None).encode()
    else:
        content = message.SerializeToString()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", reply_type.encode()),
                (b"content-length", str(len(content)).encode()),
                *headers.items(),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
