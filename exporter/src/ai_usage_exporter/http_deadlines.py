"""HTTP connections with deadlines: uvicorn waits for ever for headers and bodies that do not come."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


class Deadlines(NamedTuple):
    """Bound what one connection may take, in seconds and bytes."""

    headers_s: float = 10
    """From the first byte of a request to the end of its headers."""
    body_s: float = 60
    """From the end of the headers to the end of the body."""
    idle_s: float = 75
    """Without a request, also before the first."""
    header_bytes: int = 64 * 1024


class _Waits(Enum):
    REQUEST = "request"
    HEADERS = "headers"
    BODY = "body"
    ANSWER = "answer"


class DeadlineProtocol(HttpToolsProtocol):
    """Close connections whose sender is too slow; nothing of such a request was passed on whole."""

    deadlines: ClassVar[Deadlines] = Deadlines()
    _timer: asyncio.TimerHandle | None = None
    _waits = _Waits.REQUEST
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request, no longer than between two."""
        super().connection_made(transport)
        self._wait(_Waits.REQUEST, self.deadlines.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; refuse headers without end."""
        if self._waits is _Waits.REQUEST:
            self._wait(_Waits.HEADERS, self.deadlines.headers_s)
            self._head_bytes = 0
        if self._waits is _Waits.HEADERS:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._waits is _Waits.HEADERS and self._head_bytes > self.deadlines.header_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Start the deadline of headers."""
        super().on_message_begin()
        if self._waits is not _Waits.HEADERS:
            self._wait(_Waits.HEADERS, self.deadlines.headers_s)
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Start the deadline of the body."""
        self._wait(_Waits.BODY, self.deadlines.body_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop: the answer is ours to give."""
        self._waits = _Waits.ANSWER
        self._stop_timer()
        super().on_message_complete()
        if self.cycle.response_complete:  # answered before all of it had come
            self._wait(_Waits.REQUEST, self.deadlines.idle_s)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self._waits is _Waits.ANSWER:
            self._wait(_Waits.REQUEST, self.deadlines.idle_s)
        super().on_response_complete()

    def _wait(self, what: _Waits, timeout_s: float) -> None:
        self._stop_timer()
        self._waits = what
        self._timer = self.loop.call_later(timeout_s, self._is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        if self.flow.read_paused:  # it is us who do not read
            self._timer = self.loop.call_later(1, self._is_late)
        elif not self.transport.is_closing():
            # Not close(): that would wait for what the other side does not read.
            self.transport.abort()


def protocol_with(deadlines: Deadlines) -> type[DeadlineProtocol]:
    """Return the protocol with these deadlines; uvicorn makes one object of it for each connection."""
    return type("DeadlineProtocol", (DeadlineProtocol,), {"deadlines": deadlines})
