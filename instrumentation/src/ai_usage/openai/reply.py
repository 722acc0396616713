"""What OpenAI's answers say about usage: input includes cached tokens and output reasoning, nothing to convert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_usage import semconv
from ai_usage._fields import field, getter, whole, wholes, word, words
from ai_usage._invocation import Reply, reply_of
from ai_usage.tokens import NOT_REPORTED, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_usage._fields import Get
    from ai_usage.tokens import TokenUsage


def read_usage(usage: Any) -> TokenUsage:
    """Return the tokens of any OpenAI ``usage`` object (chat, responses, embeddings, images, transcription)."""
    if usage is None:
        return NOT_REPORTED
    get = getter(usage)
    prompt = get("prompt_tokens")
    if type(prompt) is int or whole(prompt) is not None:
        output = get("completion_tokens")
        inputs, outputs = get("prompt_tokens_details"), get("completion_tokens_details")
    else:
        prompt, output = get("input_tokens"), get("output_tokens")
        # Transcription alone writes the singular.
        inputs, outputs = get("input_tokens_details") or get("input_token_details"), get("output_tokens_details")
    read, written = getter(inputs), getter(outputs)
    counts = wholes(
        prompt,
        output,
        read("cached_tokens"),
        read("cache_write_tokens"),
        None,  # one lifetime
        written("reasoning_tokens"),
        read("audio_tokens"),
        written("audio_tokens"),
        None,  # not told
        read("image_tokens"),
        written("image_tokens"),
    )
    return NOT_REPORTED if counts[0] is None and counts[1] is None else usage_of(counts)


def read_chat(reply: Any) -> Reply:
    """Read a chat completion, legacy completion or embedding."""
    get = getter(reply)
    return _read_chat(get, get("usage"), _finish_reasons(get("choices")), is_complete=True)


def _read_chat(get: Get, usage: Any, reasons: tuple[str, ...], *, is_complete: bool) -> Reply:
    model, response_id, tier = words(get("model"), get("id"), get("service_tier"))
    extra = {semconv.OPENAI_RESPONSE_SERVICE_TIER: tier} if tier else None
    return reply_of((read_usage(usage), model, response_id, reasons, tier, extra, is_complete, ()))


def read_chat_stream(first: Any, last: Sequence[Any]) -> Reply:
    """Read a streamed chat: names come with every chunk, the reason near the end, usage in the very last."""
    usage: Any = None
    reasons: tuple[str, ...] = ()
    for chunk in reversed(last):
        get = getter(chunk)
        usage = usage or get("usage")
        choices = get("choices")
        if choices and not reasons:
            reasons = _finish_reasons(choices)
        if usage and reasons:
            break
    return _read_chat(getter(first), usage, reasons, is_complete=bool(reasons or usage))


def read_response(reply: Any) -> Reply:
    """Read a response of the Responses API."""
    get = getter(reply)
    tier = word(get("service_tier"))
    status = word(get("status"))
    return Reply(
        usage=read_usage(get("usage")),
        model=word(get("model")),
        response_id=word(get("id")),
        finish_reasons=(status,) if status else (),
        service_tier=tier,
        extra={semconv.OPENAI_RESPONSE_SERVICE_TIER: tier} if tier else None,
    )


def read_response_stream(first: Any, last: Iterable[Any]) -> Reply:
    """Read streamed response events: the last one holds the whole response."""
    response = field(first, "response")
    is_complete = False
    for event in last:
        if field(event, "type") in {"response.completed", "response.incomplete", "response.failed"}:
            response = field(event, "response")
            is_complete = True
    return read_response(response)._replace(is_complete=is_complete)


def read_tokens_only(reply: Any) -> Reply:
    """Read an answer that has nothing but usage: images, transcription, speech."""
    return Reply(usage=read_usage(field(reply, "usage")), model=word(field(reply, "model")))


def read_tokens_only_stream(_first: Any, last: Iterable[Any]) -> Reply:
    """Read streamed events of images and audio: usage comes with the one that completes."""
    usage: Any = None
    for event in last:
        usage = field(event, "usage") or usage
    return Reply(usage=read_usage(usage), is_complete=usage is not None)


def _finish_reasons(choices: Any) -> tuple[str, ...]:
    if not choices:
        return ()
    found: tuple[str, ...] = ()
    for choice in choices:
        reason = word(field(choice, "finish_reason"))
        if reason:
            found += (reason,)
    return found
