"""A13, A17, A21–A27, A39: what is good data, and what is bad."""

from __future__ import annotations

import base64
import gzip
import json
import random
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.conformance.spans import body_of, id_of, json_body, json_document, json_span, request, span, with_attribute
from tests.conformance.verdict import expect, line
from tests.conformance.wire import JSON, GrpcReply, accepted, bad, call, post, says_something

if TYPE_CHECKING:
    from tests.conformance.target import Target

_REPLIES_ONLY = "replies only: no hook to look into the storage"


def _malformed() -> dict[str, bytes]:
    good = body_of(span())
    return {
        "noise": b"\xff\xff\xff\xff",
        "a cut message": good[:-3],
        "a wrong wire type": b"\x0f\x01",
        "a group that never ends": b"\x0b",
        "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
        "JSON": json_body(json_span(span())),
    }


@line("A13", "undecodable data over HTTP: 400 with BadRequest")
def a13(target: Target) -> None:
    """Send malformed protobuf, JSON and gzip."""
    for what, body in _malformed().items():
        reply = post(target, body)
        bad(reply, what)
        failure = reply.failure()
        expect(failure["message"], f"{what}: the Status says nothing")
        expect(any("BadRequest" in detail for detail in failure["details"]), f"{what}: no BadRequest in the details")
    documents = (b"", b"{", b"[]", b"null", b"1", b'"x"', b'{"resourceSpans":{}}', b'{"a":1}x', b"\xff", b"\x0a\x00")
    for body in (*documents, b'{"resourceSpans":[' + b"1" * 5000 + b"]}", b'{"resourceSpans":[1e999]}'):
        bad(post(target, body, kind=JSON), f"JSON {body[:40]!r}")
    packed = gzip.compress(body_of(span()))
    for what, body in {
        "a cut gzip": packed[:-10],
        "junk after gzip": packed + b"junk",
        "a wrong checksum": packed[:-8] + bytes(4) + packed[-4:],
        "no gzip at all": body_of(span()),
        "no bytes as gzip": b"",
    }.items():
        bad(post(target, body, encoding="gzip"), what)


@line("A17", "undecodable data over gRPC: INVALID_ARGUMENT with BadRequest")
def a17(target: Target) -> None:
    """Send malformed protobuf."""
    for what, body in _malformed().items():
        reply = call(target, body)
        bad(reply, what)
        expect(reply.has_bad_request(), f"{what}: no BadRequest in the details")


def _one(target: Target, document: dict[str, Any]) -> Any:
    return post(target, json.dumps(document).encode(), kind=JSON)


@line("A21", "JSON ids are hex in any case, not base64")
def a21(target: Target) -> str | None:
    """Send ids in upper, lower and mixed case, then as base64 and with blanks."""
    spans = [span() for _ in range(3)]
    forms = (str.upper, str.lower, lambda text: "".join(c.upper() if i % 2 else c for i, c in enumerate(text)))
    for one, form in zip(spans, forms, strict=True):
        ids = {"traceId": form(one.trace_id.hex()), "spanId": form(one.span_id.hex())}
        accepted(post(target, json_body(json_span(one, **ids)), kind=JSON))
    wrong = span()
    for ids in (
        {"traceId": base64.b64encode(wrong.trace_id).decode(), "spanId": base64.b64encode(wrong.span_id).decode()},
        {"traceId": wrong.trace_id.hex(" ")},
        {"spanId": wrong.span_id.hex()[:-1]},
    ):
        reply = post(target, json_body(json_span(wrong, **ids)), kind=JSON)
        clean = reply.code == 200 and not says_something(reply)
        expect(not clean, f"{ids} was accepted as if it were hex")
    stored = target.hooks.stored([id_of(one) for one in spans])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 3, f"{len(stored)} of 3 ids are stored byte-equal")
    return None


@line("A22", "JSON enums are integers; unknown ones kept, names refused")
def a22(target: Target) -> None:
    """Send kinds and status codes as numbers and as names."""
    for kind in (0, 2, 99, -1):
        accepted(post(target, json_body(json_span(span(), kind=kind)), kind=JSON))
    accepted(post(target, json_body(json_span(span(), status={"code": 2, "message": "x"})), kind=JSON))
    bad(post(target, json_body(json_span(span(), kind="SPAN_KIND_SERVER")), kind=JSON), "a kind by name")
    reply = post(target, json_body(json_span(span(), status={"code": "STATUS_CODE_ERROR"})), kind=JSON)
    bad(reply, "a status code by name")


@line("A23", "JSON unknown fields are ignored at every level")
def a23(target: Target) -> None:
    """Put made-up keys with made-up values everywhere."""
    chance = random.Random(23)

    def noise(depth: int = 0) -> Any:
        kinds = [None, True, -1, 1.5, "text", [], {}]
        return (
            {f"k{chance.randrange(99)}": noise(depth + 1)}
            if depth < 3 and chance.random() < 0.4
            else chance.choice(kinds)
        )

    def strewn(value: Any) -> Any:
        if isinstance(value, list):
            return [strewn(item) for item in value]
        if isinstance(value, dict):
            items = [(key, strewn(item)) for key, item in value.items()]
            items += [(f"unknown{chance.randrange(999)}", noise()) for _ in range(chance.randrange(3))]
            chance.shuffle(items)
            return dict(items)
        return value

    for _ in range(50):
        one = json_span(
            span(), events=[{"name": "e", "timeUnixNano": "1", "attributes": []}], status={"code": 1}, links=[{}]
        )
        accepted(_one(target, strewn(json_document(one))))


@line("A24", "JSON keys are lowerCamelCase: snake_case is unknown")
def a24(target: Target) -> None:
    """Send snake_case keys with values that would be bad if anybody read them."""
    wrong = {"trace_id": 7, "span_id": [], "start_time_unix_nano": {}, "parent_span_id": 1.5}
    accepted(post(target, json_body(json_span(span(), **wrong)), kind=JSON))
    accepted(_one(target, {"resource_spans": 7}))


@line("A25", "JSON 64-bit integers: decimal string or number")
def a25(target: Target) -> None:
    """Send the limits of both kinds and what lies beyond."""
    for number in (2**63 - 1, -(2**63), 0, "9223372036854775807", "-9223372036854775808", 1e3, "1e3", 2.0):
        accepted(post(target, with_attribute({"intValue": number}), kind=JSON))
    body = json_body(json_span(span())).replace(b'"kind": 3', b'"kind": 3, "traceState": "", "flags": 1e2')
    accepted(post(target, body, kind=JSON))
    for number in (2**64 - 1, str(2**64 - 1)):
        event = {"name": "e", "timeUnixNano": number}
        accepted(post(target, json_body(json_span(span(), events=[event])), kind=JSON))
    for number in (
        2**63,
        "9223372036854775808",
        1.5,
        "1.5",
        "x",
        "",
        "1_000",
        "0x10",
        True,
        "١",
        " 1",
        "1" * 5000,
        1e300,
    ):
        bad(post(target, with_attribute({"intValue": number}), kind=JSON), f"intValue {str(number)[:30]!r}")
    for number in ("-1", -1, 2**64, str(2**64)):
        bad(post(target, json_body(json_span(span(), endTimeUnixNano=number)), kind=JSON), f"unsigned {number!r}")


@line("A26", "proto3 JSON: NaN strings, base64, null, one value of a oneof")
def a26(target: Target) -> None:
    """Send each."""
    for value in (
        {"doubleValue": "NaN"}, {"doubleValue": "Infinity"}, {"doubleValue": "-Infinity"}, {"doubleValue": "1.5"},
        {"doubleValue": 7}, {"bytesValue": "+/+/"}, {"bytesValue": "-_-_"}, {"bytesValue": "AQ"},
        {"bytesValue": "AQ=="}, {"stringValue": None}, {"stringValue": None, "intValue": "1"}, {}, None,
        {"boolValue": False},
        {"arrayValue": {"values": [{"intValue": 1}, {}]}}, {"arrayValue": {}}, {"kvlistValue": {"values": []}},
    ):  # fmt: skip
        accepted(post(target, with_attribute(value), kind=JSON))
    accepted(
        post(target, json_body(json_span(span(), events=None, links=None, status=None, traceState=None)), kind=JSON)
    )
    for value in (
        {"stringValue": "a", "intValue": "1"}, {"boolValue": "true"}, {"boolValue": 1}, {"stringValue": 1},
        {"doubleValue": "nan"}, {"doubleValue": "inf"}, {"doubleValue": "1_0"}, {"doubleValue": "x"},
        {"bytesValue": "*"}, {"bytesValue": 1}, {"arrayValue": []}, {"doubleValue": 10**400}, "text", [], 1,
    ):  # fmt: skip
        bad(post(target, with_attribute(value), kind=JSON), json.dumps(value)[:60])
    for token in (b"NaN", b"Infinity", b"-Infinity"):
        bad(post(target, with_attribute({"doubleValue": 0.25}).replace(b"0.25", token), kind=JSON), f"bare {token!r}")


@line("A27", "protobuf unknown fields are ignored at every level")
def a27(target: Target) -> str | None:
    """Add field 999 everywhere."""
    unknown = b"\xba\x3e\x03new"  # field 999, three bytes
    spans = [span() for _ in range(2)]
    whole = request(*spans)
    for message in (
        whole.resource_spans[0].resource,
        whole.resource_spans[0].scope_spans[0].scope,
        *[pair.value for one in whole.resource_spans[0].scope_spans[0].spans for pair in one.attributes],
        *[pair for one in whole.resource_spans[0].scope_spans[0].spans for pair in one.attributes],
        *whole.resource_spans[0].scope_spans[0].spans,
        whole.resource_spans[0].scope_spans[0],
        whole.resource_spans[0],
        whole,
    ):
        message.MergeFromString(unknown)
    body = whole.SerializeToString()
    expect(body.count(unknown) > 10, "the test sends no unknown fields")
    accepted(call(target, body))
    accepted(post(target, body))
    stored = target.hooks.stored([id_of(one) for one in spans])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 2, "spans with unknown fields are not stored")
    return None


def _nested(depth: int) -> bytes:
    """Return the bytes of an AnyValue of arrays in arrays, written by hand: no encoder goes so deep."""
    value = b"\x18\x01"  # int_value 1
    for _ in range(depth):
        array = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(array)) + array
    return value


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _deep(depth: int) -> tuple[tuple[bytes, bytes], bytes]:
    one = span()
    pair = _field(1, b"conformance.deep") + _field(2, _nested(depth))
    encoded = one.SerializeToString() + _field(9, pair)
    return id_of(one), _field(1, _field(2, _field(2, encoded)))


@line("A39", "nesting is bounded, without a crash")
def a39(target: Target) -> str | None:
    """Nest values 40 and 10,000 levels deep, in both encodings."""
    # 40 arrays are 80 messages of protobuf, whose own limit is about 100.
    KeyValue(key="x", value=AnyValue.FromString(_nested(40)))
    ids, shallow = _deep(40)
    accepted(call(target, shallow))
    accepted(post(target, shallow))
    _, deep = _deep(10_000)
    replies: list[tuple[str, Any]] = [
        ("protobuf over gRPC", call(target, deep)),
        ("protobuf over HTTP", post(target, deep)),
    ]
    for depth in (40, 10_000):
        value = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
        body = with_attribute({"intValue": "271828"}).replace(b'{"intValue": "271828"}', value)
        reply = post(target, body, kind=JSON)
        if depth == 40:
            accepted(reply)
        else:
            replies.append(("JSON", reply))
    for what, reply in replies:
        bad(reply, f"10,000 levels of {what}")
        expect(not isinstance(reply, GrpcReply) or not reply.delays_s(), "it says to try again")
    accepted(post(target, body_of(span())))
    stored = target.hooks.stored([ids])
    if stored is None:
        return _REPLIES_ONLY
    expect(len(stored) == 1, "40 levels deep is not stored")
    return None
