"""The second look at a call whose batch PostgreSQL refused: repair what can be repaired, refuse the rest by name."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.errors import UnstorableError
from ai_usage_exporter.storage.row import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.record import PricedCall, UsageRecord

MAX_COST_USD: Final = Decimal(10) ** 8
"""numeric(20, 12) ends here."""
MAX_TEXT_CHARS: Final = 600
"""For what is indexed: PostgreSQL refuses index entries over 2,704 bytes, and a character takes up to 4."""

REPAIRED: Final = "text_repaired"
SHORTENED: Final = "text_shortened"

_INDEXED: Final = frozenset({"service_name", "service_action", "provider", "model", "operation", "user", "user_email"})
_TEXTS: Final = (
    "service_name", "service_action", "operation", "provider", "model", "request_model", "error_code", "error_message",
    "user", "user_email", "session_id", "response_id", "service_tier", "emitter", "scope",
)  # fmt: skip
_BAD_TEXT: Final = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def repair(call: PricedCall) -> PricedCall:
    """Return the call with text PostgreSQL can hold, flagged if it was changed.

    NUL and lone surrogates become U+FFFD, over-long indexed text is cut. Raises ``UnstorableError`` for numbers that
    cannot be billed: tokens negative, fractional or above ``MAX_TOKENS``, a cost that is no amount.
    """
    record, cost = call
    for name, count in zip(record.usage._fields, record.usage, strict=True):
        if count is not None and (type(count) is not int or not 0 <= count <= MAX_TOKENS):
            raise UnstorableError("tokens_out_of_range", f"{name} = {count!r}: not a whole number from 0 to 2^40")
    for name, amount in (("cost", cost.amount_usd), ("reported cost", record.reported_cost_usd)):
        if amount is not None and not (amount.is_finite() and 0 <= amount < MAX_COST_USD):
            raise UnstorableError("cost_out_of_range", f"{name} = {amount} USD: not an amount from 0 to 10^8")
    if record.duration_ms is not None and not 0 <= record.duration_ms < 2**63:
        raise UnstorableError("duration_out_of_range", f"duration = {record.duration_ms} ms")
    changed: dict[str, Any] = {}
    flags: set[str] = set()
    for name in _TEXTS:
        text = getattr(record, name)
        if text is None:
            continue
        if not isinstance(text, str):
            raise UnstorableError("not_text", f"{name} = {text!r}: not text")
        clean = text.translate(_BAD_TEXT)
        if clean != text:
            flags.add(REPAIRED)
        if name in _INDEXED and len(clean) > MAX_TEXT_CHARS:
            clean = clean[:MAX_TEXT_CHARS]
            flags.add(SHORTENED)
        if clean != text:
            changed[name] = clean
    if record.metadata is not None and (metadata := _repair_value(record.metadata)) != record.metadata:
        changed["metadata"] = metadata
        flags.add(REPAIRED)
    if not changed:
        return call
    flags.update(record.usage_flags)
    return call._replace(record=record._replace(**changed, usage_flags=tuple(sorted(flags))))


def mark_mended(record: UsageRecord) -> UsageRecord:
    """Return the record of a request whose text was mended when it was read, flagged if any of it is in the record."""
    texts = (*(getattr(record, name) for name in _TEXTS), None if record.metadata is None else str(record.metadata))
    if not any(text and "\ufffd" in text for text in texts):
        return record
    return record._replace(usage_flags=tuple(sorted({*record.usage_flags, REPAIRED})))


def _repair_value(value: Any) -> Any:
    match value:
        case str():
            return value.translate(_BAD_TEXT)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return _repair_mapping(value)
        case list() | tuple():
            return [_repair_value(item) for item in value]
        case _:
            return value


def _repair_mapping(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).translate(_BAD_TEXT): _repair_value(value) for key, value in mapping.items()}
