"""Attribute values as emitters really send them: numbers as doubles or strings, objects as JSON text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.errors import UnstorableError

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue

_MOST_USD: Final = 10**8
_REPLY_ID: Final = re.compile(r'\{"id": ?"((?:chatcmpl-|resp_|msg_|gen-)[\w.-]{1,200})"')


def text(value: AttributeValue) -> str | None:
    """Return a non-empty string as it is, a number or boolean as text, anything else as ``None``."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool | int | float):
        return str(value)
    return None


def whole(value: AttributeValue, name: str) -> int | None:
    """Return a token count; ``None`` when nothing was reported (absent, empty, a boolean, a structure).

    Raises ``UnstorableError`` for what is a number but no count (a fraction, NaN), and for text that is no number:
    billing a guess would be worse than keeping the span aside.
    """
    if type(value) is int:
        return value
    if isinstance(value, str):
        written = value.strip()
        if written in {"", "null", "None", "undefined"}:
            return None
        try:
            value = int(written) if written.lstrip("+-").isdecimal() else float(written)
        except ValueError:
            raise UnstorableError("tokens_out_of_range", f"{name} = {written[:80]!r}: not a whole number") from None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value) or value != int(value):
            raise UnstorableError("tokens_out_of_range", f"{name} = {value!r}: not a whole number")
        return int(value)
    return None


def dollars(value: AttributeValue, name: str) -> Decimal | None:
    """Return an amount, exact as its shortest decimal text; raises ``UnstorableError`` for what nobody can pay."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    if not (amount.is_finite() and 0 <= amount < _MOST_USD):
        raise UnstorableError("cost_out_of_range", f"{name} = {value!r} USD: not an amount from 0 to 10^8")
    return amount


def json_object(value: AttributeValue) -> Mapping[str, Any]:
    """Return the object that a JSON string holds, or the mapping itself; empty when it is neither."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str) and value[:1] == "{":
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return {}
        if isinstance(found, dict):
            return found
    return {}


def reply_id(value: AttributeValue) -> str | None:
    """Return the id that the recorded JSON of a provider's reply begins with; reads no further."""
    found = _REPLY_ID.match(value) if isinstance(value, str) else None
    return None if found is None else found[1]
