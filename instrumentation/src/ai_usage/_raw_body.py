"""Raw and streaming responses: read what passes when the caller reads the body, never read it for them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ai_usage import _guard
from ai_usage._methods import wrap_method

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_usage._content import StreamContent
    from ai_usage._invocation import Invocation, Reply

_EVENT: Final = re.compile(rb".*?(?:\r?\n){2}", re.DOTALL)
_KEPT_BYTES: Final = 1 << 20
"""Of each end of a body; usage stands at one of them."""


class RawBodyWatch:
    """Copy the ends of a body as the caller reads it; end the call when the response is closed."""

    def __init__(
        self,
        invocation: Invocation,
        read: Callable[[Any], Reply],
        read_stream: Callable[[Any, Any], Reply],
        content: StreamContent | None = None,
        hide: Callable[[Any], bool] | None = None,
    ) -> None:
        """``content`` is given every event of a stream; those to ``hide`` do not reach the caller."""
        self._invocation = invocation
        self._read = read
        self._read_stream = read_stream
        self._content = content
        self._hide = hide
        self._pending = b""
        self._head = bytearray()
        self._tail = bytearray()
        self._is_whole = False
        self._unwrap: list[Callable[[], None]] = []

    def watch(self, response: Any) -> None:
        """Follow an HTTP response by its own decoded-bytes iterators; end the call at once when it was read."""
        if response.is_stream_consumed or response.is_closed:
            self._head += response.content
            self._is_whole = True
            self.end()
            return
        iter_bytes, aiter_bytes = response.iter_bytes, response.aiter_bytes
        close, aclose = response.close, response.aclose

        def watched_iter(*args: Any, **kwargs: Any) -> Any:
            for piece in iter_bytes(*args, **kwargs):
                self._take(piece)
                if shown := self._shown(piece):
                    yield shown
            self._is_whole = True
            if self._pending:
                yield self._pending

        async def watched_aiter(*args: Any, **kwargs: Any) -> Any:
            async for piece in aiter_bytes(*args, **kwargs):
                self._take(piece)
                if shown := self._shown(piece):
                    yield shown
            self._is_whole = True
            if self._pending:
                yield self._pending

        def watched_close() -> None:
            try:
                close()
            finally:
                self.end()

        async def watched_aclose() -> None:
            try:
                await aclose()
            finally:
                self.end()

        self._unwrap = [
            wrap_method(response, "iter_bytes", watched_iter),
            wrap_method(response, "aiter_bytes", watched_aiter),
            wrap_method(response, "close", watched_close),
            wrap_method(response, "aclose", watched_aclose),
        ]

    def end(self) -> None:
        """End the call with what was read."""
        try:
            if not self._invocation.is_done:
                self._invocation.finish(self._known())
            while self._unwrap:
                self._unwrap.pop()()
        except Exception:
            _guard.caught("ending a raw body")

    def _shown(self, piece: bytes) -> bytes:
        """Return what the caller may see of the body so far: whole events, without those to hide."""
        try:
            if self._hide is None:
                return piece
            body = self._pending + piece
            events = _EVENT.findall(body)
            shown = b"".join(event for event in events if not self._is_hidden(event))
            self._pending = body[sum(len(event) for event in events) :]
        except Exception:
            _guard.caught("hiding an event")
            shown, self._pending, self._hide = self._pending + piece, b"", None
        return shown

    def _is_hidden(self, event: bytes) -> bool:
        return self._hide is not None and any(self._hide(document) for document in _events(event))

    def _take(self, piece: bytes) -> None:
        try:
            if len(self._head) < _KEPT_BYTES:
                self._head += piece
                return
            self._tail += piece
            if len(self._tail) > 2 * _KEPT_BYTES:
                del self._tail[:-_KEPT_BYTES]
        except Exception:
            _guard.caught("copying a raw body")

    def _known(self) -> Reply:
        from ai_usage._invocation import Reply

        try:
            head = bytes(self._head)
            if head.lstrip()[:1] == b"{":
                return self._read(json.loads(head + bytes(self._tail)))
            events = [event for part in (head, bytes(self._tail)) for event in _events(part)]
            if not events:
                return Reply(is_complete=self._is_whole)  # sound, plain text: nothing in it is about usage
            if self._content is not None:
                for event in events:
                    self._content.take(event)
            return self._read_stream(events[0], events)
        except ValueError:
            return Reply(is_complete=False)  # cut off: nothing is known
        except Exception:
            _guard.caught("reading a raw body")
            return Reply(is_complete=False)


def _events(body: bytes) -> list[Any]:
    """Return the JSON payloads of server-sent events; whatever is no JSON (cut pieces, [DONE]) is left out."""
    found = []
    for line in body.splitlines():
        if line.startswith(b"data:"):
            try:
                found.append(json.loads(line[5:]))
            except ValueError:
                continue
    return found
