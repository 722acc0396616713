"""Telemetry never breaks the app: what goes wrong in here is logged once a place, counted, and forgotten."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger("ai_usage")

failures: Final[Counter[str]] = Counter()
"""Place → how often it failed in this process."""

_strict = False
requires_owner = False
"""True in tests that ask for it: a call without an owner fails. See ``ai_usage.testing``."""


ownerless: Final[list[str]] = []
"""What calls without an owner were told, in tests that ask for it: an app may swallow the error."""


class MissingOwnerError(AssertionError):
    """Say that a call was made outside of any ``usage_context``. Raised only in tests that ask for it."""


def require_owner(required: bool) -> bool:
    """Make calls without an owner fail (for users' tests) and return what was set before."""
    global requires_owner
    before, requires_owner = requires_owner, required
    return before


def check_owner(attributes: Mapping[str, object]) -> None:
    """Raise ``MissingOwnerError`` unless the attributes of a call name a user or a service."""
    if "user.id" in attributes or "ai_usage.service.name" in attributes:
        return
    ownerless.append(
        f"{attributes.get('gen_ai.operation.name')} {attributes.get('gen_ai.request.model')} was called without an "
        "owner: wrap the call in ai_usage.usage_context(user_id=..., service_name=...)"
    )
    raise MissingOwnerError(ownerless[-1])


def set_strict(strict: bool) -> bool:
    """Make failures raise (for tests of this package) and return what was set before."""
    global _strict
    before, _strict = _strict, strict
    return before


def caught(place: str) -> None:
    """Take note of the exception being handled; call it in an ``except Exception`` block.

    Logs the first failure of each place with its traceback. Re-raises only in strict mode.
    """
    if isinstance(sys.exception(), MissingOwnerError):
        raise
    failures[place] += 1
    if failures[place] == 1:
        with contextlib.suppress(Exception):  # log handlers and filters are the app's own
            _log.warning("usage of AI calls may be incomplete: %s failed (logged once)", place, exc_info=True)
    if _strict:
        raise
