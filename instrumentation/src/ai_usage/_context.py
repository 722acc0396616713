"""What is current, and how to put back what was: without a word when a task ends where it did not begin.

``current`` and ``attach`` are those of OpenTelemetry, less two functions of Python between each and the variable.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

current: Callable[[], Context]
attach: Callable[[Context], Any]
_reset: Callable[[Any], None]

_runtime: Any = context._RUNTIME_CONTEXT
_variable = getattr(_runtime, "_current_context", None)
if isinstance(_variable, ContextVar):
    current, attach, _reset = _variable.get, _variable.set, _variable.reset
else:
    current, attach, _reset = _runtime.get_current, _runtime.attach, _runtime.detach


def detach(token: Any) -> None:
    """Restore what was current before ``attach`` gave the token.

    A generator or coroutine that is closed from another task cannot restore anything there, and need not: what it
    attached ended with its own task. OpenTelemetry's ``detach`` would log an error about it.
    """
    try:
        _reset(token)
    except ValueError:
        return
