"""Several workers on the same ports: started, watched and stopped together. One process is all of Python's one core."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop
from pydantic import SecretStr

from ai_usage_exporter.config import Address, parse_address
from ai_usage_exporter.database import open_database
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.listen import bind
from ai_usage_exporter.log_format import configure_logging
from ai_usage_exporter.server import Part, announce, run_until_signal, write_ready_file
from ai_usage_exporter.workers import Worker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from ai_usage_exporter.config import Settings

_log = logging.getLogger(__name__)

GC_THRESHOLD: Final = 100_000
"""Containers made before the collector looks: a request of 512 spans makes ten thousand, all freed by counting."""
STEADY_S: Final = 10.0
"""A worker that lived as long is started again at once, others later each time."""
LONGEST_PAUSE_S: Final = 10.0
STOPPING_S: Final = 15.0
"""What stopping may take beside the delay and the grace time, before a worker is killed."""


def run_server(settings: Settings, *, only: Part | None = None) -> None:
    """Run the server until a signal, in this process or in as many as are set. Raises ``PermanentError``."""
    if settings.workers == 1 or only is Part.API:
        tune_collector()
        uvloop.run(run_until_signal(settings, only=only))
    else:
        uvloop.run(_supervise(settings, only))


def tune_collector() -> None:
    """Leave what was imported to itself, and look for garbage rarely."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)


class _Place:
    """Keep one worker running in its place."""

    def __init__(self, settings: Settings, only: Part | None, worker: Worker) -> None:
        self._settings = settings
        self._only = only
        self._worker = worker
        self.process: SpawnProcess | None = None

    async def start(self) -> dict[str, str]:
        """Start the worker; returns what it says of itself once ready. Raises ``PermanentError`` when it ends first."""
        ours, theirs = Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._settings, self._only, self._worker, theirs), name=f"worker {self._worker.number}"
        )
        self.process.start()
        theirs.close()
        self._pipe = ours  # closed with this process, however it ends: the worker stops then
        await _readable(ours.fileno())
        try:
            said: dict[str, str] = ours.recv()
        except EOFError:
            raise PermanentError(f"worker {self._worker.number} did not start; see above") from None
        if "api" in said:  # started again, it is to be found where it was
            self._settings = self._settings.model_copy(update={"api_listen": parse_address(said["api"])})
        return said

    async def keep_running(self) -> None:
        """Start the worker again whenever it ends; until cancelled."""
        pause_s = 0.0
        while True:
            started = time.monotonic()
            await self.ended()
            number = self._worker.number
            _log.error("worker %d ended with %s; starting it again", number, self.process and self.process.exitcode)
            pause_s = 0.0 if time.monotonic() - started >= STEADY_S else min(LONGEST_PAUSE_S, 2 * pause_s + 0.1)
            await asyncio.sleep(pause_s)
            try:
                await self.start()
            except PermanentError as error:
                _log.error("%s", error)
            else:
                _log.info("worker %d is ready again", number)

    async def ended(self) -> None:
        """Wait until the process has ended."""
        if self.process is not None:
            await _readable(self.process.sentinel)
            self.process.join()

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.process is not None and self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


async def _supervise(settings: Settings, only: Part | None) -> None:
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    stopped = asyncio.ensure_future(signals.get())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-usage-workers-")))
        url = await stack.enter_async_context(open_database(settings))
        shared = _with_ports(settings.model_copy(update={"database_url": SecretStr(url), "ready_file": None}), stack)
        token = secrets.token_urlsafe(24)
        places = [
            _Place(shared, Part.RECEIVER if number else only, Worker(number, folder, token))
            for number in range(settings.workers)
        ]
        stack.push_async_callback(_stop, places, settings, signals)
        starting = asyncio.ensure_future(_started(places))
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        said = starting.result()
        announce(said, settings, workers=settings.workers)
        if settings.ready_file is not None:
            write_ready_file(settings.ready_file, said)
        keeping = [asyncio.ensure_future(place.keep_running()) for place in places]
        await stopped
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


async def _started(places: list[_Place]) -> dict[str, str]:
    # The first alone: it creates the schema, and says what is wrong once instead of as often as there are workers.
    said = await places[0].start()
    await asyncio.gather(*(place.start() for place in places[1:]))
    return said


async def _stop(places: list[_Place], settings: Settings, signals: asyncio.Queue[int]) -> None:
    """Have all workers finish what is in flight; what takes too long, or a second signal, ends them at once."""
    for place in places:
        place.signal(signal.SIGTERM)
    ending = asyncio.ensure_future(_ended(places))
    insisting = asyncio.ensure_future(signals.get())
    timeout_s = settings.shutdown_delay + settings.shutdown_grace + STOPPING_S
    await asyncio.wait({ending, insisting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    insisting.cancel()
    if not ending.done():
        _log.error("workers did not stop in time and are killed; what they had not acknowledged is sent again")
        for place in places:
            place.signal(signal.SIGKILL)
        await ending


async def _ended(places: list[_Place]) -> None:
    await asyncio.gather(*(place.ended() for place in places))


def _with_ports(settings: Settings, stack: AsyncExitStack) -> Settings:
    """Return the settings with the OTLP ports chosen and held for the workers, which all listen on them."""
    ports: dict[str, Any] = {}
    for name in ("otlp_grpc_listen", "otlp_http_listen"):
        address: Address = getattr(settings, name)
        setting = f"AI_USAGE_{name.upper()}"
        bind(address, setting).close()  # somebody else's port is a mistake: those who share it would not notice
        held = stack.enter_context(bind(address, setting, is_shared=True, is_listening=False))
        ports[name] = Address(address.host, held.getsockname()[1])
    return settings.model_copy(update=ports)


def _work(settings: Settings, only: Part | None, worker: Worker, pipe: Connection) -> None:
    """Be a worker: the main function of its process."""
    configure_logging(settings.log_level)
    # Ctrl-C reaches every process of the terminal; the supervisor says when to stop, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_when_alone, args=(pipe,), name="supervisor", daemon=True).start()
    tune_collector()
    try:
        uvloop.run(run_until_signal(settings, only=only, worker=worker, on_ready=pipe.send))
    except PermanentError as error:
        for line in str(error).splitlines():
            _log.error("%s", line)
        sys.exit(1)


def _stop_when_alone(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        signal.raise_signal(signal.SIGTERM)


async def _readable(descriptor: int) -> None:
    """Wait until a descriptor can be read, or its other end is closed."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
