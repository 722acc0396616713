"""What is current, and how to put back what was: without a word when a task ends where it did not begin."""

from __future__ import annotations

from typing import Any

from opentelemetry import context


def detach(token: Any) -> None:
    """Restore what was current before ``attach`` gave the token.

    A generator or coroutine that is closed from another task cannot restore anything there, and need not: what it
    attached ended with its own task. OpenTelemetry's ``detach`` would log an error about it.
    """
    try:
        context._RUNTIME_CONTEXT.detach(token)
    except ValueError:
        return
