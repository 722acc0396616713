"""The end of a process waits a bounded time for calls that are still to be sent, whatever became of the receiver."""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
import weakref
from typing import Any, Final

import wrapt

_log = logging.getLogger("ai_usage")

LONGEST_WAIT_S: Final = 2.5
"""All providers of the process together; the SDK by itself waits up to 30 s for each."""

_deadline_s: float | None = None


def bound(provider: Any) -> None:
    """Have the SDK's provider wait a bounded time when it is shut down at the end of this process and of its children.

    Providers that are not shut down at the end (``shutdown_on_exit=False``) are the app's to end.
    """
    handler = getattr(provider, "_atexit_handler", None)
    if handler is None:
        return
    atexit.unregister(handler)
    # Under the same name, so that a shutdown by the app takes it out as well.
    provider._atexit_handler = atexit.register(functools.partial(_shut_down, provider))
    # Children of multiprocessing end without atexit; this process may be one, or have some.
    hook = functools.partial(_end_with_multiprocessing, weakref.ref(provider))
    wrapt.register_post_import_hook(hook, "multiprocessing.util")


def _end_with_multiprocessing(provider: weakref.ref[Any], util: Any) -> None:
    if (alive := provider()) is None:
        return
    finalize = functools.partial(util.Finalize, None, _shut_down_of, args=(provider,), exitpriority=0)
    finalize()
    util.register_after_fork(alive, lambda _provider: finalize())  # a forked child forgets its parent's finalizers


def _shut_down_of(provider: weakref.ref[Any]) -> None:
    if (alive := provider()) is not None:
        _shut_down(alive)


def _shut_down(provider: Any) -> None:
    global _deadline_s
    if _deadline_s is None:
        _deadline_s = time.monotonic() + LONGEST_WAIT_S
    # A daemon: it cannot hold the process back.
    thread = threading.Thread(target=provider.shutdown, name="ai_usage-exit", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # some releases of Python start no thread this late
        provider.shutdown()
        return
    thread.join(max(0.1, _deadline_s - time.monotonic()))
    if thread.is_alive():
        _log.warning("calls of the last seconds may be lost: the receiver did not take them in time")
