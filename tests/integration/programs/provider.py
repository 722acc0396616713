"""The demo's stand-in provider, which also calls the first tool it is offered and sums conversations up if told to."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ai_usage_exporter.demo import replies
from ai_usage_exporter.demo.provider import StandInProvider, _Handler
from ai_usage_exporter.demo.replies import Tokens

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

    def _answer_advised(self, body: dict[str, Any], raw: bytes) -> None:
        """Answer with the help of another model, which is billed at its own price."""
        advisor = body["tools"][0]["model"]
        calls = [self._hand_out("anthropic", model, raw, is_stream=False) for model in (body["model"], advisor)]
        (reply_id, tokens), (_, advice) = (call for call in calls if call is not None)
        reply = replies.anthropic_message(reply_id, body["model"], tokens)
        usage = replies.anthropic_message(reply_id, advisor, advice)["usage"]
        iterations = [{"type": "message", **reply["usage"]}, {"type": "advisor_message", "model": advisor, **usage}]
        reply["usage"] |= {"iterations": iterations}
        self._send_json(200, reply)

    def _answer_anthropic(self, body: dict[str, Any], raw: bytes) -> None:
        if body.get("tools"):
            self._answer_advised(body, raw)
            return
        if "context_management" not in body:
            super()._answer_anthropic(body, raw)
            return
        is_stream = bool(body.get("stream"))
        call = self._hand_out("anthropic", body["model"], raw, is_stream=is_stream)
        if call is None:
            return
        reply_id, tokens = call
        # Half of what is billed is the summary's, and in none of the message's own counts.
        summary = Tokens((tokens.input - tokens.cached - tokens.cache_written) // 2, tokens.output // 2, 0, 0, 0)
        message = tokens._replace(input=tokens.input - summary.input, output=tokens.output - summary.output)
        reply = replies.anthropic_message(reply_id, body["model"], message)
        iterations = [
            {"type": "compaction", "input_tokens": summary.input, "output_tokens": summary.output},
            {"type": "message", **reply["usage"]},
        ]
        if is_stream:
            self._send_events(
                _with_iterations(replies.anthropic_message_stream(reply_id, body["model"], message), iterations)
            )
        else:
            reply["usage"] |= {"iterations": iterations}
            self._send_json(200, reply)


def _with_iterations(events: Iterator[bytes], iterations: list[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        if event.startswith(b"event: message_delta"):
            name, _, data = event.partition(b"data: ")
            delta = json.loads(data)
            delta["usage"]["iterations"] = iterations
            yield name + b"data: " + json.dumps(delta).encode() + b"\n\n"
        else:
            yield event


@contextmanager
def provider_with_tools() -> Iterator[StandInProvider]:
    """Run the provider for the length of a ``with`` block."""
    provider = StandInProvider()
    provider._server.RequestHandlerClass = _ToolHandler
    try:
        yield provider
    finally:
        provider.stop()
