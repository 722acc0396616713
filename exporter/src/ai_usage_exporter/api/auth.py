"""Who asks and what they may see: bearer tokens for programs, sessions for the page."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations of dependencies

from ai_usage_exporter.api.problem import ProblemError
from ai_usage_exporter.api.sessions import SESSION_COOKIE
from ai_usage_exporter.keys import MAX_TOKEN_LENGTH, Role, hash_token

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from ai_usage_exporter.api.sessions import Session, Sessions
    from ai_usage_exporter.key_ring import KeyRing
    from ai_usage_exporter.keys import Key

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Hold who asks.

    ``services`` limits a viewer, ``None`` is every service; ``key_id`` is ``None`` for the admin token.
    """

    name: str
    role: Role
    services: frozenset[str] | None = None
    key_id: str | None = None

    @property
    def may_read(self) -> bool:
        """Tell whether usage may be shown to it."""
        return self.role is not Role.INGEST


class Authenticator(Protocol):
    """Turn a token into who asks. Raises ``RetryableError`` when that cannot be told now."""

    async def authenticate(self, token: str) -> Principal | None:
        """Return the token's owner, or ``None`` when it is unknown, revoked or expired."""
        ...

    async def recall(self, session: Session) -> Principal | None:
        """Return who opened a session, or ``None`` when what they signed in with is no longer good."""
        ...


class AdminToken:
    """Accept one configured token as the admin's."""

    def __init__(self, token: str) -> None:
        """Keep only the token's hash. Raises ``ValueError`` for an empty token, which would let everybody in."""
        if not token:
            raise ValueError("the admin token is empty: it would let everybody in")
        self._hash = hash_token(token)

    async def authenticate(self, token: str) -> Principal | None:
        """Compare hashes in constant time, so that neither length nor content leaks through the clock."""
        return _ADMIN if hmac.compare_digest(hash_token(token), self._hash) else None

    async def recall(self, session: Session) -> Principal | None:
        """Return the admin when it was this token."""
        return _ADMIN if session.key_id is None and session.is_of(self._hash) else None


class Keys:
    """Accept keys made with ``ai-usage keys create``."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def authenticate(self, token: str) -> Principal | None:
        """Return the key's owner, whatever its role."""
        key = await self._ring.find(token)
        return None if key is None else _of_key(key)

    async def recall(self, session: Session) -> Principal | None:
        """Return the owner of the key that was signed in with, while it is good."""
        key = None if session.key_id is None else await self._ring.find_by_id(session.key_id)
        return _of_key(key) if key is not None and session.is_of(key.token_hash) else None


class AnyOf:
    """Ask several authenticators in turn."""

    def __init__(self, *authenticators: Authenticator) -> None:
        self._authenticators = authenticators

    async def authenticate(self, token: str) -> Principal | None:
        """Return the first owner found."""
        for authenticator in self._authenticators:
            if (principal := await authenticator.authenticate(token)) is not None:
                return principal
        return None

    async def recall(self, session: Session) -> Principal | None:
        """Return the first owner found."""
        for authenticator in self._authenticators:
            if (principal := await authenticator.recall(session)) is not None:
                return principal
        return None


class Access:
    """Guard routes: each route depends on ``viewer`` or ``admin``; none is guarded by its path."""

    def __init__(self, authenticator: Authenticator, sessions: Sessions) -> None:
        self._authenticator = authenticator
        self._sessions = sessions

    async def principal(self, connection: HTTPConnection) -> Principal | None:
        """Return who asks, by bearer token, else by session cookie; ``None`` when that is not valid."""
        values = connection.headers.getlist("authorization")
        if len(values) > 1:
            return None  # two identities in one request: neither
        if values:
            scheme, _, token = values[0].partition(" ")
            return await self._owner(token.strip()) if scheme.lower() == "bearer" else None
        secret = connection.cookies.get(SESSION_COOKIE)
        session = await self._sessions.find(secret) if secret else None
        return None if session is None else await self._authenticator.recall(session)

    async def sign_in(self, token: str) -> str | None:
        """Open a session with a token and return its secret; ``None`` when it lets nobody see anything."""
        principal = await self._owner(token)
        if principal is None or not principal.may_read:
            return None
        return await self._sessions.open(principal.key_id, token)

    async def sign_out(self, connection: HTTPConnection) -> None:
        """Close the session of the cookie, if there is one."""
        if secret := connection.cookies.get(SESSION_COOKIE):
            await self._sessions.close(secret)

    async def viewer(self, request: Request) -> Principal:
        """Let who may read in. Raises ``ProblemError`` 401, or 403 for an ingest key or a write from another site."""
        principal = await self.principal(request)
        if principal is None:
            raise ProblemError(
                401,
                "unauthenticated",
                "send the admin token or a key as 'Authorization: Bearer …', or sign in at /admin/ai-usage",
                headers={"www-authenticate": 'Bearer realm="ai-usage"'},
            )
        if not principal.may_read:
            raise ProblemError(
                403, "forbidden", "this key may send spans and see nothing; it takes a viewer or admin key"
            )
        if request.method not in _SAFE_METHODS and "authorization" not in request.headers:
            require_same_origin(request)
        return principal

    async def admin(self, request: Request) -> Principal:
        """Let admins in. Raises ``ProblemError`` 401 or 403."""
        principal = await self.viewer(request)
        if principal.role is not Role.ADMIN:
            raise ProblemError(403, "forbidden", "this needs an admin token; yours may read usage only")
        return principal

    async def unlimited(self, request: Request) -> Principal:
        """Let who may see every service in. Raises ``ProblemError`` 401 or 403."""
        principal = await self.viewer(request)
        if principal.services is not None:
            raise ProblemError(403, "forbidden", "this tells of all services; your key may see some only")
        return principal

    async def _owner(self, token: str) -> Principal | None:
        return await self._authenticator.authenticate(token) if 0 < len(token) <= MAX_TOKEN_LENGTH else None


def require_same_origin(connection: HTTPConnection) -> None:
    """Refuse a write that another site's page started. Raises ``ProblemError`` 403.

    Browsers send ``Origin`` with every POST; a proxy that rewrites Host is covered by ``Sec-Fetch-Site``, which
    pages cannot set.
    """
    headers = connection.headers
    if headers.get("sec-fetch-site") == "same-origin":
        return
    origin = headers.get("origin", "")
    if origin and urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != "":
        return
    raise ProblemError(403, "forbidden", "the request's Origin is missing or is not this server")


_ADMIN: Final = Principal("admin", Role.ADMIN)


def _of_key(key: Key) -> Principal:
    return Principal(key.name, key.role, key.services, key.id)
