"""A TCP proxy in front of PostgreSQL: closes the way, slows it down, or cuts a connection as COMMIT passes."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit


class DatabaseProxy:
    """Forward connections to the database of a URL; ``url`` is the same database behind this proxy.

    Use as an async context manager: before and after, nobody listens on its port.
    """

    def __init__(self, database_url: str, *, port: int = 0) -> None:
        self._parts = urlsplit(database_url)
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.delay_s = 0.0
        """Added to every piece of data in both directions."""
        self.commits_to_cut = 0
        self.forwards_commit = True
        """Whether a COMMIT that is cut reaches the server all the same."""

    @property
    def url(self) -> str:
        """Return the URL of the database through this proxy, without TLS so that COMMIT can be seen."""
        user = self._parts.username or "postgres"
        password = f":{self._parts.password}" if self._parts.password else ""
        return f"postgresql://{user}{password}@127.0.0.1:{self._port}{self._parts.path}?sslmode=disable"

    async def __aenter__(self) -> DatabaseProxy:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and reset every connection."""
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection there is; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hosts = parse_qs(self._parts.query).get("host", [])
        if hosts:
            there = await asyncio.open_unix_connection(f"{hosts[0]}/.s.PGSQL.5432")
        else:
            there = await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)
        self._writers |= {writer, there[1]}
        for task in (
            asyncio.create_task(self._forward(reader, there[1], writer, is_client=True)),
            asyncio.create_task(self._forward(there[0], writer, there[1], is_client=False)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, back: asyncio.StreamWriter, *, is_client: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if is_client and self.commits_to_cut and b"COMMIT" in data:
                    self.commits_to_cut -= 1
                    back.transport.abort()
                    if self.forwards_commit:
                        target.write(data)
                        await target.drain()
                    break
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()
            self._writers.discard(target)
