"""Streams: watch what passes, change nothing, end the call exactly once.

The SDK's own stream object stays what the caller gets. Its inner iterator is replaced by one of these, and the HTTP
response tells when it is closed. Of the chunks only the first and the last few are kept: they hold everything that
is said about usage.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ai_usage import _guard
from ai_usage._invocation import Reply
from ai_usage._methods import unwrap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ai_usage._invocation import Invocation

_KEPT: Final = 4
"""How many chunks from the end are kept: usage, finish reason and the events that close a message."""

_watching: Final[set[StreamWatch]] = set()
"""Those of streams that may still be dropped: a weak reference tells only while somebody holds it."""


class StreamWatch:
    """Collect what a stream says about its call and end the call once."""

    __slots__ = (
        "_close",
        "_close_name",
        "_closer",
        "_first",
        "_invocation",
        "_is_reading",
        "_is_told",
        "_read",
        "_response",
        "_stream",
        "_tail",
    )

    def __init__(self, invocation: Invocation, read: Callable[[Any, deque[Any]], Reply]) -> None:
        """``read`` turns the first chunk and the last few into a reply; both may be missing."""
        self._invocation = invocation
        self._read = read
        self._first: Any = None
        self._tail: deque[Any] = deque(maxlen=_KEPT)
        self._is_reading = False
        self._is_told = False
        self._stream: weakref.ref[object] | None = None
        self._response: Any = None
        self._close: Any = None
        self._close_name = "close"
        self._closer: Any = None

    def iterate(self, inner: Iterator[Any], hide: Callable[[Any], bool] | None = None) -> Iterator[Any]:
        """Yield what ``inner`` yields, except chunks to ``hide``."""
        keep, is_first = self._tail.append, True
        try:
            self._is_reading = True
            for chunk in inner:
                if is_first:
                    is_first = False
                    self._take_first(chunk)
                keep(chunk)
                if hide is not None and hide(chunk):
                    continue
                self._is_reading = False
                yield chunk
                self._is_reading = True
        except GeneratorExit:
            raise
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._is_reading = False
            self.end()

    async def iterate_async(
        self, inner: AsyncIterator[Any], hide: Callable[[Any], bool] | None = None
    ) -> AsyncIterator[Any]:
        """Yield what ``inner`` yields, except chunks to ``hide``."""
        keep, is_first = self._tail.append, True
        try:
            self._is_reading = True
            async for chunk in inner:
                if is_first:
                    is_first = False
                    self._take_first(chunk)
                keep(chunk)
                if hide is not None and hide(chunk):
                    continue
                self._is_reading = False
                yield chunk
                self._is_reading = True
        except GeneratorExit:
            raise
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._is_reading = False
            self.end()

    def watch_close(self, stream: object, response: Any, *, is_async: bool) -> None:
        """End the call when the response is closed, or when the stream is dropped without that."""
        self.watch_drop(stream)
        self._close_name = "aclose" if is_async else "close"
        self._close = getattr(response, self._close_name, None)
        if self._close is not None:
            self._closer = self._closing_async if is_async else self._closing
            setattr(response, self._close_name, self._closer)
            self._response = response

    def watch_drop(self, stream: object) -> None:
        """End the call when the stream is dropped unread."""
        self._stream = weakref.ref(stream, self._dropped)
        _watching.add(self)

    def _dropped(self, _stream: weakref.ref[object]) -> None:
        if not sys.is_finalizing():  # exporters are shut down then
            self.end()

    # The SDK closes the response itself at the end and on errors: the iteration under way knows which it is.
    def _closing(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._close(*args, **kwargs)
        finally:
            if not self._is_reading:
                self.end()

    async def _closing_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self._close(*args, **kwargs)
        finally:
            if not self._is_reading:
                self.end()

    def _take_first(self, chunk: Any) -> None:
        try:
            self._first = chunk
            self._invocation.note_first_chunk()
        except Exception:
            _guard.caught("timing a stream")

    def end(self) -> None:
        """End the call with what is known by now."""
        try:
            self._stream = None
            _watching.discard(self)
            if not self._is_told:
                self._is_told = True
                self._invocation.finish(self._known())
            response, self._response = self._response, None
            if response is not None:
                unwrap(response, self._close_name, self._closer, self._close)
                self._closer = None  # holds this object
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
