"""Answers of the providers as they come over the wire, for a mock transport: one function, one reply."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

OPENAI_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
CHAT_USAGE = {
    "prompt_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "completion_tokens": 50,
    "completion_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
ANTHROPIC_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
    "output_tokens": 30,
    "service_tier": "standard",
}
COMPACTED_USAGE = {
    **ANTHROPIC_USAGE,
    "iterations": [
        {"type": "compaction", "input_tokens": 500, "output_tokens": 60},
        {"type": "message", "input_tokens": 10, "output_tokens": 30},
    ],
}
ADVISED_USAGE = {
    **ANTHROPIC_USAGE,
    "iterations": [
        {"type": "message", **ANTHROPIC_USAGE},
        {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 800, "output_tokens": 70},
    ],
}
DECLINED_USAGE = {
    **ANTHROPIC_USAGE,
    "iterations": [
        {"type": "message", "model": "claude-opus-4-5", "input_tokens": 800, "output_tokens": 70},
        {"type": "fallback_message", "model": "claude-sonnet-4-5-20250929", **ANTHROPIC_USAGE},
    ],
}
FALLBACK_USAGE = {
    **ANTHROPIC_USAGE,
    "iterations": [
        {"type": "message", "model": "claude-fable-5", "input_tokens": 10, "output_tokens": 0},
        {"type": "fallback_message", "model": "claude-sonnet-4-5-20250929", **ANTHROPIC_USAGE},
    ],
}
GEMINI_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "toolUsePromptTokenCount": 7,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 157,
}


ANSWER = {"role": "assistant", "content": "secret answer"}


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Give a body bit by bit, as a network does; bodies given whole count as read already."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content[at : at + 61] for at in range(0, len(content), 61)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Server:
    """Answer every request the same way (or by a function of it) and remember what was asked."""

    def __init__(self, answer: Any) -> None:
        self._answer: Callable[[httpx2.Request], httpx2.Response] = answer if callable(answer) else lambda _: answer
        self.requests: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self._handle)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answer(request)
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return httpx2.Response(answer.status_code, headers=headers, stream=_Pieces(answer.content))

    @property
    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=self.transport)

    @property
    def async_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=self.transport)


def body(document: Any) -> httpx2.Response:
    return httpx2.Response(200, json=document)


def events(documents: Iterable[dict[str, Any]], kind: str | None = "type") -> httpx2.Response:
    """Answer with server-sent events, named by the given key of each document."""
    lines = []
    for document in documents:
        if kind is not None and kind in document:
            lines.append(f"event: {document[kind]}\n")
        lines.append(f"data: {json.dumps(document)}\n\n")
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content="".join(lines).encode())


def chat(**more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "secret answer"}}
        ],
        "usage": CHAT_USAGE,
        **more,
    }


def response(**more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_007,
        "model": "gpt-4o-2024-08-06",
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "secret answer", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": OPENAI_USAGE,
        **more,
    }


def response_events(**more: Any) -> list[dict[str, Any]]:
    begun = {**response(**more), "status": "in_progress", "usage": None, "output": [], "completed_at": None}
    return [
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.in_progress", "sequence_number": 1, "response": begun},
        {"type": "response.completed", "sequence_number": 2, "response": response(**more)},
    ]


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "secret answer"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
        **more,
    }


def message_events(final_usage: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    start = message(content=[], stop_reason=None, usage={**ANTHROPIC_USAGE, "output_tokens": 1})
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "secret answer"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": final_usage or {"output_tokens": 30},
        },
        {"type": "message_stop"},
    ]


def bedrock_events() -> httpx2.Response:
    """Answer a streamed message in Amazon's binary event frames."""
    frames = b"".join(_frame(event) for event in message_events())
    return httpx2.Response(200, headers={"content-type": "application/vnd.amazon.eventstream"}, content=frames)


def _frame(event: dict[str, Any]) -> bytes:
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in (
            (":event-type", "chunk"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    frame = prelude + headers + payload
    return frame + struct.pack(">I", binascii.crc32(frame))


def content(parts: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [
            {"content": {"role": "model", "parts": parts or [{"text": "secret answer"}]}, "finishReason": "STOP"}
        ],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
        "usageMetadata": GEMINI_USAGE,
        **more,
    }
