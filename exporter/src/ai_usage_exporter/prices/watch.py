"""Keep a server's own prices up to date: told by the database at once, looked up again every half minute anyway."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.book import PriceBook
from ai_usage_exporter.prices.file import read_prices_file
from ai_usage_exporter.storage.prices import CHANNEL, load_prices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ai_usage_exporter.price import Pricing
    from ai_usage_exporter.prices.book import OwnPrice
    from ai_usage_exporter.storage.connection import DatabaseConnection

POLL_S: Final = 30.0
"""The longest a change may go unnoticed when nobody tells: behind PgBouncer, after a lost connection, in the file."""

_log = logging.getLogger(__name__)


async def load_book(connection: DatabaseConnection, file: Path | None) -> PriceBook:
    """Return the own prices of the database and, where that has none, of the file. Raises ``PermanentError``."""
    of_file = read_prices_file(file) if file is not None else ()
    return PriceBook([stored.price for stored in await load_prices(connection)], of_file)


class PriceWatch:
    """Give ``pricing`` a new book whenever the table or the file has changed.

    ``connect`` opens the connection that listens; it is opened again whenever it is lost.
    """

    def __init__(
        self,
        pricing: Pricing,
        connect: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]],
        file: Path | None = None,
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self._pricing = pricing
        self._connect = connect
        self._file = file
        self._poll_s = poll_s
        self._changed = asyncio.Event()
        self._of_file: tuple[OwnPrice, ...] = ()
        self._file_state: tuple[int, int, int] | None = None

    async def load(self, connection: DatabaseConnection) -> None:
        """Read everything once, before the first call is priced. Raises ``PermanentError`` for a bad file."""
        if self._file is not None:
            self._file_state = _state(self._file)
            self._of_file = read_prices_file(self._file)
        await self._renew(connection)
        if self._pricing.book.prices:
            _log.info("%d own prices", len(self._pricing.book.prices))

    async def run(self) -> None:
        """Watch until cancelled; what cannot be read leaves the prices as they are, with a warning."""
        while True:
            try:
                await self._watch()
            except (OSError, TimeoutError, PermanentError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("own prices cannot be watched, trying again in %g s: %s", self._poll_s, error)
            await asyncio.sleep(self._poll_s)

    async def _watch(self) -> None:
        connection = await self._connect()
        try:
            await connection.add_listener(CHANNEL, self._on_change)
            connection.add_termination_listener(self._on_change)
            while not connection.is_closed():
                self._changed.clear()
                self._read_file_again()
                await self._renew(connection)
                try:
                    async with asyncio.timeout(self._poll_s):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            connection.terminate()

    async def _renew(self, connection: DatabaseConnection) -> None:
        of_table = tuple(stored.price for stored in await load_prices(connection))
        # The memo of a book that says the same is worth keeping.
        if self._pricing.book.prices != (*of_table, *self._of_file):
            self._pricing.book = PriceBook(of_table, self._of_file)
            _log.info("own prices changed: %d now", len(self._pricing.book.prices))

    def _read_file_again(self) -> None:
        if self._file is None or (state := _state(self._file)) == self._file_state:
            return
        self._file_state = state
        try:
            self._of_file = read_prices_file(self._file)
        except PermanentError as error:
            _log.error("the prices file changed and cannot be used, its prices stay as they were: %s", error)

    def _on_change(self, *_: Any) -> None:
        self._changed.set()


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
