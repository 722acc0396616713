"""A stand-in for OpenAI, Anthropic and Gemini on loopback, with a ledger of every token it handed out."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ai_usage_exporter.demo import replies
from ai_usage_exporter.demo.replies import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

FAIL_MARK = "[fail]"
"""A request whose body holds this is answered with HTTP 429."""


_STOP_WITHIN_S: Final = 0.02


class HandedOut(NamedTuple):
    """Record one answered call: what a bill of the provider would list."""

    provider: str
    model: str
    is_stream: bool
    failed: bool
    tokens: Tokens


class StandInProvider:
    """Answer like the real providers do; ``base_url(name)`` is what their SDKs are pointed at.

    Serves in background threads until ``stop``. Token counts differ from call to call and are the same in every run.
    """

    def __init__(self) -> None:
        self.ledger: list[HandedOut] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_WITHIN_S,), name="stand-in provider", daemon=True
        )
        self._thread.start()

    def base_url(self, provider: str) -> str:
        """Return the base URL of ``openai``, ``anthropic`` or ``gemini``."""
        suffix = {"openai": "/openai/v1", "anthropic": "/anthropic", "gemini": "/gemini"}[provider]
        return f"http://127.0.0.1:{self._server.server_port}{suffix}"

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hand_out(
        self, provider: str, model: str, *, is_stream: bool, failed: bool, is_embedding: bool
    ) -> tuple[str, Tokens]:
        """Enter a call into the ledger; return its reply id and its tokens."""
        with self._lock:
            number = len(self.ledger) + 1
            tokens = Tokens(0, 0, 0, 0, 0) if failed else _tokens(number, provider, is_embedding=is_embedding)
            self.ledger.append(HandedOut(provider, model, is_stream, failed, tokens))
        return f"standin{number:06d}", tokens


@contextmanager
def stand_in_provider() -> Iterator[StandInProvider]:
    """Run a stand-in provider for the length of a ``with`` block."""
    provider = StandInProvider()
    try:
        yield provider
    finally:
        provider.stop()


def _tokens(number: int, provider: str, *, is_embedding: bool) -> Tokens:
    """Return plausible counts: every third call hits the cache, every fourth reasons."""
    size = 180 + 137 * number % 1900
    if is_embedding:
        return Tokens(size, 0, 0, 0, 0)
    cached = size // 2 if number % 3 == 0 else 0
    written = size // 4 if provider == "anthropic" and number % 2 == 0 else 0
    output = 40 + 61 * number % 420
    reasoning = output // 3 if provider != "anthropic" and number % 4 == 0 else 0
    return Tokens(size, output, cached, written, reasoning)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: StandInProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients that hang up in the middle go without a word."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: the demo's own output is what people read."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        path, _, query = self.path.partition("?")
        body = json.loads(raw or b"{}")
        if path.startswith("/openai/v1/"):
            self._answer_openai(path.removeprefix("/openai/v1/"), body, raw)
        elif path == "/anthropic/v1/messages":
            self._answer_anthropic(body, raw)
        elif path.startswith("/gemini/"):
            model, _, method = path.rpartition("/")[2].partition(":")
            self._answer_gemini(model, method, query, raw)
        else:
            self._send_json(404, {"error": {"message": f"no such endpoint: {path}", "type": "invalid_request_error"}})

    def _answer_openai(self, endpoint: str, body: dict[str, Any], raw: bytes) -> None:
        is_stream = bool(body.get("stream"))
        call = self._hand_out("openai", body["model"], raw, is_stream=is_stream, is_embedding=endpoint == "embeddings")
        if call is None:
            return
        reply_id, tokens = call
        if endpoint == "embeddings":
            self._send_json(200, replies.openai_embeddings(body["model"], tokens))
        elif is_stream:
            wanted = bool((body.get("stream_options") or {}).get("include_usage"))
            self._send_events(replies.openai_chat_stream(reply_id, body["model"], tokens, include_usage=wanted))
        else:
            self._send_json(200, replies.openai_chat(reply_id, body["model"], tokens))

    def _answer_anthropic(self, body: dict[str, Any], raw: bytes) -> None:
        is_stream = bool(body.get("stream"))
        call = self._hand_out("anthropic", body["model"], raw, is_stream=is_stream)
        if call is None:
            return
        reply_id, tokens = call
        if is_stream:
            self._send_events(replies.anthropic_message_stream(reply_id, body["model"], tokens))
        else:
            self._send_json(200, replies.anthropic_message(reply_id, body["model"], tokens))

    def _answer_gemini(self, model: str, method: str, query: str, raw: bytes) -> None:
        is_stream = method == "streamGenerateContent" and "alt=sse" in query
        call = self._hand_out("gemini", model, raw, is_stream=is_stream)
        if call is None:
            return
        reply_id, tokens = call
        if is_stream:
            self._send_events(replies.gemini_content_stream(reply_id, model, tokens))
        else:
            self._send_json(200, replies.gemini_content(reply_id, model, tokens))

    def _hand_out(
        self, provider: str, model: str, raw: bytes, *, is_stream: bool, is_embedding: bool = False
    ) -> tuple[str, Tokens] | None:
        failed = FAIL_MARK.encode() in raw
        ledger = cast("_Server", self.server).provider
        call = ledger.hand_out(provider, model, is_stream=is_stream, failed=failed, is_embedding=is_embedding)
        if failed:
            self._send_json(429, replies.refusal(provider))
            return None
        return call

    def _send_json(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_events(self, events: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
