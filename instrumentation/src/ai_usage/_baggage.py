"""What of an attribution travels with requests to other services, as W3C baggage, and what of it never does."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import baggage

from ai_usage import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

_log = logging.getLogger("ai_usage")

BAGGAGE_SETTING: Final = "AI_USAGE_INSTRUMENTATION_BAGGAGE"
"""What may leave the process: some of ``user_id, user_email, service_name, service_action``, or ``none``."""

NAMES: Final[Mapping[str, str]] = {
    "user_id": semconv.USER_ID,
    "user_email": semconv.USER_EMAIL,
    "service_name": semconv.SERVICE_NAME,
    "service_action": semconv.SERVICE_ACTION,
}
DEFAULT: Final = ("user_id", "service_name", "service_action")
_ATTRIBUTES: Final = frozenset(NAMES.values())

_sent: frozenset[str] | None = None


def send(names: Iterable[str] | None) -> None:
    """Choose what may leave the process by name; ``None`` leaves it to the setting. Raises ``ValueError``."""
    global _sent
    if names is None:
        _sent = None
        return
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in NAMES:
            raise ValueError(f"unknown baggage {name!r}: choose from {', '.join(NAMES)}")
    _sent = frozenset(NAMES[name] for name in chosen)


def sent() -> frozenset[str]:
    """Return the attributes that may leave the process."""
    global _sent
    if _sent is None:
        said = [name.strip() for name in os.environ.get(BAGGAGE_SETTING, ",".join(DEFAULT)).split(",")]
        unknown = [name for name in said if name and name != "none" and name not in NAMES]
        if unknown:
            _log.warning("%s: %s is none of %s and stays here", BAGGAGE_SETTING, unknown[0], ", ".join(NAMES))
        _sent = frozenset(NAMES[name] for name in said if name in NAMES)
    return _sent


def put(given: Mapping[str, AttributeValue], into: Context) -> Context:
    """Return a context that sends what may leave of an attribution and nothing else that stood there of ours."""
    allowed = sent()
    for key in _ATTRIBUTES & given.keys():
        value = given[key]
        # Many apps use the email as the id: an id that looks like one goes where emails may go.
        is_email = key == semconv.USER_ID and "@" in str(value) and semconv.USER_EMAIL not in allowed
        if key in allowed and not is_email:
            into = baggage.set_baggage(key, value, into)
        else:
            into = baggage.remove_baggage(key, into)
    return into


def received(of: Context) -> dict[str, AttributeValue]:
    """Return what came in as baggage, as span attributes."""
    carried = baggage.get_all(of)
    return {key: value for key in NAMES.values() if isinstance(value := carried.get(key), str)} if carried else {}


def without_ours(entries: Any) -> dict[str, object]:
    """Return baggage entries as a provider may see them: it is none of its business who pays."""
    return {key: value for key, value in entries.items() if key not in _ATTRIBUTES}
