"""A12, A14–A16, A18–A20: which failures may be tried again, and what they look like."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import grpc

from tests.conformance.spans import body_of, json_body, json_span, sized, span
from tests.conformance.verdict import NotRun, expect, line
from tests.conformance.wire import JSON, PROTOBUF, accepted, call, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.target import Target
    from tests.conformance.wire import GrpcReply, Reply

RETRYABLE = (429, 502, 503, 504)


@contextlib.contextmanager
def _overloaded(target: Target) -> Iterator[Target]:
    state = target.hooks.overloaded()
    if state is None:
        raise NotRun("overloaded")
    with state as endpoint:
        yield target.at(endpoint)


def _both_encodings(target: Target) -> list[Reply]:
    return [post(target, body_of(span())), post(target, json_body(json_span(span())), kind=JSON)]


def _is_retry(reply: Reply, what: str) -> None:
    expect(reply.code in RETRYABLE, f"{what}: HTTP {reply.code}, which no sender tries again")
    after = reply.headers.get("retry-after", "1")
    expect(after.isdecimal() and int(after) <= 2, f"{what}: Retry-After {after!r}")
    expect(reply.failure()["message"], f"{what}: the Status says nothing")


def _is_grpc_retry(reply: GrpcReply, what: str) -> None:
    delays = reply.delays_s()
    if reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        expect(delays, f"{what}: RESOURCE_EXHAUSTED without RetryInfo, which no sender tries again")
    else:
        expect(reply.code is grpc.StatusCode.UNAVAILABLE, f"{what}: gRPC {reply.code.name}")
    expect(all(delay <= 2 for delay in delays), f"{what}: asks to wait {max(delays, default=0)} s")


@line("A12", "every 4xx and 5xx body is a Status in the request's encoding")
def a12(target: Target) -> str | None:
    """Fail in every way that can be reached."""
    over = sized(target.limit_bytes + 1)
    seen = set()

    def look(reply: Reply, kind: str, code: int) -> None:
        expect(reply.code == code, f"HTTP {reply.code} instead of {code}")
        expect(reply.kind == kind, f"HTTP {code} as {reply.kind or 'nothing'} instead of {kind}")
        expect(reply.failure()["message"], f"HTTP {code}: the Status says nothing")
        seen.add(code)

    for kind in (PROTOBUF, JSON):
        look(post(target, b"\xff", kind=kind), kind, 400)
        look(post(target, b"", kind=kind, path="/nothing"), kind, 404)
        look(post(target, b"", kind=kind, method="GET"), kind, 405)
        look(post(target, over, kind=kind), kind, 413)
        look(post(target, b"", kind=kind, encoding="br"), kind, 415)
        if (locked := target.hooks.locked()) is not None:
            look(post(target.at(locked.endpoint, {}), b"", kind=kind), kind, 401)
            look(post(target.at(locked.endpoint, locked.forbidden), b"", kind=kind), kind, 403)
    with contextlib.suppress(NotRun), _overloaded(target) as full:
        for kind, reply in zip((PROTOBUF, JSON), _both_encodings(full), strict=True):
            look(reply, kind, reply.code)
    return "seen: " + ", ".join(map(str, sorted(seen)))


@line("A14", "transient causes are 429, 502, 503, 504; permanent ones are not")
def a14(target: Target) -> str:
    """Look at what is permanent by address alone, at what is transient with hooks."""
    permanent = (
        post(target, b"\xff"),
        post(target, b"", method="GET"),
        post(target, b"", path="/nothing"),
        post(target, b"", kind="text/plain"),
        post(target, sized(target.limit_bytes + 1)),
    )
    for reply in permanent:
        expect(reply.code not in RETRYABLE, f"HTTP {reply.code} for what will never succeed")
        expect("retry-after" not in reply.headers, f"HTTP {reply.code} with Retry-After")
    looked = []
    with contextlib.suppress(NotRun), _overloaded(target) as full:
        for reply in _both_encodings(full):
            _is_retry(reply, "overload")
        looked.append("overload")
    for name, state in target.hooks.transient_failures() or ():
        with state as endpoint:
            _is_retry(post(target.at(endpoint), body_of(span())), name)
        looked.append(name)
    return f"transient: {len(looked)} causes" if looked else "permanent causes only: no hooks"


@line("A15", "overload over HTTP: 429 or 503, Retry-After at most 2 s")
def a15(target: Target) -> None:
    """Send to a full receiver."""
    with _overloaded(target) as full:
        for reply in _both_encodings(full):
            expect(reply.code in (429, 503), f"HTTP {reply.code}, not 429 or 503")
            _is_retry(reply, "overload")


@line("A16", "transient over gRPC: UNAVAILABLE, the same delay in both trailers")
def a16(target: Target) -> None:
    """Send to a full receiver."""
    with _overloaded(target) as full:
        reply = call(full, body_of(span()))
    expect(reply.code is grpc.StatusCode.UNAVAILABLE, f"gRPC {reply.code.name}")
    delays = reply.delays_s()
    expect(len(delays) == 2, f"{len(delays)} of 2 trailers say how long to wait")
    expect(delays[0] == delays[1] and 0 < delays[0] <= 2, f"the trailers ask for {delays} s")


@line("A18", "RESOURCE_EXHAUSTED never without RetryInfo for what may pass")
def a18(target: Target) -> None:
    """Send many calls at once to a full receiver."""
    with _overloaded(target) as full:
        for _ in range(20):
            _is_grpc_retry(call(full, body_of(span())), "overload")


@line("A19", "a failing storage never shows as UNKNOWN, INTERNAL or 500")
def a19(target: Target) -> str:
    """Let the storage fail in every way."""
    failures = target.hooks.transient_failures()
    if failures is None:
        raise NotRun("transient_failures")
    count = 0
    for name, state in failures:
        with state as endpoint:
            at = target.at(endpoint)
            _is_grpc_retry(call(at, body_of(span())), name)
            _is_retry(post(at, body_of(span())), name)
        count += 1
    expect(count > 0, "the hook gave no failure")
    return f"{count} kinds of failure"


@line("A20", "401 and 403 are final; a key store that is away is not a wrong key")
def a20(target: Target) -> None:
    """Send with a good key, none, a wrong one, one that may not, and while keys cannot be looked up."""
    locked = target.hooks.locked()
    if locked is None:
        raise NotRun("locked")
    good = target.at(locked.endpoint, locked.allowed)
    accepted(post(good, body_of(span())))
    accepted(call(good, body_of(span())))
    for headers, http_code, grpc_code in (
        ({}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({name: value + "x" for name, value in locked.allowed.items()}, 401, grpc.StatusCode.UNAUTHENTICATED),
        (locked.forbidden, 403, grpc.StatusCode.PERMISSION_DENIED),
    ):
        at = target.at(locked.endpoint, headers)
        reply = post(at, body_of(span()))
        expect(reply.code == http_code, f"HTTP {reply.code}, not {http_code}")
        expect("retry-after" not in reply.headers, f"HTTP {http_code} with Retry-After")
        answer = call(at, body_of(span()))
        expect(answer.code is grpc_code, f"gRPC {answer.code.name}, not {grpc_code.name}")
        expect(not answer.delays_s(), f"{grpc_code.name} with RetryInfo")
    with locked.store_away as endpoint:
        at = target.at(endpoint, locked.allowed)
        _is_retry(post(at, body_of(span())), "key store away")
        _is_grpc_retry(call(at, body_of(span())), "key store away")
