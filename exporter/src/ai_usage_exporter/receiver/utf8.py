"""Text that is no UTF-8: protobuf refuses a whole request for one such string; here only the string is mended."""

from __future__ import annotations

from typing import Final

_TEXT: Final = "text"
# Message → field number → what is in it: text, or a message. Numbers are those of opentelemetry-proto 1.11.0.
_FIELDS: Final[dict[str, dict[int, str]]] = {
    "TraceRequest": {1: "ResourceSpans"},
    "ResourceSpans": {1: "Resource", 2: "ScopeSpans", 3: _TEXT},
    "ScopeSpans": {1: "Scope", 2: "Span", 3: _TEXT},
    "Span": {3: _TEXT, 5: _TEXT, 9: "KeyValue", 11: "Event", 13: "Link", 15: "Status"},
    "Event": {2: _TEXT, 3: "KeyValue"},
    "Link": {3: _TEXT, 4: "KeyValue"},
    "Status": {2: _TEXT},
    "LogsRequest": {1: "ResourceLogs"},
    "ResourceLogs": {1: "Resource", 2: "ScopeLogs", 3: _TEXT},
    "ScopeLogs": {1: "Scope", 2: "LogRecord", 3: _TEXT},
    "LogRecord": {3: _TEXT, 5: "AnyValue", 6: "KeyValue", 12: _TEXT},
    "Resource": {1: "KeyValue"},
    "Scope": {1: _TEXT, 2: _TEXT, 3: "KeyValue"},
    "KeyValue": {1: _TEXT, 2: "AnyValue"},
    "AnyValue": {1: _TEXT, 5: "ArrayValue", 6: "KeyValueList"},
    "ArrayValue": {1: "AnyValue"},
    "KeyValueList": {1: "KeyValue"},
}
MAX_FIELDS: Final = 500_000
"""Of one request: about a second's work. A batch of 512 spans with 30 attributes has 65,000."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH: Final = 64


def mend(body: bytes, message: str) -> bytes:
    """Return a request with U+FFFD for every byte of a text that is no UTF-8; all else as it was.

    ``message`` is ``TraceRequest`` or ``LogsRequest``. Raises ``ValueError`` for what is no protobuf, or has more than
    ``MAX_FIELDS`` fields.
    """
    return _Mender(body).message(0, len(body), message, 0)


class _Mender:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._fields = 0

    def message(self, at: int, end: int, name: str, depth: int) -> bytes:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        known = _FIELDS[name]
        made = bytearray()
        while at < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise ValueError("too many fields")
            start = at
            tag, at = self._varint(at, end)
            kind = tag & 7
            if kind != _BYTES:
                at = self._skip(kind, at, end)
                made += self._body[start:at]
                continue
            size, at = self._varint(at, end)
            inner, at = at, at + size
            if at > end:
                raise ValueError("a length beyond the end")
            what = known.get(tag >> 3)
            if what is None:
                made += self._body[start:at]
                continue
            if what == _TEXT:
                content = self._body[inner:at].decode("utf-8", "replace").encode()
            else:
                content = self.message(inner, at, what, depth + 1)
            made += _encoded(tag) + _encoded(len(content)) + content
        return bytes(made)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        number = shift = 0
        while at < end and shift < 64:
            byte = self._body[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
            shift += 7
        raise ValueError("a number that never ends")

    def _skip(self, kind: int, at: int, end: int) -> int:
        if kind == _VARINT:
            return self._varint(at, end)[1]
        at += {_FIXED64: 8, _FIXED32: 4}.get(kind, end + 1)
        if at > end:
            raise ValueError("no field")
        return at


def _encoded(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
