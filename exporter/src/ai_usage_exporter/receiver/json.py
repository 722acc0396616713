"""OTLP/JSON: request text → the protobuf message, by the OTLP rules instead of protobuf's own.

protobuf's ``json_format`` reads hex ids as base64, accepts enum names and snake_case keys: all wrong here
(OTLP specification, "JSON Protobuf Encoding").
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from ai_usage_exporter.errors import MalformedError
from ai_usage_exporter.receiver.limits import Limits
from ai_usage_exporter.receiver.protobuf import from_message

if TYPE_CHECKING:
    from ai_usage_exporter.receiver.protobuf import DecodedRequest

MAX_DEPTH: Final = 48
"""Nesting of values; protobuf stops at 49 arrays in arrays, which are 100 of its messages."""
_INT64: Final = (-(2**63), 2**63 - 1)
_UINT64: Final = (0, 2**64 - 1)
_UINT32: Final = (0, 2**32 - 1)
_INT32: Final = (-(2**31), 2**31 - 1)

_DEFAULT_LIMITS: Final = Limits()
_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,1000})?([eE][+-]?[0-9]{1,4})?")
_NO_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_SHOWN_CHARS: Final = 60

Object = Mapping[str, Any]
Reader = Callable[[Any, str], Any]


def decode(body: bytes, limits: Limits = _DEFAULT_LIMITS) -> DecodedRequest:
    """Return the spans of an OTLP/JSON request; raise ``MalformedError`` naming the field that is wrong."""
    return from_message(_request(parse(body), "body"), limits)


def parse(body: bytes) -> Any:
    """Return the document that the body is; raise ``MalformedError`` when it is no JSON, or ambiguous."""
    try:
        return json.loads(body, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise MalformedError(f"the body is no JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers that disagree on which of two equal keys counts disagree on who pays.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("the body has a JSON object with the same key twice")
    if any("\0" in key for key in found):
        raise MalformedError("the body has a JSON object with a NUL in a key")
    return found


def _refuse_constant(token: str) -> NoReturn:
    raise MalformedError(f"the body holds the bare token {token}: numbers that are none are written as strings")


def _fail(path: str, problem: str) -> NoReturn:
    raise MalformedError(f"{path}: {problem}")


def _message(cls: Callable[..., Any], fields: Mapping[str, tuple[str, Reader]]) -> Reader:
    """Return a reader of a JSON object into ``cls``; ``fields`` maps JSON key → (protobuf name, reader)."""

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            _fail(path, f"expected an object, got {_kind(value)}")
        # Unknown keys are ignored at every level; null means not set.
        known = {
            name: reader(value[key], f"{path}.{key}")
            for key, (name, reader) in fields.items()
            if value.get(key) is not None
        }
        return cls(**known)

    return read


def _list(reader: Reader) -> Reader:
    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            _fail(path, f"expected an array, got {_kind(value)}")
        return [reader(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return read


def _string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        _fail(path, f"expected a string, got {_kind(value)}")
    # A lone surrogate is valid JSON and no text; protobuf would refuse the whole request for it.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        _fail(path, f"expected true or false, got {_kind(value)}")
    return value


def _integer(low: int, high: int) -> Reader:
    def read(value: Any, path: str) -> int:
        number: int | None = None
        if isinstance(value, bool):
            pass
        elif isinstance(value, int):
            number = value
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        elif isinstance(value, str):
            # Python's own reading takes blanks, underscores and the digits of any script.
            if _DECIMAL.fullmatch(value):
                number = int(value)
            else:
                exponent = _double(value, path)
                number = int(exponent) if math.isfinite(exponent) and exponent.is_integer() else None
        if number is None or not low <= number <= high:
            _fail(path, f"{_shown(value)} is no integer from {low} to {high}")
        return number

    return read


def _enum(value: Any, path: str) -> int:
    if isinstance(value, str):
        _fail(path, f"enum values are integers, got the name {_shown(value)}")
    return int(_integer(*_INT32)(value, path))


def _double(value: Any, path: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            _fail(path, f"{_shown(value)} is larger than any number of 64 bits")
    if isinstance(value, str) and (value in _NO_NUMBERS or _NUMBER.fullmatch(value)):
        return float(value)
    _fail(path, f"{_shown(value)} is no number")


def _bytes(value: Any, path: str) -> bytes:
    text = _string(value, path).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        _fail(path, "is no base64")


def _id(value: Any, path: str) -> bytes:
    """Read a hex id; what is no hex gives an empty id, so that this span is refused and not its request."""
    text = _string(value, path)
    return bytes.fromhex(text) if len(text) % 2 == 0 and _HEX.fullmatch(text) else b""


def _any_value(value: Any, path: str) -> AnyValue:
    # Counted by path, not by a parameter through every reader: nesting adds a field each time.
    if path.count("Value.values[") > MAX_DEPTH:
        _fail(path[:80] + "…", f"values are nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict) and sum(value.get(key) is not None for key in _ANY_VALUE_FIELDS) > 1:
        _fail(path, "holds more than one value")
    read: AnyValue = _read_any_value(value, path)
    return read


_ANY_VALUE_FIELDS: Final[dict[str, tuple[str, Reader]]] = {
    "stringValue": ("string_value", _string),
    "boolValue": ("bool_value", _bool),
    "intValue": ("int_value", _integer(*_INT64)),
    "doubleValue": ("double_value", _double),
    "bytesValue": ("bytes_value", _bytes),
}
_key_value = _message(KeyValue, {"key": ("key", _string), "value": ("value", _any_value)})
_attributes: Final = ("attributes", _list(_key_value))
_ANY_VALUE_FIELDS["arrayValue"] = ("array_value", _message(ArrayValue, {"values": ("values", _list(_any_value))}))
_ANY_VALUE_FIELDS["kvlistValue"] = ("kvlist_value", _message(KeyValueList, {"values": ("values", _list(_key_value))}))
_read_any_value = _message(AnyValue, _ANY_VALUE_FIELDS)

_event = _message(
    Span.Event,
    {
        "timeUnixNano": ("time_unix_nano", _integer(*_UINT64)),
        "name": ("name", _string),
        "attributes": _attributes,
        "droppedAttributesCount": ("dropped_attributes_count", _integer(*_UINT32)),
    },
)
_link = _message(
    Span.Link,
    {
        "traceId": ("trace_id", _id),
        "spanId": ("span_id", _id),
        "traceState": ("trace_state", _string),
        "attributes": _attributes,
        "droppedAttributesCount": ("dropped_attributes_count", _integer(*_UINT32)),
        "flags": ("flags", _integer(*_UINT32)),
    },
)
_status = _message(Status, {"message": ("message", _string), "code": ("code", _enum)})
_span = _message(
    Span,
    {
        "traceId": ("trace_id", _id),
        "spanId": ("span_id", _id),
        "traceState": ("trace_state", _string),
        "parentSpanId": ("parent_span_id", _id),
        "flags": ("flags", _integer(*_UINT32)),
        "name": ("name", _string),
        "kind": ("kind", _enum),
        "startTimeUnixNano": ("start_time_unix_nano", _integer(*_UINT64)),
        "endTimeUnixNano": ("end_time_unix_nano", _integer(*_UINT64)),
        "attributes": _attributes,
        "droppedAttributesCount": ("dropped_attributes_count", _integer(*_UINT32)),
        "events": ("events", _list(_event)),
        "droppedEventsCount": ("dropped_events_count", _integer(*_UINT32)),
        "links": ("links", _list(_link)),
        "droppedLinksCount": ("dropped_links_count", _integer(*_UINT32)),
        "status": ("status", _status),
    },
)
_scope = _message(
    InstrumentationScope,
    {
        "name": ("name", _string),
        "version": ("version", _string),
        "attributes": _attributes,
        "droppedAttributesCount": ("dropped_attributes_count", _integer(*_UINT32)),
    },
)
_scope_spans = _message(
    ScopeSpans,
    {"scope": ("scope", _scope), "spans": ("spans", _list(_span)), "schemaUrl": ("schema_url", _string)},
)
_resource = _message(
    Resource,
    {
        "attributes": _attributes,
        "droppedAttributesCount": ("dropped_attributes_count", _integer(*_UINT32)),
    },
)
_resource_spans = _message(
    ResourceSpans,
    {
        "resource": ("resource", _resource),
        "scopeSpans": ("scope_spans", _list(_scope_spans)),
        "schemaUrl": ("schema_url", _string),
    },
)
_request = _message(ExportTraceServiceRequest, {"resourceSpans": ("resource_spans", _list(_resource_spans))})


def _shown(value: object) -> str:
    """Return a value for a message, short; a number of thousands of digits is not even written out."""
    if isinstance(value, int) and value.bit_length() > 4 * _SHOWN_CHARS:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _kind(value: object) -> str:
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")
