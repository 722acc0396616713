"""OTLP messages trimmed to what is read: attributes, resource, scope, events and status stay bytes until needed.

Reading every attribute through protobuf costs more than all the rest of a span. The same attributes come again and
again (a model, a service, a user), so each is decoded once and looked up by its bytes after that. Fields not named
here are kept by protobuf as unknown ones, so a span can still be written out exactly as it came.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from ai_usage_exporter.record import Attributes, AttributeValue

_PACKAGE: Final = "ai_usage.trimmed"
_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES: Final = {
    # name: (field, number, type or message, repeated); numbers and types are those of opentelemetry-proto 1.11.0
    "Request": (("resource_spans", 1, "ResourceSpans", True),),
    "ResourceSpans": (
        ("resource", 1, _Field.TYPE_BYTES, False),
        ("scope_spans", 2, "ScopeSpans", True),
        ("schema_url", 3, _Field.TYPE_STRING, False),
    ),
    "ScopeSpans": (
        ("scope", 1, _Field.TYPE_BYTES, False),
        ("spans", 2, "Span", True),
        ("schema_url", 3, _Field.TYPE_STRING, False),
    ),
    "Span": (
        ("trace_id", 1, _Field.TYPE_BYTES, False),
        ("span_id", 2, _Field.TYPE_BYTES, False),
        ("parent_span_id", 4, _Field.TYPE_BYTES, False),
        ("name", 5, _Field.TYPE_STRING, False),
        ("kind", 6, _Field.TYPE_INT32, False),
        ("start_time_unix_nano", 7, _Field.TYPE_FIXED64, False),
        ("end_time_unix_nano", 8, _Field.TYPE_FIXED64, False),
        ("attributes", 9, _Field.TYPE_BYTES, True),
        ("events", 11, _Field.TYPE_BYTES, True),
        ("status", 15, _Field.TYPE_BYTES, False),
    ),
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="ai_usage/trimmed.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_classes: Final = _build()
Request: Final = _classes["Request"]
ResourceSpans: Final = _classes["ResourceSpans"]
ScopeSpans: Final = _classes["ScopeSpans"]

MEMO_ENTRIES: Final = 32_768
MEMO_BYTES: Final = 256
"""Longer attributes are rarely seen twice."""
MEMO_VALUES: Final = 2_048
"""Of one key: what has more is an id or a count, and decoded every time."""

_values_of: dict[str, int] = {}
"""Key → how many of its values are in the memo."""


class _Memo(dict[bytes, "tuple[str, AttributeValue]"]):
    """Hold attributes by their bytes, and decode those that are not in it."""

    def __missing__(self, pair: bytes) -> tuple[str, AttributeValue]:
        read: tuple[str, AttributeValue] | None = _short(pair)
        if read is None:
            decoded = KeyValue.FromString(pair)
            read = (decoded.key, _value(decoded.value))
            if len(pair) > MEMO_BYTES or isinstance(read[1], list | dict):
                return read
        # One text for each key: who looks for it finds it by where it is, and it stays in the processor's cache.
        key = intern(read[0])
        item = (key, read[1])
        if len(self) >= MEMO_ENTRIES:
            # Refilling what is common takes microseconds; deciding what to keep would cost every look-up.
            self.clear()
            _values_of.clear()
        values = _values_of.get(key, 0)
        if values < MEMO_VALUES:
            _values_of[key] = values + 1
            self[pair] = item
        return item


_memo: Final = _Memo()
_item_of: Final = _memo.__getitem__


def attributes_of(pairs: Iterable[bytes]) -> dict[str, AttributeValue]:
    """Return the attributes encoded in ``pairs``, each a KeyValue. Raises ``DecodeError``."""
    return {key: value for key, value in map(_item_of, pairs)}  # noqa: C416 - dict() takes half as long again


def to_attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Return decoded attributes as a mapping; of two with one key the last counts."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _short(pair: bytes) -> tuple[str, str | int] | None:
    """Decode what most attributes seen for the first time are: a short key with a short string or a small count.

    ``None`` for everything else, however it is encoded: that is protobuf's to read or to refuse.
    """
    try:
        # 0x0a, length of the key, the key; then 0x12, length of the value, the value
        at = pair[1] + 2
        size = len(pair) - at - 2
        if pair[0] == 0x0A and at < 130 and pair[at] == 0x12 and pair[at + 1] == size < 128:
            kind = pair[at + 2]
            if kind == 0x0A:  # a string: its length, then itself
                if pair[at + 3] == size - 2:
                    return pair[2:at].decode(), pair[at + 4 :].decode()
            elif kind == 0x18:  # an integer: seven bits a byte, the lowest first, all but the last marked
                if size == 3:
                    low, high = pair[at + 3], pair[at + 4]
                    if low >= 128 > high:
                        return pair[2:at].decode(), low - 128 + (high << 7)
                elif size == 2 and pair[at + 3] < 128:
                    return pair[2:at].decode(), pair[at + 3]
    except (IndexError, UnicodeDecodeError):
        pass
    return None


def _value(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            return value.double_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return to_attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value
        case _:
            return None
