"""The demo's stand-in provider, which also calls the first tool it is offered, once a conversation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ai_usage_exporter.demo import replies
from ai_usage_exporter.demo.provider import StandInProvider, _Handler

if TYPE_CHECKING:
    from collections.abc import Iterator


class _ToolHandler(_Handler):
    def _answer_openai(self, endpoint: str, body: dict[str, Any], raw: bytes) -> None:
        if not body.get("tools") or any(message["role"] == "tool" for message in body["messages"]):
            super()._answer_openai(endpoint, body, raw)
            return
        call = self._hand_out("openai", body["model"], raw, is_stream=False)
        if call is None:
            return
        reply_id, tokens = call
        reply = replies.openai_chat(reply_id, body["model"], tokens)
        function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
        choice = reply["choices"][0]
        choice["message"] |= {
            "content": None,
            "tool_calls": [{"id": f"call_{reply_id}", "type": "function", "function": function}],
        }
        choice["finish_reason"] = "tool_calls"
        self._send_json(200, reply)


@contextmanager
def provider_with_tools() -> Iterator[StandInProvider]:
    """Run the provider for the length of a ``with`` block."""
    provider = StandInProvider()
    provider._server.RequestHandlerClass = _ToolHandler
    try:
        yield provider
    finally:
        provider.stop()
