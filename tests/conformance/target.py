"""What is tested: a receiver's two addresses, and what its owner can arrange or look up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from contextlib import AbstractContextManager


class Endpoint(NamedTuple):
    """Hold the addresses of one receiver, ``host:port`` each."""

    grpc: str
    http: str


class Locked(NamedTuple):
    """Hold a receiver that asks for a key, and headers to send it with."""

    endpoint: Endpoint
    allowed: dict[str, str]
    """Headers that are let in."""
    forbidden: dict[str, str]
    """Headers of somebody known who may not send."""
    store_away: AbstractContextManager[Endpoint]
    """A receiver whose key store cannot be reached while this is entered."""


class Health(NamedTuple):
    """Hold the URLs a receiver tells its health at."""

    live: str
    ready: str


SpanId = tuple[bytes, bytes]
"""Trace id and span id."""


class Hooks:
    """Arrange states and look up facts that no OTLP client can; every answer ``None`` means: not for this receiver."""

    def stored(self, ids: Collection[SpanId]) -> dict[SpanId, int] | None:
        """Return how often each of ``ids`` is stored; absent ones may be left out."""
        return None

    def overloaded(self) -> AbstractContextManager[Endpoint] | None:
        """Give a receiver that has no room for any request while this is entered."""
        return None

    def database_away(self) -> AbstractContextManager[tuple[Endpoint, Health]] | None:
        """Give a receiver that runs and cannot reach its database while this is entered."""
        return None

    def transient_failures(self) -> Iterable[tuple[str, AbstractContextManager[Endpoint]]] | None:
        """Give, by name, receivers whose storage fails in one way that may pass."""
        return None

    def draining(self) -> AbstractContextManager[tuple[Endpoint, Health]] | None:
        """Give a receiver that was told to stop and still has a request in flight while this is entered."""
        return None

    def locked(self) -> Locked | None:
        """Give a receiver that asks for a key."""
        return None

    def health(self) -> Health | None:
        """Return where the receiver under test tells its health."""
        return None

    def rss_bytes(self) -> int | None:
        """Return the memory the receiver's process holds now."""
        return None

    def default_listen(self) -> Collection[str] | None:
        """Return the hosts the receiver listens on when nothing is configured."""
        return None

    def parks_unbillable(self) -> bool:
        """Tell whether a span with impossible token counts is set aside, with a warning to the sender."""
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """Hold one receiver and how to test it."""

    grpc: str
    http: str
    headers: dict[str, str] = field(default_factory=dict)
    limit_bytes: int = 64 * 1024 * 1024
    """Its size limit of a request."""
    keep_alive_requests: int = 10_000
    """Requests sent over one connection."""
    timeout_s: float = 30.0
    hooks: Hooks = field(default_factory=Hooks)

    def at(self, endpoint: Endpoint, headers: dict[str, str] | None = None) -> Target:
        """Return the same at other addresses."""
        return replace(
            self, grpc=endpoint.grpc, http=endpoint.http, headers=self.headers if headers is None else headers
        )
