"""The one place where both transports ask who is sending: before a request's body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ai_usage_exporter.errors import ForbiddenError, UnauthenticatedError
from ai_usage_exporter.keys import MAX_TOKEN_LENGTH, Role
from ai_usage_exporter.receiver.allowance import Allowance

if TYPE_CHECKING:
    from ai_usage_exporter.key_ring import KeyRing
    from ai_usage_exporter.keys import Key

KEY_HEADERS: Final = frozenset({"authorization", "x-api-key"})


@dataclass(frozen=True, slots=True)
class Sender:
    """Hold what a sender may do: ``None`` is everything."""

    name: str | None = None
    """Of its key."""
    services: frozenset[str] | None = None
    allowance: Allowance | None = None


ANYBODY: Final = Sender()

Headers: TypeAlias = Iterable[tuple[str, str]]
Gate: TypeAlias = Callable[[Headers], Awaitable[Sender]]
"""Take a request's headers or metadata, names in lower case; return the sender when it may send.

Only ``KEY_HEADERS`` need be given. Raises ``UnauthenticatedError`` (401), ``ForbiddenError`` (403), or
``RetryableError`` when it cannot tell now or the sender has sent too much.
"""


async def let_everybody_in(_headers: Headers) -> Sender:
    """Ask for nothing."""
    return ANYBODY


class KeyGate:
    """Let senders with an ingest key in; ``is_local`` lets everybody in until the first ingest key is made."""

    def __init__(self, ring: KeyRing, *, is_local: bool) -> None:
        self._ring = ring
        self._is_local = is_local
        self._senders: dict[str, tuple[Key, Sender]] = {}

    async def __call__(self, headers: Headers) -> Sender:
        """Return who sends. Raises as a ``Gate`` does."""
        if self._is_local and not await self._ring.has_any(Role.INGEST):
            return ANYBODY
        key = await self._ring.find(_presented(headers))
        if key is None:
            raise UnauthenticatedError("this key is not known here: it is wrong, revoked or expired")
        if key.role is not Role.INGEST:
            raise ForbiddenError(f"key {key.label} may not send spans: its role is {key.role}, it takes ingest")
        sender = self._sender(key)
        if sender.allowance is not None:
            sender.allowance.check()
        return sender

    def _sender(self, key: Key) -> Sender:
        known = self._senders.get(key.id)
        if known is not None and known[0] is key:
            return known[1]
        allowance = None
        if key.spans_per_s is not None:
            before = known[1].allowance if known is not None else None
            is_same = before is not None and before.spans_per_s == key.spans_per_s
            allowance = before if is_same else Allowance(key.label, key.spans_per_s)
        sender = Sender(key.label, key.services, allowance)
        self._senders[key.id] = (key, sender)
        return sender


def _presented(headers: Headers) -> str:
    """Return the one key in the headers. Raises ``UnauthenticatedError`` for none, several, or another scheme."""
    found = [(name, value) for name, value in headers if name in KEY_HEADERS]
    if not found:
        raise UnauthenticatedError("send an ingest key as 'Authorization: Bearer …' or 'x-api-key: …'")
    if len(found) > 1:
        raise UnauthenticatedError("send one key: this request has several Authorization or x-api-key headers")
    name, value = found[0]
    if name == "authorization":
        scheme, _, value = value.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError("send the key as 'Authorization: Bearer …': another scheme is not known here")
    value = value.strip()
    if not 0 < len(value) <= MAX_TOKEN_LENGTH:
        raise UnauthenticatedError("this is no key: ai-usage keys create makes one")
    return value
