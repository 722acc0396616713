"""One priced call as one row of ``ai_usage_logs``: pure, and the hottest Python of the whole ingest path."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.record import PricedCall

COLUMNS: Final = (
    "id", "created_at", "user_id", "user_ref", "user_email",
    "service_name", "service_action", "provider", "model", "request_model", "operation",
    "input_tokens", "output_tokens", "total_tokens",
    "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "input_audio_tokens", "output_audio_tokens", "cache_read_audio_tokens",
    "input_image_tokens", "output_image_tokens",
    "cost_usd", "cost_status", "reported_cost_usd", "price_ref",
    "duration_ms", "success", "error_code", "error_message", "request_metadata",
    "service_tier", "session_id", "provider_response_id",
    "trace_id", "span_id", "parent_span_id", "emitter", "usage_flags", "scope_name",
)  # fmt: skip
"""The columns of a row, in the order ``to_row`` gives their values; ``ingested_at`` is the database's clock."""

SCALE: Final = Decimal("0.000000000001")
"""The smallest amount a row holds, in US dollars."""
NOTHING: Final = Decimal(0)
MAX_TOKENS: Final = 2**40
"""No provider call comes near it; whatever does is a broken counter, and one of them would spoil every total."""

Row = tuple[Any, ...]


def to_row(call: PricedCall, users: Mapping[str, UUID]) -> Row:
    """Return the values of ``COLUMNS`` for one call; ``users`` maps users as sent to known ids.

    Raises ``ValueError`` for token counts that are no sane whole numbers. Checks nothing else that PostgreSQL refuses
    by itself (NUL in text, negative numbers): the writer looks again when a batch was refused.
    """
    record, (amount, status, price) = call
    # Unpacked at once: forty look-ups of fields would cost more than all the rest.
    (
        id_, trace_id, span_id, parent_span_id, created_at, duration_ms, service_name, service_action, operation,
        provider, model, request_model, usage, reported_cost_usd, success, error_code, error_message, user, user_email,
        session_id, response_id, service_tier, _, emitter, usage_flags, metadata, scope,
    ) = record  # fmt: skip
    (
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
        input_audio_tokens, output_audio_tokens, cache_read_audio_tokens, input_image_tokens, output_image_tokens,
    ) = usage  # fmt: skip
    input_tokens = input_tokens or 0
    output_tokens = output_tokens or 0
    total_tokens = input_tokens + output_tokens
    if type(total_tokens) is not int or total_tokens > MAX_TOKENS:
        raise ValueError(f"tokens of one call: {total_tokens!r}")
    user_id = users.get(user) if users and user is not None else None
    return (
        id_, created_at, user_id, None if user_id is not None else user, user_email,
        service_name, service_action, provider, model, request_model, operation,
        input_tokens, output_tokens, total_tokens,
        cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
        input_audio_tokens, output_audio_tokens, cache_read_audio_tokens,
        input_image_tokens, output_image_tokens,
        NOTHING if amount is None else to_cost_usd(amount), status, reported_cost_usd,
        None if price is None else price.id,
        duration_ms, success, error_code, error_message, None if metadata is None else encode_metadata(metadata),
        service_tier, session_id, response_id,
        trace_id, span_id, parent_span_id, emitter, usage_flags or None, scope or None,
    )  # fmt: skip


def to_cost_usd(amount: Decimal) -> Decimal:
    """Return ``amount`` as the row stores it, so that what is added to a rollup is what a SUM over rows finds."""
    return amount.quantize(SCALE, ROUND_HALF_UP)


def encode_metadata(metadata: Mapping[str, Any]) -> str:
    """Return metadata as JSON text; bytes become base64. Raises ``ValueError`` for NaN and infinities."""
    return json.dumps(metadata, default=_encode_other, separators=(",", ":"), allow_nan=False)


def to_user_id(user: str) -> UUID | None:
    """Return the UUID that ``user`` is written as, or ``None`` when it is any other text."""
    if len(user) != 36:  # braces, urn: and digits without dashes are somebody's own ids, not uuids
        return None
    try:
        return UUID(user)
    except ValueError:
        return None


def _encode_other(value: object) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value)
