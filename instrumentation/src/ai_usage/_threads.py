"""Who pays goes along into threads: work given to an executor, and threads started, are paid by whoever did that.

Tasks and ``asyncio.to_thread`` carry Python's context themselves; threads and executors do not. Only who pays is
carried, not the current span: traces stay as the app has them.
"""

from __future__ import annotations

import functools
import os
import threading
from concurrent.futures import thread as pools
from concurrent.futures.thread import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context

from ai_usage import _guard
from ai_usage._context import detach
from ai_usage.attribution import current_attributes, paid_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.util.types import AttributeValue

THREADS_SETTING: Final = "AI_USAGE_INSTRUMENTATION_THREADS"
"""``false`` leaves threads and executors as they are."""

_lock = threading.Lock()
_originals: list[tuple[type, str, Callable[..., Any]]] = []


def is_wanted() -> bool:
    """Tell what the setting says."""
    return os.environ.get(THREADS_SETTING, "true").strip().lower() != "false"


def carry() -> None:
    """Have threads and executors carry who pays from now on."""
    with _lock:
        if not _originals:
            for owner, name, make in (
                (ThreadPoolExecutor, "submit", _submitting),
                (threading.Thread, "start", _starting),
            ):
                original = getattr(owner, name)
                _originals.append((owner, name, original))
                setattr(owner, name, functools.wraps(original)(make(original)))


def stop() -> None:
    """Take ``carry`` back."""
    with _lock:
        while _originals:
            owner, name, original = _originals.pop()
            setattr(owner, name, original)


def _submitting(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(executor: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return original(executor, _carrying(function), *args, **kwargs)

    return submit


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(thread: threading.Thread) -> None:
        # Threads of a pool outlive whoever made it start them: they are paid work by work.
        if getattr(thread, "_target", None) is not pools._worker:
            run = thread.run
            carrying = _carrying(run)
            if carrying is not run:
                thread.run = carrying  # type: ignore[method-assign]
        original(thread)

    return start


def _carrying(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs paid by whoever pays here; the function itself where nobody does."""
    try:
        attributes = current_attributes() if _originals else None
        return functools.partial(_run, attributes, function) if attributes else function
    except Exception:
        _guard.caught("carrying who pays into a thread")
        return function


def _run(attributes: Mapping[str, AttributeValue], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = _enter(attributes)
    try:
        return function(*args, **kwargs)
    finally:
        _leave(token)


def _enter(attributes: Mapping[str, AttributeValue]) -> Any:
    try:
        return context.attach(paid_by(attributes, context.get_current()))
    except Exception:
        _guard.caught("saying who pays in a thread")
        return None


def _leave(token: Any) -> None:
    try:
        if token is not None:
            detach(token)
    except Exception:
        _guard.caught("leaving a thread")
