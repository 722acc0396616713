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


def read_usage(usage: Any, model: str | None = None) -> TokenUsage:
    """Return the tokens of an Anthropic ``usage`` object, with what ``model`` did beside its own fields."""
    if usage is None:
        return NOT_REPORTED
    own = _one(usage)
    for iteration in _beside(usage):
        if _is_by(iteration, model):
            own = _add(own, _one(iteration))
    return own


def read_message(message: Any) -> Reply:
    """Read a message."""
    usage = field(message, "usage")
    stop = word(field(message, "stop_reason"))
    tier = word(field(usage, "speed")) if word(field(usage, "speed")) == "fast" else word(field(usage, "service_tier"))
    model = word(field(message, "model"))
    return Reply(
        usage=read_usage(usage, model),
        model=model,
        response_id=word(field(message, "id")),
        finish_reasons=(stop,) if stop else (),
        service_tier=tier,
        extra=_extra(usage, tier, model),
        beside=_by_others(usage, tier, model),
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
        usage=read_usage(latest, reply.model),
        finish_reasons=(stop,) if stop else (),
        extra=_extra(latest, reply.service_tier, reply.model),
        beside=_by_others(latest, reply.service_tier, reply.model),
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
    """Return the iterations that are billed and not in the top-level fields: compaction, advisors, what was declined.

    Of a message that another model answered in the end, these are the attempts that said something before.
    """
    iterations = list(field(usage, "iterations") or ())
    if not iterations:
        return iterations
    was_declined = any(field(one, "type") == "fallback_message" for one in iterations)
    served = next((word(field(one, "model")) for one in iterations if field(one, "type") == "fallback_message"), None)
    return [
        one
        for one in iterations
        if field(one, "type") not in _COUNTED
        or (was_declined and not _is_by(one, served) and field(one, "type") == "message" and _one(one).output_tokens)
    ]


def _is_by(iteration: Any, model: str | None) -> bool:
    """Tell whether an iteration is the model's own work; compaction names none."""
    named = word(field(iteration, "model"))
    return named is None or model is None or named.startswith(model) or model.startswith(named)


def _by_others(usage: Any, tier: str | None, model: str | None) -> tuple[Reply, ...]:
    return tuple(
        Reply(
            _one(one),
            word(field(one, "model")),
            service_tier=tier,
            extra={semconv.SERVICE_TIER: tier} if tier else None,
        )
        for one in _beside(usage)
        if not _is_by(one, model)
    )


def _extra(usage: Any, tier: str | None, model: str | None) -> dict[str, AttributeValue] | None:
    extra: dict[str, AttributeValue] = {}
    if tier:
        extra[semconv.SERVICE_TIER] = tier
    if any(_is_by(one, model) for one in _beside(usage)):
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
