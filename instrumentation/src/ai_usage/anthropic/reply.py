"""What Anthropic's answers say about usage. Its input count leaves out both cache kinds: they are added here, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ai_usage import semconv
from ai_usage._fields import field, whole, word
from ai_usage._invocation import Reply
from ai_usage.tokens import NOT_REPORTED, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.util.types import AttributeValue


# What the top-level fields count: the message, by whichever model it was answered in the end.
_COUNTED: Final = frozenset({None, "message", "fallback_message"})


def read_usage(usage: Any) -> TokenUsage:
    """Return the tokens of an Anthropic ``usage`` object, iterations billed outside its own fields included."""
    if usage is None:
        return NOT_REPORTED
    own = _one(usage)
    for iteration in _beside(usage):
        own = _add(own, _one(iteration))
    return own


def read_message(message: Any) -> Reply:
    """Read a message."""
    usage = field(message, "usage")
    stop = word(field(message, "stop_reason"))
    tier = word(field(usage, "speed")) if word(field(usage, "speed")) == "fast" else word(field(usage, "service_tier"))
    return Reply(
        usage=read_usage(usage),
        model=word(field(message, "model")),
        response_id=word(field(message, "id")),
        finish_reasons=(stop,) if stop else (),
        service_tier=tier,
        extra=_extra(usage, tier),
    )


def read_message_stream(first: Any, last: Iterable[Any]) -> Reply:
    """Read a streamed message: input with its first event, output so far with each ``message_delta``.

    Deltas are cumulative: the last one replaces what was known, it is never added.
    """
    reply = read_message(field(first, "message"))
    delta: Any = None
    for event in last:
        if field(event, "type") == "message_delta":
            delta = event
    if delta is None:
        # The start says output 1 or so, which is no count of anything.
        return reply._replace(usage=reply.usage._replace(output_tokens=None), is_complete=False)
    usage = field(delta, "usage")
    start = field(field(first, "message"), "usage")
    stop = word(field(field(delta, "delta"), "stop_reason"))
    latest = _Latest(usage, start)
    return reply._replace(
        usage=read_usage(latest),
        finish_reasons=(stop,) if stop else (),
        extra=_extra(latest, reply.service_tier),
        is_complete=True,
    )


class _Latest:
    """Show one usage object through another: what the newer one does not report is as it was."""

    def __init__(self, newer: Any, older: Any) -> None:
        self._newer = newer
        self._older = older

    def __getattr__(self, name: str) -> Any:
        value = field(self._newer, name)
        return field(self._older, name) if value is None else value


def _beside(usage: Any) -> list[Any]:
    """Return the iterations that are billed with the message and not counted by the top-level fields: compaction."""
    return [one for one in field(usage, "iterations") or () if field(one, "type") not in _COUNTED]


def _extra(usage: Any, tier: str | None) -> dict[str, AttributeValue] | None:
    extra: dict[str, AttributeValue] = {}
    if tier:
        extra[semconv.SERVICE_TIER] = tier
    if _beside(usage):
        extra[semconv.USAGE_COMPACTION_ADDED] = True
    return extra or None


def _one(usage: Any) -> TokenUsage:
    uncached = whole(field(usage, "input_tokens"))
    output = whole(field(usage, "output_tokens"))
    if uncached is None and output is None:
        return NOT_REPORTED
    read = whole(field(usage, "cache_read_input_tokens"))
    written = whole(field(usage, "cache_creation_input_tokens"))
    return TokenUsage(
        input_tokens=None if uncached is None else uncached + (read or 0) + (written or 0),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=whole(field(field(usage, "cache_creation"), "ephemeral_1h_input_tokens")),
        reasoning_tokens=whole(field(field(usage, "output_tokens_details"), "thinking_tokens")),
    )


def _add(left: TokenUsage, right: TokenUsage) -> TokenUsage:
    return TokenUsage(*(b if a is None else a if b is None else a + b for a, b in zip(left, right, strict=True)))
