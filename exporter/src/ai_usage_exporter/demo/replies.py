"""What the stand-in provider answers, in each provider's own wire format (JSON and server-sent events)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = dict[str, Any]


class Tokens(NamedTuple):
    """Hold what one call uses, in the sense of every provider at once: input includes cached, output reasoning."""

    input: int
    output: int
    cached: int
    cache_written: int
    reasoning: int


_WORDS = ("The", " usage", " of", " this", " call", " is", " made", " up", ",", " its", " sums", " are", " not", ".")


def openai_chat(reply_id: str, model: str, tokens: Tokens) -> Body:
    """Return a ``chat.completion``."""
    message: Body = {"role": "assistant", "content": "".join(_WORDS), "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{reply_id}",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _openai_chat_usage(tokens),
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }


def openai_chat_stream(reply_id: str, model: str, tokens: Tokens, *, include_usage: bool) -> Iterator[bytes]:
    """Yield the events of a streamed chat; usage comes last, and only when asked for."""
    head = {
        "id": f"chatcmpl-{reply_id}",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }
    silent: Body = {"usage": None} if include_usage else {}
    for number, word in enumerate(_WORDS):
        delta = {"role": "assistant", "content": word} if number == 0 else {"content": word}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield _data({**head, "choices": [choice], **silent})
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    yield _data({**head, "choices": [last], **silent})
    if include_usage:
        yield _data({**head, "choices": [], "usage": _openai_chat_usage(tokens)})
    yield b"data: [DONE]\n\n"


def openai_embeddings(model: str, tokens: Tokens) -> Body:
    """Return an embedding; its only number is the prompt."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.0125, -0.25, 0.5]}],
        "model": model,
        "usage": {"prompt_tokens": tokens.input, "total_tokens": tokens.input},
    }


def anthropic_message(reply_id: str, model: str, tokens: Tokens) -> Body:
    """Return a ``message``; its input count leaves out both cache kinds."""
    return {
        "id": f"msg_{reply_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "".join(_WORDS)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(tokens),
    }


def anthropic_message_stream(reply_id: str, model: str, tokens: Tokens) -> Iterator[bytes]:
    """Yield the events of a streamed message; ``message_delta`` repeats the output so far, it does not add to it."""
    start = anthropic_message(reply_id, model, tokens) | {"content": [], "stop_reason": None}
    start["usage"] |= {"output_tokens": 1}
    yield _event("message_start", {"message": start})
    yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield _event("ping", {})
    for word in _WORDS:
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}})
    yield _event("content_block_stop", {"index": 0})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    details = {"thinking_tokens": tokens.reasoning}
    usage = {"output_tokens": tokens.output, "output_tokens_details": details}
    yield _event("message_delta", {"delta": delta, "usage": usage})
    yield _event("message_stop", {})


def gemini_content(reply_id: str, model: str, tokens: Tokens, text: str = "".join(_WORDS)) -> Body:
    """Return a ``GenerateContentResponse``; its candidates leave out thoughts."""
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0},
        ],
        "usageMetadata": {
            "promptTokenCount": tokens.input,
            "cachedContentTokenCount": tokens.cached,
            "candidatesTokenCount": tokens.output - tokens.reasoning,
            "thoughtsTokenCount": tokens.reasoning,
            "totalTokenCount": tokens.input + tokens.output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
        },
        "modelVersion": model,
        "responseId": reply_id,
    }


def gemini_content_stream(reply_id: str, model: str, tokens: Tokens) -> Iterator[bytes]:
    """Yield the chunks of a streamed reply; every one carries the usage so far, the last one all of it."""
    for number, word in enumerate(_WORDS, start=1):
        so_far = tokens._replace(output=tokens.reasoning + (tokens.output - tokens.reasoning) * number // len(_WORDS))
        yield _data(gemini_content(reply_id, model, so_far, word))


def refusal(provider: str) -> Body:
    """Return the provider's body for HTTP 429."""
    message = "Rate limit reached; this is the demo's one failing call."
    if provider == "anthropic":
        return {"type": "error", "error": {"type": "rate_limit_error", "message": message}}
    if provider == "gemini":
        return {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}
    return {"error": {"message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


def _openai_chat_usage(tokens: Tokens) -> Body:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _anthropic_usage(tokens: Tokens) -> Body:
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_written,
        "cache_creation_input_tokens": tokens.cache_written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
    }


def _data(body: Body) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _event(name: str, body: Body) -> bytes:
    return b"event: " + name.encode() + b"\n" + _data({"type": name, **body})
