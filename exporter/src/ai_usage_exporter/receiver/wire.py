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
HEADS: Final = 4_096

_TEXT: Final = 0x0A
_INTEGER: Final = 0x18
_values_of: dict[str, int] = {}
"""Key → how many of its values are in the memo."""
_heads: dict[bytes, tuple[str, int]] = {}
"""What stands before the value of an id or a count → its key, and the length of the whole attribute."""
_NO_HEAD: Final = ("", 0)


class _Memo(dict[bytes, "tuple[str, AttributeValue]"]):
    """Hold attributes by their bytes, and decode those that are not in it."""

    def __missing__(self, pair: bytes) -> tuple[str, AttributeValue]:
        # An id or a count that begins as one before it did; all else is protobuf's to read or to refuse.
        try:
            at = pair[1] + 5
            key, size = _heads.get(pair[:at], _NO_HEAD)
            if size == len(pair):
                if pair[at - 1] == _TEXT:  # its length, then itself
                    if pair[at] == size - at - 1:
                        return key, pair[at + 1 :].decode()
                elif size == at + 2:  # seven bits a byte, the lowest first, all but the last marked
                    low, high = pair[at], pair[at + 1]
                    if low >= 128 > high:
                        return key, low - 128 + (high << 7)
                elif size == at + 1 and pair[at] < 128:
                    return key, pair[at]
        except (IndexError, UnicodeDecodeError):
            pass
        return self._decoded(pair)

    def _decoded(self, pair: bytes) -> tuple[str, AttributeValue]:
        decoded = KeyValue.FromString(pair)
        value = _value(decoded.value)
        if len(pair) > MEMO_BYTES or isinstance(value, list | dict):
            return decoded.key, value
        # One text for each key: who looks for it finds it by where it is, and it stays in the processor's cache.
        key = intern(decoded.key)
        item = (key, value)
        if len(self) >= MEMO_ENTRIES:
            # Refilling what is common takes microseconds; deciding what to keep would cost every look-up.
            self.clear()
            _values_of.clear()
        values = _values_of.get(key, 0)
        if values < MEMO_VALUES:
            _values_of[key] = values + 1
            self[pair] = item
        else:
            _learn_head(key, pair)
        return item


def _learn_head(key: str, pair: bytes) -> None:
    """Remember how a short attribute begins: 0x0a, length of the key, the key, 0x12, length of the value, its type."""
    name = key.encode()
    at, size = len(name) + 5, len(pair)
    if (
        at < size < 128
        and pair[: at - 1] == b"\x0a%c%b\x12%c" % (len(name), name, size - at + 1)
        and pair[at - 1] in (_TEXT, _INTEGER)
    ):
        if len(_heads) >= HEADS:
            _heads.clear()
        _heads[pair[:at]] = (key, size)


_memo: Final = _Memo()
_item_of: Final = _memo.__getitem__


def attributes_of(pairs: Iterable[bytes]) -> dict[str, AttributeValue]:
    """Return the attributes encoded in ``pairs``, each a KeyValue. Raises ``DecodeError``."""
    return {key: value for key, value in map(_item_of, pairs)}  # noqa: C416 - dict() takes half as long again


def to_attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Return decoded attributes as a mapping; of two with one key the last counts."""
    return {pair.key: _value(pair.value) for pair in pairs}


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
