"""The keys a server knows: all of them, in memory, never older than some seconds."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.keys import hash_token
from ai_usage_exporter.storage.keys import load_keys
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from ai_usage_exporter.keys import Key, Role

FRESH_S: Final = 5.0
"""The longest a revoked key may still let somebody in."""
USE_IS_NOTED_EVERY: Final = timedelta(minutes=5)

_READ_EVERY_S: Final = 0.25
_READ_TIMEOUT_S: Final = 5.0
_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_log = logging.getLogger(__name__)


class KeyRing:
    """Find keys by their hash in a copy of the table.

    The copy is renewed in the background while it is asked, so that nobody waits for the database; one older than
    ``fresh_s`` is not believed, and a key that is not in it is looked for once more: at most four times a second,
    whoever tries how many. Use as an async context manager.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, fresh_s: float = FRESH_S) -> None:
        self._pool = pool
        self._fresh_s = fresh_s
        self._by_hash: dict[bytes, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._roles: frozenset[Role] = frozenset()
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._noted: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> KeyRing:
        """Start; reads nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def find(self, token: str) -> Key | None:
        """Return the key, or ``None`` when it is unknown, revoked or expired.

        Raises ``RetryableError`` when keys cannot be read now: nobody is called unknown for that.
        """
        await self._freshen()
        token_hash = hash_token(token)
        if token_hash not in self._by_hash:
            await self._read(since=asyncio.get_running_loop().time())
        return self._usable(self._by_hash.get(token_hash))

    async def find_by_id(self, key_id: str) -> Key | None:
        """Return the key with an id, as ``find`` does."""
        await self._freshen()
        return self._usable(self._by_id.get(key_id))

    async def has_any(self, role: Role) -> bool:
        """Tell whether a key of a role was ever made, be it revoked or expired since. Raises ``RetryableError``."""
        await self._freshen()
        return role in self._roles

    def _usable(self, key: Key | None) -> Key | None:
        now = datetime.now(UTC)
        if key is None or not key.is_usable(now):
            return None
        noted = self._noted.get(key.id, key.last_used_at)
        if noted is None or now - noted > USE_IS_NOTED_EVERY:
            self._noted[key.id] = now
            self._start(self._note_use(key.id))
        return key

    async def _freshen(self) -> None:
        age_s = asyncio.get_running_loop().time() - self._read_at
        if age_s > self._fresh_s:
            await self._read(since=self._read_at)
        elif age_s > self._fresh_s / 2:
            self._start_reading()

    async def _read(self, *, since: float) -> None:
        """Return once a copy was made that began after ``since``. Raises ``RetryableError`` when that fails."""
        while self._read_at <= since:
            reading = self._start_reading()
            await asyncio.wait({reading})
            if self._read_at <= since and self._tried_at > since:
                raise RetryableError("keys cannot be looked up now, try again")

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = self._start(self._read_all())
        return self._reading

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._tried_at + _READ_EVERY_S - loop.time())
        began_at = self._tried_at = loop.time()
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S), self._pool.acquire() as connection:
                keys = await load_keys(connection)
        except _AWAY as error:
            _log.warning("keys cannot be read: %s", type(error).__name__)
            return
        self._by_hash = {key.token_hash: key for key in keys}
        self._by_id = {key.id: key for key in keys}
        self._roles = frozenset(key.role for key in keys)
        self._read_at = began_at

    async def _note_use(self, key_id: str) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S), self._pool.acquire() as connection:
                await connection.execute(load_statement("key_used"), key_id, USE_IS_NOTED_EVERY)
        except _AWAY as error:
            _log.warning("the use of a key cannot be noted: %s", type(error).__name__)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
