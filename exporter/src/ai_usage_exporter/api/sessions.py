"""Sessions of the page: who is signed in, for how long, and with what; the cookie never holds a token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.keys import MAX_TOKEN_LENGTH, hash_token
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    import asyncpg

SESSION_COOKIE: Final = "ai_usage_session"
SESSION_MAX_AGE: Final = timedelta(hours=12)


class Session(NamedTuple):
    """Hold what was signed in with: the id of a key, ``None`` for the admin token, and a proof of which."""

    key_id: str | None
    secret: str
    token_mac: bytes

    def is_of(self, token_hash: bytes) -> bool:
        """Tell whether it was opened with the token that has this hash."""
        return hmac.compare_digest(_mac(self.secret, token_hash), self.token_mac)


class Sessions:
    """Keep sessions in the database: they outlive a restart, and signing out ends them everywhere.

    Only hashes are kept. What was signed in with is kept as an HMAC under the session's own secret, so that not even a
    weak admin token can be guessed from a dump.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def open(self, key_id: str | None, token: str) -> str:
        """Sign in with a token that was found good; return the session's secret, for the cookie."""
        secret = secrets.token_urlsafe(32)
        mac = _mac(secret, hash_token(token))
        await self._pool.execute(load_statement("session_open"), hash_token(secret), key_id, mac, SESSION_MAX_AGE)
        return secret

    async def find(self, secret: str) -> Session | None:
        """Return the session, or ``None`` when there is none or it is over."""
        if not 0 < len(secret) <= MAX_TOKEN_LENGTH:
            return None
        row = await self._pool.fetchrow(load_statement("session_find"), hash_token(secret))
        return None if row is None else Session(row["key_id"], secret, row["token_mac"])

    async def close(self, secret: str) -> None:
        """Sign out."""
        await self._pool.execute(load_statement("session_close"), hash_token(secret))


def _mac(secret: str, token_hash: bytes) -> bytes:
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), token_hash, hashlib.sha256)
