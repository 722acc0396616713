"""Streams: watch what passes, change nothing, end the call exactly once.

The SDK's own stream object stays what the caller gets. Its inner iterator is replaced by one of these, and the bytes
of the HTTP response tell when they are closed. Of the chunks only the first and the last few are kept: they hold
everything that is said about usage.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ai_usage import _guard
from ai_usage._invocation import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ai_usage._invocation import Invocation

_KEPT: Final = 4
"""How many chunks from the end are kept: usage, finish reason and the events that close a message."""

_watching: Final[set[StreamWatch]] = set()
"""Those of streams that may still be dropped: a weak reference tells only while somebody holds it."""


class StreamWatch:
    """Collect what a stream says about its call and end the call once."""

    __slots__ = ("_bytes", "_first", "_invocation", "_is_told", "_passing", "_read", "_stream", "_tail")

    def __init__(self, invocation: Invocation, read: Callable[[Any, deque[Any]], Reply]) -> None:
        """``read`` turns the first chunk and the last few into a reply; both may be missing."""
        self._invocation = invocation
        self._read = read
        self._first: Any = None
        self._tail: deque[Any] = deque(maxlen=_KEPT)
        self._is_told = False
        self._passing: weakref.ref[Any] | None = None
        self._stream: weakref.ref[object] | None = None
        self._bytes: _WatchedBytes | None = None

    def iterate(self, inner: Iterator[Any], hide: Callable[[Any], bool] | None = None) -> Iterator[Any]:
        """Yield what ``inner`` yields, except chunks to ``hide``."""
        passing = self._pass(inner, hide)
        self._passing = weakref.ref(passing)
        return passing

    def iterate_async(self, inner: AsyncIterator[Any], hide: Callable[[Any], bool] | None = None) -> AsyncIterator[Any]:
        """Yield what ``inner`` yields, except chunks to ``hide``."""
        passing = self._pass_async(inner, hide)
        self._passing = weakref.ref(passing)
        return passing

    def _pass(self, inner: Iterator[Any], hide: Callable[[Any], bool] | None) -> Iterator[Any]:
        keep, is_first = self._tail.append, True
        try:
            for chunk in inner:
                if is_first:
                    is_first = False
                    self._first = chunk
                    self._invocation.note_first_chunk()
                keep(chunk)
                if hide is None or not hide(chunk):
                    yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self.end()

    async def _pass_async(self, inner: AsyncIterator[Any], hide: Callable[[Any], bool] | None) -> AsyncIterator[Any]:
        keep, is_first = self._tail.append, True
        try:
            async for chunk in inner:
                if is_first:
                    is_first = False
                    self._first = chunk
                    self._invocation.note_first_chunk()
                keep(chunk)
                if hide is None or not hide(chunk):
                    yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self.end()

    def watch_close(self, stream: object, response: Any) -> None:
        """End the call when the HTTP response is closed, or when the stream is dropped without that."""
        self.watch_drop(stream)
        holder: Any = getattr(response, "stream", None)
        read = getattr(holder, "_stream", None)
        if read is not None:
            # Not a method of the response: one that its class does not know slows all that is done with responses.
            self._bytes = holder._stream = _WatchedBytes(holder, read, self)

    def watch_drop(self, stream: object) -> None:
        """End the call when the stream is dropped unread."""
        self._stream = weakref.ref(stream, self._dropped)
        _watching.add(self)

    def _dropped(self, _stream: weakref.ref[object]) -> None:
        if not sys.is_finalizing():  # exporters are shut down then
            self.end()

    def was_closed(self) -> None:
        """End the call, unless a chunk is being read: SDKs close responses themselves, at the end and on errors."""
        try:
            passing = None if self._passing is None else self._passing()
            if not getattr(passing, "gi_running", False) and not getattr(passing, "ag_running", False):
                self.end()
        except Exception:
            _guard.caught("noticing that a stream was closed")

    def end(self) -> None:
        """End the call with what is known by now."""
        try:
            self._stream = None
            _watching.discard(self)
            if not self._is_told:
                self._is_told = True
                self._invocation.finish(self._known())
            if self._bytes is not None:
                self._bytes.leave()
                self._bytes = None
        except Exception:
            _guard.caught("ending a stream")

    def fail(self, error: BaseException) -> None:
        """End the call as failed, keeping what is known by now."""
        self._is_told = True
        try:
            self._invocation.fail(error, self._known())
        except Exception:
            _guard.caught("ending a failed stream")

    def _known(self) -> Reply:
        try:
            return self._read(self._first, self._tail)
        except Exception:
            _guard.caught("reading a stream")
            return Reply(is_complete=False)


class _WatchedBytes:
    """Stand in for what a response's bytes are read from, and tell a watch when that is closed."""

    __slots__ = ("_holder", "_read", "_watch")

    def __init__(self, holder: Any, read: Any, watch: StreamWatch) -> None:
        self._holder = holder
        self._read = read
        self._watch = watch

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._read)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._read)

    def close(self) -> None:
        try:
            self._read.close()
        finally:
            self._watch.was_closed()

    async def aclose(self) -> None:
        try:
            await self._read.aclose()
        finally:
            self._watch.was_closed()

    def leave(self) -> None:
        """Let the response have its bytes back."""
        if self._holder._stream is self:
            self._holder._stream = self._read
