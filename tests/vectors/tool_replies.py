"""How each API of the stand-in asks for a tool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ai_usage_exporter.demo import replies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_usage_exporter.demo.replies import Body, Tokens


def openai_chat(reply: Body, tool: str) -> None:
    """Turn a ``chat.completion`` into one that asks for a tool."""
    reply["choices"][0]["message"] |= {"content": None, "tool_calls": [_function(tool)]}
    reply["choices"][0]["finish_reason"] = "tool_calls"


def openai_chat_stream(name: str, model: str, tokens: Tokens, tool: str) -> Iterator[bytes]:
    """Yield the events of a streamed chat that asks for a tool."""
    whole = replies.openai_chat(name, model, tokens)
    head = whole | {"object": "chat.completion.chunk", "usage": None}
    delta = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **_function(tool)}]}
    for change, reason in ((delta, None), ({}, "tool_calls")):
        yield _data(head | {"choices": [{"index": 0, "delta": change, "logprobs": None, "finish_reason": reason}]})
    yield _data(head | {"choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def openai_response(reply: Body, tool: str) -> None:
    """Turn a response into one that asks for a tool."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool, "arguments": "{}"}
    reply["output"] = [call | {"status": "completed"}]


def anthropic_message(reply: Body, tool: str) -> None:
    """Turn a message into one that asks for a tool."""
    reply |= {"content": [_use(tool)], "stop_reason": "tool_use"}


def anthropic_message_stream(name: str, model: str, tokens: Tokens, tool: str) -> Iterator[bytes]:
    """Yield the events of a streamed message that asks for a tool."""
    whole = replies.anthropic_message(name, model, tokens)
    start = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    json_delta = {"type": "input_json_delta", "partial_json": "{}"}
    for kind, event in (
        ("message_start", {"message": start}),
        ("content_block_start", {"index": 0, "content_block": _use(tool)}),
        ("content_block_delta", {"index": 0, "delta": json_delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": delta, "usage": {"output_tokens": tokens.output}}),
        ("message_stop", {}),
    ):
        yield f"event: {kind}\n".encode() + _data({"type": kind, **event})


def gemini_content(reply: Body, tool: str) -> None:
    """Turn content into a call of a function."""
    reply["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": tool, "args": {}}}]


def _function(tool: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": "{}"}}


def _use(tool: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}


def _data(body: Body) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"
