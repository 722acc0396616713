"""What the stand-in answers as Amazon Bedrock: Converse, invoked models, and its binary event stream."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import TYPE_CHECKING, Any

from ai_usage_exporter.demo import replies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_usage_exporter.demo.replies import Body, Tokens


def converse(tokens: Tokens, content: list[Body], stop_reason: str) -> Body:
    """Return the reply of Converse; its input count leaves out both cache kinds, its total does not."""
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": _usage(tokens),
        "metrics": {"latencyMs": 250},
    }


def converse_stream(tokens: Tokens) -> Iterator[bytes]:
    """Yield the events of a streamed reply; usage comes with the last one."""
    yield _event("messageStart", {"role": "assistant"})
    for word in ("A", " short", " answer."):
        yield _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}})
    yield _event("contentBlockStop", {"contentBlockIndex": 0})
    yield _event("messageStop", {"stopReason": "end_turn"})
    yield _event("metadata", {"usage": _usage(tokens), "metrics": {"latencyMs": 250}})


def anthropic_stream(name: str, model: str, tokens: Tokens) -> Iterator[bytes]:
    """Yield Anthropic's own events, each in a frame; to the last one Bedrock adds its own counts."""
    for event in replies.anthropic_message_stream(name, model, tokens):
        data = json.loads(event.partition(b"data: ")[2])
        if data["type"] == "message_stop":
            data["amazon-bedrock-invocationMetrics"] = {
                "inputTokenCount": tokens.input - tokens.cached - tokens.cache_written,
                "outputTokenCount": tokens.output,
                "invocationLatency": 250,
                "firstByteLatency": 125,
            }
        yield _event("chunk", {"bytes": base64.b64encode(json.dumps(data).encode()).decode()})


def titan_embedding(tokens: Tokens) -> Body:
    """Return what Titan answers for one text."""
    return {"embedding": [0.0125, -0.25, 0.5], "inputTextTokenCount": tokens.input}


def _usage(tokens: Tokens) -> Body:
    return {
        "inputTokens": tokens.input - tokens.cached - tokens.cache_written,
        "outputTokens": tokens.output,
        "totalTokens": tokens.input + tokens.output,
        "cacheReadInputTokens": tokens.cached,
        "cacheWriteInputTokens": tokens.cache_written,
    }


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    """Return a frame of Amazon's event stream: lengths, headers, payload, each part with its checksum."""
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in (
            (":event-type", kind), (":content-type", "application/json"), (":message-type", "event"),
        )
    )  # fmt: skip
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    frame = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return frame + struct.pack(">I", binascii.crc32(frame))
