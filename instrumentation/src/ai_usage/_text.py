"""Values that can be exported: one that cannot loses the whole batch of calls it is sent with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

LONGEST: Final = 4096
"""Characters kept of a name, an id, a message or a metadata value."""
_INT64: Final = 1 << 63


def valid(text: str) -> str:
    """Return text that protobuf and PostgreSQL take: no lone surrogate, no NUL, of bounded length."""
    return text if len(text) <= LONGEST and text.isprintable() else encodable(text[:LONGEST]).replace("\0", "\ufffd")


def encodable(text: str) -> str:
    """Return text without lone surrogates; pairs of them are the character they stand for."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_text(value: object) -> str:
    """Return any object as valid text; bytes are read as UTF-8."""
    return valid(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def as_attribute(value: object) -> AttributeValue:
    """Return strings, numbers and booleans as they are, anything else (and endless integers) as text."""
    if isinstance(value, bool | float) or (isinstance(value, int) and -_INT64 <= value < _INT64):
        return value
    return as_text(value)
