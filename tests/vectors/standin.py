"""Stand in for OpenAI, Anthropic, Gemini and Bedrock on loopback, and for the receiver that gets the spans of a case.

What is handed out depends on the case alone, so that every run of a program is answered alike. A program says where a
case starts and ends with ``POST /case/<name>`` and ``POST /case``.
"""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import unquote

from ai_usage_exporter.demo import replies
from ai_usage_exporter.demo.replies import Tokens
from tests.vectors import anthropic_replies, bedrock_replies, tool_replies
from tests.vectors.anthropic_replies import COMPACTION

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT_MODEL: Final = "gpt-4o-mini"
CHAT_MODEL_SERVED: Final = "gpt-4o-mini-2024-07-18"
_SERVED: Final = {CHAT_MODEL: CHAT_MODEL_SERVED, "claude-fable-5": "claude-opus-4-8"}
# Provider and what the name of a case ends with → what each of its calls costs in tokens.
_PLAIN: Final = Tokens(100, 50, 0, 0, 0)
_TOKENS: Final = {
    ("openai", "cached"): Tokens(1200, 50, 1000, 0, 0),
    ("anthropic", "cached"): Tokens(1210, 30, 1000, 200, 0),
    ("anthropic", "reasoning"): Tokens(100, 50, 0, 0, 20),
    ("anthropic", "compaction"): Tokens(1210 + COMPACTION.input, 30 + COMPACTION.output, 1000, 200, 0),
    ("vertex", "cached"): Tokens(1210, 30, 1000, 200, 0),
    ("bedrock", "cached"): Tokens(1210, 30, 1000, 200, 0),
    ("gemini", "cached"): Tokens(1200, 50, 1000, 0, 0),
    ("openai", "reasoning"): Tokens(100, 50, 0, 0, 20),
    ("gemini", "reasoning"): Tokens(100, 50, 0, 0, 20),
    ("openai", "retrieve"): Tokens(100, 50, 40, 0, 20),
}
_EMBEDDING: Final = Tokens(64, 0, 0, 0, 0)
_AMAZON: Final = "application/vnd.amazon.eventstream"


class Call(NamedTuple):
    """Hold what the stand-in handed out for one call, in the meaning of the rows."""

    provider: str
    model: str
    request_model: str
    response_id: str | None
    status: int
    tokens: Tokens

    def as_json(self) -> dict[str, Any]:
        """Return the call as it stands in a vector."""
        tokens = self.tokens._asdict()
        return {
            "provider": self.provider,
            "request_model": self.request_model,
            "model": self.model,
            "response_id": self.response_id,
            "http_status": self.status,
            "tokens": {name: count for name, count in tokens.items() if count or name in {"input", "output"}},
        }


class Case(NamedTuple):
    """Hold what came of one case: the calls answered, and the export requests received."""

    name: str
    calls: list[Call]
    exports: list[tuple[str, str, bytes]]
    """(path, content type, body)."""


class StandIn:
    """Answer providers' requests and take exports until ``stop``."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.case: Case | None = None
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run a stand-in for the length of a ``with`` block."""
    server = StandIn()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients that hang up go without a word."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _stand_in(self) -> StandIn:
        return cast("_Server", self.server).stand_in

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return one moment for the ``Date`` of every reply: some record it."""
        return "Sun, 01 Nov 2026 12:00:00 GMT"

    def do_GET(self) -> None:
        stored = self.path.rpartition("/")[2].partition("?")[0]
        case = self._stand_in.case
        call = next((call for call in case.calls if call.response_id == stored), None) if case else None
        if call is None:
            self._send_json(404, {"error": {"message": f"nothing at {self.path}", "type": "invalid_request_error"}})
        else:
            self._send_json(200, _openai_response(stored, call.model, call.tokens))

    def do_POST(self) -> None:
        raw = self._read_body()
        path, _, query = self.path.partition("?")
        if path.startswith("/case"):
            self._turn_to(path.removeprefix("/case").strip("/"))
        elif path in {"/v1/traces", "/v1/logs", "/v1/metrics"}:
            self._take_export(path, raw)
        elif path.startswith("/openai/v1/"):
            self._answer_openai(path.removeprefix("/openai/v1/"), json.loads(raw))
        elif path.endswith("/v1/messages"):
            self._answer_anthropic(json.loads(raw))
        elif path.startswith("/vertex/"):
            model = unquote(path.rpartition("/")[2].partition(":")[0])
            self._answer_anthropic(json.loads(raw) | {"model": model}, "vertex")
        elif path.startswith("/gemini/"):
            model, _, method = path.rpartition("/")[2].partition(":")
            self._answer_gemini(model, method, query, json.loads(raw))
        elif path.startswith("/bedrock/model/"):
            model, _, method = path.removeprefix("/bedrock/model/").rpartition("/")
            self._answer_bedrock(unquote(model), method, json.loads(raw))
        else:
            self._send_json(404, {"error": {"message": f"nothing at {path}", "type": "invalid_request_error"}})

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            raw = b""
            while size := int(self.rfile.readline(), 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

    def _turn_to(self, name: str) -> None:
        stand_in = self._stand_in
        with stand_in.lock:
            stand_in.case = Case(name, [], []) if name else None
            if stand_in.case is not None:
                stand_in.cases.append(stand_in.case)
        self._send_json(200, {})

    def _take_export(self, path: str, raw: bytes) -> None:
        case = self._stand_in.case
        content_type = self.headers.get("content-type", "").partition(";")[0]
        if case is not None and path != "/v1/metrics":
            with self._stand_in.lock:
                case.exports.append((path, content_type, raw))
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", "2" if content_type == "application/json" else "0")
        self.end_headers()
        if content_type == "application/json":
            self.wfile.write(b"{}")

    def _hand_out(self, provider: str, model: str, prefix: str | None, *, embedding: bool = False) -> Call | None:
        """Enter a call into the case; ``None`` when it is refused, and the refusal was sent."""
        stand_in = self._stand_in
        with stand_in.lock:
            case = stand_in.case
            if case is None:
                raise RuntimeError("a call outside of every case")
            number = len(case.calls)
            fails = case.name.endswith("error")
            tokens = _EMBEDDING if embedding else _TOKENS.get((provider, case.name.rpartition("-")[2]), _PLAIN)
            # Calls of one case differ, so that none is taken for another.
            tokens = tokens._replace(input=tokens.input + 7 * number)
            name = f"{prefix}standin{len(stand_in.cases):03d}{number:03d}" if prefix is not None else None
            if fails:
                call = Call(provider, model, model, None, 429, Tokens(0, 0, 0, 0, 0))
            else:
                call = Call(provider, _SERVED.get(model, model), model, name, 200, tokens)
            case.calls.append(call)
        if fails:
            headers = {"x-should-retry": "false", "x-amzn-errortype": "ThrottlingException"}
            self._send_json(429, replies.refusal(provider), headers)
            return None
        return call

    def _answer_openai(self, endpoint: str, body: dict[str, Any]) -> None:
        kind = {"embeddings": None, "responses": "resp_"}.get(endpoint, "chatcmpl-")
        call = self._hand_out("openai", body["model"], kind, embedding=endpoint == "embeddings")
        if call is None:
            return
        if endpoint == "embeddings":
            self._send_json(200, replies.openai_embeddings(call.model, call.tokens))
        elif endpoint == "responses":
            self._answer_response(call, body)
        else:
            self._answer_chat(call, body)

    def _answer_chat(self, call: Call, body: dict[str, Any]) -> None:
        name = (call.response_id or "").removeprefix("chatcmpl-")
        answered = any(message.get("role") == "tool" for message in body["messages"])
        tool = body["tools"][0]["function"]["name"] if body.get("tools") and not answered else ""
        if body.get("stream") and tool:
            self._send_events(tool_replies.openai_chat_stream(name, call.model, call.tokens, tool))
        elif body.get("stream"):
            wanted = bool((body.get("stream_options") or {}).get("include_usage"))
            self._send_events(replies.openai_chat_stream(name, call.model, call.tokens, include_usage=wanted))
        else:
            reply = replies.openai_chat(name, call.model, call.tokens)
            if tool:
                tool_replies.openai_chat(reply, tool)
            self._send_json(200, reply)

    def _answer_response(self, call: Call, body: dict[str, Any]) -> None:
        reply = _openai_response(call.response_id or "", call.model, call.tokens)
        answered = any(item.get("type") == "function_call_output" for item in body["input"] if isinstance(item, dict))
        if body.get("tools") and not answered:
            tool_replies.openai_response(reply, body["tools"][0]["name"])
        if not body.get("stream"):
            self._send_json(200, reply)
            return
        started = reply | {"status": "in_progress", "usage": None, "output": []}
        events = (("response.created", started), ("response.completed", reply))
        self._send_events(
            f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': n, 'response': of})}\n\n".encode()
            for n, (name, of) in enumerate(events)
        )

    def _answer_anthropic(self, body: dict[str, Any], provider: str = "anthropic") -> None:
        call = self._hand_out(provider, body["model"], "msg_")
        if call is None:
            return
        name = (call.response_id or "").removeprefix("msg_")
        headers = {"request-id": f"req_{name}"}
        kind = (self._stand_in.case or Case("", [], [])).name.rpartition("-")[2]
        own, more = anthropic_replies.split(kind, name, call.request_model, call.model, call.tokens)
        asks = len(body["messages"]) == 1 and any("input_schema" in tool for tool in body.get("tools") or ())
        tool = body["tools"][0]["name"] if asks else ""
        if body.get("stream") and tool:
            self._send_events(
                tool_replies.anthropic_message_stream(name, call.model, call.tokens, tool), headers=headers
            )
        elif body.get("stream"):
            events = replies.anthropic_message_stream(name, call.model, own)
            self._send_events(anthropic_replies.stream(events, more), headers=headers)
        else:
            reply = replies.anthropic_message(name, call.model, own)
            reply["usage"] |= more
            if tool:
                tool_replies.anthropic_message(reply, tool)
            self._send_json(200, reply, headers)

    def _answer_bedrock(self, model: str, method: str, body: dict[str, Any]) -> None:
        prefix = None if "onverse" in method or "embed" in model else "msg_"
        call = self._hand_out("bedrock", model, prefix, embedding=prefix is None and method == "invoke")
        if call is None:
            return
        name = (call.response_id or "").removeprefix("msg_")
        if method == "converse":
            self._send_json(200, bedrock_replies.converse(call.tokens, [{"text": "A short answer."}], "end_turn"))
        elif method == "converse-stream":
            self._send_events(bedrock_replies.converse_stream(call.tokens), _AMAZON)
        elif "embed" in model:
            self._send_json(200, bedrock_replies.titan_embedding(call.tokens))
        elif method == "invoke":
            self._send_json(200, replies.anthropic_message(name, model, call.tokens))
        else:
            self._send_events(bedrock_replies.anthropic_stream(name, model, call.tokens), _AMAZON)

    def _answer_gemini(self, model: str, method: str, query: str, body: dict[str, Any]) -> None:
        if "mbed" in method:
            if self._hand_out("gemini", model, None, embedding=True) is not None:
                vector = {"values": [0.0125, -0.25, 0.5]}
                self._send_json(200, {"embedding": vector} if method == "embedContent" else {"embeddings": [vector]})
            return
        call = self._hand_out("gemini", model, "")
        if call is None:
            return
        if method == "streamGenerateContent" and "alt=sse" in query:
            self._send_events(_gemini_stream(call))
        else:
            reply = replies.gemini_content(call.response_id or "", model, call.tokens)
            if body.get("tools") and len(body["contents"]) == 1:
                tool_replies.gemini_content(reply, body["tools"][0]["functionDeclarations"][0]["name"])
            self._send_json(200, reply)

    def _send_json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _send_events(
        self,
        events: Iterator[bytes],
        content_type: str = "text/event-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _gemini_stream(call: Call) -> Iterator[bytes]:
    """Yield three chunks; only the last is finished, each has the usage so far."""
    for number in (1, 2, 3):
        so_far = call.tokens._replace(output=call.tokens.output * number // 3)
        chunk = replies.gemini_content(call.response_id or "", call.model, so_far, "Words. ")
        if number < 3:
            del chunk["candidates"][0]["finishReason"]
        yield b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _openai_response(name: str, model: str, tokens: Tokens) -> dict[str, Any]:
    text = {"type": "output_text", "text": "A short answer.", "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": name,
        "object": "response",
        "created_at": 1_764_000_000,
        "status": "completed",
        "model": model,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "service_tier": "default",
        "usage": {
            "input_tokens": tokens.input,
            "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
            "output_tokens": tokens.output,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.input + tokens.output,
        },
    }
