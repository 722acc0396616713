"""Responses that run in the background: their usage comes with the first retrieve that finds them finished.

The create call is answered before the model is, so its span ends without usage. The first finished retrieve is told
as the call's own: same response id, the caller's own owner, begun when the provider says. Later retrieves repeat.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context

from ai_usage import _guard
from ai_usage._fields import field, word
from ai_usage._invocation import Invocation
from ai_usage.attribution import current_attributes
from ai_usage.openai.reply import read_response, read_response_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.util.types import AttributeValue

    from ai_usage._invocation import Reply, Telemetry

_KEPT: Final = 4096
"""How many responses are remembered; the receiver tells older ones apart by their id."""
_FINAL: Final = frozenset({"completed", "incomplete", "failed"})


class BackgroundResponses:
    """Remember which background responses wait for their usage, whose they are, and which are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Mapping[str, AttributeValue]] = OrderedDict()
        self._counted: OrderedDict[str, None] = OrderedDict()

    def read_created(self, response: Any) -> Reply:
        """Read the answer of a create call; one that is still at work has no usage yet."""
        answer = read_response(response)
        if not field(response, "background") or answer.response_id is None:
            return answer
        if answer.usage.is_reported:
            self.count(answer.response_id)
            return answer
        self._wait(answer.response_id)
        return answer._replace(is_complete=False)

    def read_created_stream(self, first: Any, last: Iterable[Any]) -> Reply:
        """Read the events of a create call; a stream left early can be taken up again by a retrieve."""
        answer = read_response_stream(first, last)
        if field(field(first, "response"), "background") and answer.response_id is not None:
            if answer.usage.is_reported:
                self.count(answer.response_id)
            else:
                self._wait(answer.response_id)
        return answer

    def count(self, response_id: str) -> bool:
        """Take note that a response is counted; return whether it was not before."""
        with self._lock:
            if response_id in self._counted:
                return False
            self._counted[response_id] = None
            if len(self._counted) > _KEPT:
                self._counted.popitem(last=False)
            return True

    def owner_of(self, response_id: str) -> Mapping[str, AttributeValue]:
        """Return who made the call, as span attributes, and forget it; empty for calls of other processes."""
        with self._lock:
            return self._waiting.pop(response_id, {})

    def _wait(self, response_id: str) -> None:
        # Reading may happen anywhere (a stream is dropped by the garbage collector): what is known here and now.
        owner = current_attributes(context.get_current())
        with self._lock:
            self._waiting.setdefault(response_id, owner)
            if len(self._waiting) > _KEPT:
                self._waiting.popitem(last=False)


class Retrieval(Invocation):
    """Follow the reading of a response: becomes a call only when it is the first to tell the usage of one."""

    __slots__ = ("_finished", "_is_over", "_known_attributes", "_responses")

    def __init__(
        self,
        telemetry: Telemetry,
        responses: BackgroundResponses,
        provider: str,
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        # No span is started: whether there is a call to tell is known at the end.
        self._telemetry = telemetry
        self._provider = provider
        self._responses = responses
        self._known_attributes = attributes
        self._finished: _Finished | None = None
        self._is_over = False

    def read(self, response: Any) -> Reply:
        """Read a response and remember whether it is one to count."""
        answer = read_response(response)
        if field(response, "background") and field(response, "status") in _FINAL and answer.usage.is_reported:
            self._finished = _finished(response)
        return answer

    def read_stream(self, first: Any, last: Iterable[Any]) -> Reply:
        """Read the events of a response."""
        for event in reversed(list(last)):
            response = field(event, "response")
            if response is not None:
                return self.read(response)
        return self.read(field(first, "response"))

    @property
    def is_done(self) -> bool:
        """Tell whether the reading is over."""
        return self._is_over

    def activate(self) -> Any:
        """Leave the context as it is: reading a response is no call of a model."""
        return context.attach(context.get_current())

    def note_first_chunk(self) -> None:
        """Do nothing: the first chunk was told long ago."""

    def abandon(self) -> None:
        """Do nothing: nothing was counted yet."""
        self._is_over = True

    def fail(self, error: BaseException, reply: Reply | None = None) -> None:  # noqa: ARG002 - of Invocation
        """Do nothing: that reading failed says nothing about the response."""
        self._is_over = True

    def finish(self, reply: Reply) -> None:
        """Count the response when it ran in the background, is finished and was not counted before."""
        self._is_over = True
        if self._finished is None or reply.response_id is None:
            return
        try:
            if self._responses.count(reply.response_id):
                self._tell(reply, self._finished, self._responses.owner_of(reply.response_id))
        except Exception:
            _guard.caught("counting a background response")

    def _tell(self, known: Reply, finished: _Finished, owner: Mapping[str, AttributeValue]) -> None:
        model = known.model or "unknown"
        # Whoever reads the answer is seldom who asked: what the create call said about its owner wins.
        invocation = Invocation(
            self._telemetry,
            "chat",
            self._provider,
            model,
            {**self._known_attributes, **owner},
            duration_ms=finished.duration_ms,
        )
        invocation.rename(self._provider, model, owner)
        if finished.failure is None:
            invocation.finish(known)
        else:
            invocation.fail_with(finished.failure, None, known)


class _Finished(NamedTuple):
    """Say how a background response ended."""

    duration_ms: float | None
    """From the request, by the provider's clock, until now that its end is known."""
    failure: str | None
    """The provider's code of what went wrong."""


def _finished(response: Any) -> _Finished:
    created = field(response, "created_at")
    duration_ms = (time.time() - created) * 1000 if isinstance(created, int | float) else None
    failure = None
    if field(response, "status") == "failed":
        failure = word(field(field(response, "error"), "code")) or "_OTHER"
    return _Finished(duration_ms if duration_ms is not None and duration_ms > 0 else None, failure)
