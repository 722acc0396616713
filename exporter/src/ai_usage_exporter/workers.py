"""One of several receiver processes on the same ports, and how the one with the API tells the metrics of all."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

_ANSWER_WITHIN_S: Final = 2.0
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? ", re.ASCII)


class Worker(NamedTuple):
    """Name one of several workers; 0 has the API, unless only receivers run."""

    number: int
    folder: Path
    """Where the workers find each other; readable by their user only."""
    admin_token: str
    """Made up for all of them, should none be set: a worker that is started again keeps it."""

    @property
    def _socket(self) -> Path:
        return self.folder / f"{self.number}.metrics"

    @asynccontextmanager
    async def share_metrics(self, page: Callable[[], bytes]) -> AsyncIterator[None]:
        """Tell other workers this one's metrics whenever they ask, for the length of an ``async with`` block."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                writer.write(page())
                await writer.drain()
            writer.close()

        self._socket.unlink(missing_ok=True)  # of the process in whose place this one was started
        server = await asyncio.start_unix_server(answer, str(self._socket))
        try:
            yield
        finally:
            server.close()

    async def metrics_of_all(self) -> bytes:
        """Return the metrics of every worker that answers, labelled with its number."""
        sockets = sorted(self.folder.glob("*.metrics"), key=lambda socket: int(socket.stem))
        pages = await asyncio.gather(*map(_ask, sockets))
        return merge_pages({socket.stem: page for socket, page in zip(sockets, pages, strict=True) if page})


def merge_pages(pages: Mapping[str, str]) -> bytes:
    """Return Prometheus pages, given by worker, as one: every sample labelled with its worker, families together."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for worker, page in pages.items():
        header: list[str] = []
        samples: list[str] = []
        for line in page.splitlines():
            if line.startswith("# HELP "):
                header, samples = families.setdefault(line.split(" ", 3)[2], ([], []))
                header[:] = [line]
            elif line.startswith("# TYPE "):
                header[1:] = [line]
            elif line:
                samples.append(_labelled(line, worker))
    return "".join(f"{line}\n" for header, samples in families.values() for line in (*header, *samples)).encode()


def _labelled(sample: str, worker: str) -> str:
    found = _SAMPLE.match(sample)
    if found is None:
        return sample
    name, labels = found.groups()
    return f'{name}{{worker="{worker}"{"," + labels if labels else ""}}} {sample[found.end() :]}'


async def _ask(socket: Path) -> str:
    """Return a worker's own page; empty when it does not answer: it may just be starting again."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    return ""
