"""A1–A9, A28–A31, A36, A38: addresses, encodings, sizes, connections."""

from __future__ import annotations

import gzip
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from tests.conformance.spans import body_of, id_of, json_body, json_span, sized, span
from tests.conformance.verdict import expect, line
from tests.conformance.wire import (
    EXPORT,
    JSON,
    PATH,
    PROTOBUF,
    accepted,
    bad,
    call,
    channel,
    connect,
    exchange,
    post,
    raw_http,
    zipped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.target import Target

_REPLIES_ONLY = "replies only: no hook to look into the storage"


@line("A1", "unary Export and POST /v1/traces take spans, ids byte-equal")
def a1(target: Target) -> str | None:
    """Send 1,000 spans in each of four encodings."""
    ids = []
    for send in (
        lambda spans: call(target, body_of(*spans)),
        lambda spans: call(target, body_of(*spans), compression=grpc.Compression.Gzip),
        lambda spans: post(target, body_of(*spans)),
        lambda spans: post(target, json_body(*map(json_span, spans)), kind=JSON),
    ):
        spans = [span() for _ in range(1000)]
        accepted(send(spans))
        ids += [id_of(one) for one in spans]
    stored = target.hooks.stored(ids)
    if stored is None:
        return _REPLIES_ONLY
    expect(set(stored) == set(ids), f"{len(set(ids) - set(stored))} of {len(ids)} accepted spans are not stored")
    return None


@line("A2", "none and gzip on both transports, also several members and an empty body")
def a2(target: Target) -> None:
    """Send each."""
    accepted(call(target, body_of(span())))
    accepted(call(target, body_of(span()), compression=grpc.Compression.Gzip))
    for kind, body in ((PROTOBUF, body_of(span())), (JSON, json_body(json_span(span())))):
        accepted(post(target, body, kind=kind))
        accepted(post(target, body, kind=kind, encoding="identity"))
        accepted(post(target, zipped(body), kind=kind, encoding="gzip"))
        half = len(body) // 2
        accepted(post(target, gzip.compress(body[:half]) + gzip.compress(body[half:]), kind=kind, encoding="gzip"))
    accepted(post(target, zipped(b""), encoding="gzip"))


@line("A3", "the size limit holds before and after decompression")
def a3(target: Target) -> str | None:
    """Send limit - 1, limit, limit + 1, plain and gzip, and a bomb."""
    limit = target.limit_bytes
    for size in (limit - 1, limit):
        body = sized(size)
        accepted(post(target, body))
        accepted(post(target, zipped(body), encoding="gzip"))
        accepted(call(target, body))
    over = sized(limit + 1)
    for name, reply in (
        ("plain", post(target, over)),
        ("gzip", post(target, zipped(over), encoding="gzip")),
    ):
        expect(reply.code >= 400, f"{limit + 1} bytes over HTTP, {name}: {reply.code}")
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        code = call(target, over, compression=compression).code
        expect(code is not grpc.StatusCode.OK, f"{limit + 1} bytes over gRPC, {compression.name}: OK")
    before = target.hooks.rss_bytes()
    bomb = gzip.compress(bytes(4 * limit), 9)
    expect(post(target, bomb, encoding="gzip").code >= 400, "a gzip bomb was accepted over HTTP")
    reply = call(target, bytes(4 * limit), compression=grpc.Compression.Gzip)
    expect(reply.code is not grpc.StatusCode.OK, "a gzip bomb was accepted over gRPC")
    after = target.hooks.rss_bytes()
    if before is None or after is None:
        return "memory not looked at: no hook"
    # An allocator keeps some of what it was given; small limits drown in that.
    allowed = max(2 * limit, 32 * 1024 * 1024)
    expect(after - before < allowed, f"a bomb took {(after - before) >> 20} MiB")
    return None


@line("A4", "over the limit over HTTP: 413, Status body, connection usable or closed")
def a4(target: Target) -> None:
    """Send too much, then something good on the same connection."""
    over = sized(target.limit_bytes + 1)
    for body, encoding in ((over, None), (zipped(over), "gzip")):
        connection = connect(target)
        try:
            reply = exchange(connection, target, body, encoding=encoding)
            expect(reply.code == 413, f"HTTP {reply.code}, not 413")
            expect(reply.failure()["message"], "the Status says nothing")
            closes = reply.headers.get("connection", "").lower() == "close"
            if encoding and not closes:
                accepted(exchange(connection, target, body_of(span())))
        finally:
            connection.close()


@line("A5", "over the limit over gRPC: RESOURCE_EXHAUSTED without RetryInfo")
def a5(target: Target) -> None:
    """Send too much, plain and gzip."""
    over = sized(target.limit_bytes + 1)
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        reply = call(target, over, compression=compression)
        expect(reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED, f"{compression.name}: {reply.code.name}")
        expect(not reply.delays_s(), "it says to try again")


@line("A6", "a reply stays small whatever was sent")
def a6(target: Target) -> str | None:
    """Send many spans without ids in one request."""
    bare = span()
    bare.ClearField("trace_id")
    bare.ClearField("attributes")
    count = min(100_000, target.limit_bytes // 64)
    reply = post(target, body_of(*[bare] * count))
    expect(len(reply.body) < 64 * 1024, f"a reply of {len(reply.body)} bytes")
    rejected = reply.export().partial_success.rejected_spans
    expect(rejected == count, f"{rejected} rejected instead of {count}")
    return None if count == 100_000 else f"{count:,} spans: as many as fit the limit"


@line("A7", "replies have the content type of the request")
def a7(target: Target) -> None:
    """Succeed and fail in both encodings."""
    for kind, good in ((PROTOBUF, body_of(span())), (JSON, json_body(json_span(span())))):
        for reply in (
            post(target, good, kind=kind),
            post(target, b"\xff{", kind=kind),
            post(target, good, kind=kind, method="PUT"),
            post(target, good, kind=kind, path="/v1/nothing"),
            post(target, good, kind=kind, encoding="br"),
        ):
            expect(reply.kind == kind, f"{reply.kind or 'no content type'} for {kind} (HTTP {reply.code})")


@line("A8", "full success: partial_success unset")
def a8(target: Target) -> None:
    """Look at the bytes."""
    reply = post(target, body_of(span()))
    expect((reply.code, reply.body) == (200, b""), f"HTTP {reply.code}, {len(reply.body)} bytes instead of none")
    reply = post(target, json_body(json_span(span())), kind=JSON)
    expect(reply.code == 200 and reply.body.strip() == b"{}", f"HTTP {reply.code}, {reply.body[:80]!r} instead of {{}}")
    answer = call(target, body_of(span()))
    expect(answer.code is grpc.StatusCode.OK and answer.body == b"", f"gRPC {answer.code.name}, {answer.body[:80]!r}")


@line("A9", "empty requests succeed; an empty JSON body is bad")
def a9(target: Target) -> None:
    """Send nothing in several forms."""
    accepted(call(target, b""))
    accepted(post(target, b""))
    accepted(post(target, b"{}", kind=JSON))
    accepted(post(target, b'{"resourceSpans":[{}]}', kind=JSON))
    accepted(post(target, b'{"resourceSpans":[{"scopeSpans":[{}]}]}', kind=JSON))
    accepted(post(target, b"\x0a\x00"))
    bad(post(target, b"", kind=JSON), "0 bytes of JSON")


@line("A28", "JSON and protobuf share a port, chosen by Content-Type; others 415")
def a28(target: Target) -> None:
    """Spell content types in several ways."""
    body = json_body(json_span(span()))
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
        accepted(post(target, body, kind=kind))
    accepted(post(target, body_of(span()), kind="application/X-Protobuf"))
    for kind in ("text/plain", "application/xml", None):
        reply = post(target, body, kind=kind)
        expect(reply.code == 415, f"content type {kind}: HTTP {reply.code}, not 415")


@line("A29", "405 with Allow, 404, 415 for encodings, each with a Status")
def a29(target: Target) -> None:
    """Send wrong methods, paths and encodings."""
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        reply = post(target, b"", method=method)
        expect(reply.code == 405, f"{method}: HTTP {reply.code}, not 405")
        expect("POST" in reply.headers.get("allow", ""), f"{method}: no Allow: POST")
        expect(reply.failure()["message"], f"{method}: the Status says nothing")
    for path in ("/v1/trace", "/", "/v1/traces/x", "/v1%2Ftraces", "//v1/traces"):
        reply = post(target, body_of(span()), path=path)
        expect(reply.code == 404, f"{path}: HTTP {reply.code}, not 404")
        expect(reply.failure()["message"], f"{path}: the Status says nothing")
    for encoding in ("br", "deflate", "zstd", "gzip, gzip"):
        reply = post(target, body_of(span()), encoding=encoding)
        expect(reply.code == 415, f"Content-Encoding {encoding}: HTTP {reply.code}, not 415")
        expect(reply.failure()["message"], f"{encoding}: the Status says nothing")


@line("A30", "256 calls in flight on one connection, one of them stalled")
def a30(target: Target) -> str | None:
    """Make one call that sends nothing for as long as the others take."""
    spans = [span() for _ in range(256)]
    with channel(target) as opened:
        finished = []

        def stalled() -> Iterator[bytes]:
            with ThreadPoolExecutor(32) as pool:
                finished.extend(pool.map(lambda one: call(target, body_of(one), via=opened), spans[1:]))
            yield body_of(spans[0])

        metadata = tuple((name.lower(), value) for name, value in target.headers.items())
        # Raises when it is not accepted.
        opened.stream_unary(EXPORT)(stalled(), timeout=target.timeout_s, metadata=metadata)
    for reply in finished:
        accepted(reply)
    expect(len(finished) == 255, f"{len(finished)} of 255 calls finished beside a stalled one")
    stored = target.hooks.stored([id_of(one) for one in spans])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 256, f"{256 - len(stored)} accepted spans are not stored")
    return None


@line("A31", "keep-alive, chunked bodies and Expect: 100-continue")
def a31(target: Target) -> str:
    """Send many requests on one connection, then one in chunks, then one that asks first."""
    connection = connect(target)
    body = body_of()
    try:
        connection.connect()
        first = connection.sock
        for number in range(target.keep_alive_requests):
            reply = exchange(connection, target, body)
            expect(reply.code == 200, f"request {number + 1} on one connection: HTTP {reply.code}")
            expect(connection.sock is first, f"the connection was closed after {number + 1} requests")
    finally:
        connection.close()
    good = body_of(span())
    fixed = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    head = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: {PROTOBUF}\r\nConnection: close\r\n{fixed}".encode()
    chunks = [b"%x\r\n%s\r\n" % (len(good[at : at + 7]), good[at : at + 7]) for at in range(0, len(good), 7)]
    answer = raw_http(target, head + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
    expect(answer.startswith(b"HTTP/1.1 200"), f"a chunked body: {answer[:40]!r}")
    asking = head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(good)
    answer = raw_http(target, asking)
    expect(answer.startswith(b"HTTP/1.1 100"), f"Expect: 100-continue: {answer[:40]!r}")
    return f"{target.keep_alive_requests:,} requests on one connection"


@line("A36", "replies are gzip only when asked for")
def a36(target: Target) -> None:
    """Ask for nothing."""
    for headers in ({}, {"Accept-Encoding": "identity"}):
        reply = post(target, body_of(span()), headers=headers)
        expect(reply.headers.get("content-encoding", "identity") == "identity", "compressed without being asked")


@line("A38", "header names in any case; unknown headers do no harm")
def a38(target: Target) -> None:
    """Send names nobody knows, in every case."""
    chance = random.Random(38)
    for number in range(20):
        name = "".join(chance.choice("abcxyz-") for _ in range(12)).strip("-")
        odd = {f"X-{name}": "ü".encode().decode("latin-1"), f"x-{name.upper()}-2": str(number)}
        accepted(post(target, body_of(span()), headers=odd))
        accepted(
            call(target, body_of(span()), metadata=((f"x-{name.lower()}", "1"), (f"x-{name.lower()}-bin", b"\xff")))
        )
    for spelled in ("content-type", "CONTENT-TYPE", "cOnTeNt-TyPe"):
        accepted(post(target, json_body(json_span(span())), kind=None, headers={spelled: JSON}))
