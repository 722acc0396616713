"""Spans decoded through trimmed messages and a memo equal the messages read field by field."""

from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.receiver import wire
from ai_usage_exporter.receiver.protobuf import decode
from ai_usage_exporter.record import SpanEvent

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
values = st.recursive(
    st.none()
    | texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def _any(value: object) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    raise AssertionError(value)


def _pairs(attributes: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


@given(attributes=st.dictionaries(texts, values, max_size=8))
def test_attributes_are_what_was_sent_the_first_and_the_second_time(attributes: dict[str, object]) -> None:
    encoded = [pair.SerializeToString() for pair in _pairs(attributes)]
    for _ in range(2):
        decoded = wire.attributes_of(encoded)
        assert decoded == attributes
        assert [type(value) for value in decoded.values()] == [type(value) for value in attributes.values()]


def _reads_as_protobuf_does(pair: bytes) -> None:
    try:
        message = KeyValue.FromString(pair)
    except DecodeError:
        with pytest.raises(DecodeError):
            wire.attributes_of([pair])
    else:
        assert repr(wire.attributes_of([pair])) == repr(wire.to_attributes([message]))


def _reads_as_protobuf_does_whatever_was_read_before(head: bytes, value: bytes, rest: bytes = b"") -> None:
    """Read an attribute first, then as one of a key with many values, then as one that begins as a plain one did."""
    pair = head + value + rest
    _reads_as_protobuf_does(pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "MEMO_VALUES", 0)
        for plain in (bytes([len(value) - 1]) + b"x" * (len(value) - 1), b"\x80" * (len(value) - 1) + b"\x01"):
            wire._memo.clear()
            with suppress(DecodeError):
                wire.attributes_of([head + plain + rest])
            _reads_as_protobuf_does(pair)
            _reads_as_protobuf_does(pair)


@given(pair=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_protobuf_does(pair: bytes) -> None:
    _reads_as_protobuf_does(pair)


@given(start=st.binary(max_size=3), key=st.binary(max_size=8), middle=st.binary(max_size=4), end=st.binary(max_size=8))
def test_bytes_that_look_almost_like_a_short_text_are_read_as_protobuf_does(
    start: bytes, key: bytes, middle: bytes, end: bytes
) -> None:
    value = bytes([len(end)]) + end + middle
    head = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value) + 1]) + b"\x0a"
    _reads_as_protobuf_does_whatever_was_read_before(head, value, start)


@given(
    kind=st.sampled_from([0x0A, 0x10, 0x18, 0x20]),
    number=st.binary(min_size=1, max_size=4),
    size=st.none() | st.integers(1, 6),
    rest=st.binary(max_size=2),
)
@example(kind=0x18, number=b"\x80\x80", size=None, rest=b"")
def test_bytes_that_look_almost_like_a_count_are_read_as_protobuf_does(
    kind: int, number: bytes, size: int | None, rest: bytes
) -> None:
    head = b"\x0a\x01n\x12" + bytes([len(number) + 1 if size is None else size, kind])
    _reads_as_protobuf_does_whatever_was_read_before(head, number, rest)


@given(number=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20_000))
def test_any_integer_is_read(number: int) -> None:
    for most in (wire.MEMO_VALUES, 0, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "MEMO_VALUES", most)
            assert wire.attributes_of([pair.SerializeToString() for pair in _pairs({"n": number})]) == {"n": number}


def test_every_field_of_a_span_is_decoded_and_written_out_again_as_it_came() -> None:
    request = ExportTraceServiceRequest()
    under = request.resource_spans.add(schema_url="https://example.com/schema")
    under.resource.attributes.extend(_pairs({"service.name": "clinic"}))
    scope = under.scope_spans.add()
    scope.scope.name, scope.scope.version = "lib", "1.2"
    span = WireSpan(
        trace_id=b"t" * 16, span_id=b"s" * 8, parent_span_id=b"p" * 8, name="chat", kind=3, flags=257,
        trace_state="a=b", start_time_unix_nano=2**63 + 5, end_time_unix_nano=2**64 - 1,
        attributes=_pairs({"k": [1, "x"]}), dropped_attributes_count=2,
        events=[WireSpan.Event(name="exception", time_unix_nano=7, attributes=_pairs({"exception.type": "E"}))],
        links=[WireSpan.Link(trace_id=b"l" * 16)], status=Status(code=2, message="failed"),
    )  # fmt: skip
    scope.spans.extend([WireSpan(trace_id=b"o" * 16), span])
    decoded = decode(request.SerializeToString())
    found = decoded.spans[1]
    assert (found.trace_id, found.span_id, found.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert (found.name, found.kind, found.start_ns, found.end_ns) == ("chat", 3, 2**63 + 5, 2**64 - 1)
    assert (found.attributes, found.resource) == ({"k": [1, "x"]}, {"service.name": "clinic"})
    assert (found.scope_name, found.scope_version) == ("lib", "1.2")
    assert (found.status_code, found.status_message) == (2, "failed")
    assert found.events == [SpanEvent("exception", {"exception.type": "E"}, 7)]
    del scope.spans[0]
    assert ExportTraceServiceRequest.FromString(decoded.raw(1)) == request


def test_memo_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    wire._memo.clear()
    wire._values_of.clear()
    wire._heads.clear()
    monkeypatch.setattr(wire, "MEMO_ENTRIES", 100)
    for number in range(1000):
        pair = KeyValue(key="id", value=AnyValue(string_value=f"call-{number}")).SerializeToString()
        assert wire.attributes_of([pair, pair]) == {"id": f"call-{number}"}
        assert len(wire._memo) <= 100
        assert sum(wire._values_of.values()) == len(wire._memo)
    wire.attributes_of([KeyValue(key="long", value=AnyValue(string_value="x" * 1000)).SerializeToString()])
    assert all(len(pair) <= wire.MEMO_BYTES for pair in wire._memo)


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05abc", b"\x0a\x04\x12\x02\x12\x10"])
def test_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(PermanentError, match="no ExportTraceServiceRequest"):
        decode(body)


def test_broken_attribute_refuses_the_request_as_protobuf_would() -> None:
    broken = WireSpan(trace_id=b"t" * 16).SerializeToString() + b"\x4a\x03\x0a\x05k"
    scope = b"\x12" + bytes([len(broken)]) + broken
    under = b"\x12" + bytes([len(scope)]) + scope
    body = b"\x0a" + bytes([len(under)]) + under
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(body)
    with pytest.raises(PermanentError):
        decode(body)


def test_key_with_many_values_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    wire._memo.clear()
    wire._values_of.clear()
    wire._heads.clear()
    monkeypatch.setattr(wire, "MEMO_VALUES", 10)
    for number in range(100):
        assert wire.attributes_of(
            [pair.SerializeToString() for pair in _pairs({"id": f"call-{number}", "model": "m"})]
        ) == {
            "id": f"call-{number}",
            "model": "m",
        }
    assert wire._values_of == {"id": 10, "model": 1}
    assert sorted(wire._heads.values()) == [("id", 15)]


def test_heads_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MEMO_VALUES", 0)
    monkeypatch.setattr(wire, "HEADS", 20)
    wire._heads.clear()
    for number in range(100):
        encoded = [pair.SerializeToString() for pair in _pairs({f"key-{number}": f"id-{number}"})]
        assert wire.attributes_of(encoded) == wire.attributes_of(encoded) == {f"key-{number}": f"id-{number}"}
        assert 0 < len(wire._heads) <= 20
