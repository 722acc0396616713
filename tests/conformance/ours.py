"""Our receiver under the suite: ``ai-usage serve`` in a process of its own, and special states in this one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from ai_usage_exporter.config import Address, Settings, load_settings
from ai_usage_exporter.key_ring import KeyRing
from ai_usage_exporter.keys import hash_token, make_key
from ai_usage_exporter.listen import HttpListener
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.pipeline.batcher import Batcher
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.receiver.access import KeyGate, let_everybody_in
from ai_usage_exporter.receiver.grpc import start_grpc
from ai_usage_exporter.receiver.http import create_http_app
from ai_usage_exporter.receiver.limits import Admission, Limits
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.server import Server
from ai_usage_exporter.storage.failure import Failure, classify
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.statement import load_statement
from ai_usage_exporter.storage.writer import UsageWriter
from tests.conformance.target import Endpoint, Health, Hooks, Locked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from ai_usage_exporter.receiver.access import Gate
    from tests.conformance.target import SpanId

_FREE = Address("127.0.0.1", 0)
_INGEST_KEY, _VIEWER_KEY = make_key(), make_key()


@contextlib.contextmanager
def serving(
    database_url: str, folder: Path, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """Run ``ai-usage serve`` and give its process and the content of its ready file."""
    ready = folder / "ready.json"
    command = [str(Path(sys.executable).with_name("ai-usage")), "serve"]
    for option in ("--grpc", "--http", "--api"):
        command += [option, "127.0.0.1:0"]
    environment = os.environ | {"AI_USAGE_DATABASE_URL": database_url, "AI_USAGE_READY_FILE": str(ready), **settings}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.05)
        yield process, json.loads(ready.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class OurHooks(Hooks):
    """Arrange every state; use as a context manager."""

    def __init__(self, database_url: str, process: subprocess.Popen[bytes], api: str) -> None:
        self._url = database_url
        self._process = process
        self._api = api
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> OurHooks:
        """Start the loop of the special receivers."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stored(self, ids: Collection[SpanId]) -> dict[SpanId, int]:
        """Count the rows of these spans."""

        async def count() -> dict[SpanId, int]:
            connection = await asyncpg.connect(self._url)
            rows = await connection.fetch(
                "SELECT trace_id, span_id, count(*) FROM ai_usage_logs WHERE trace_id = ANY($1) GROUP BY 1, 2",
                [trace for trace, _ in ids],
            )
            await connection.close()
            return {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in set(ids)}

        return asyncio.run(count())

    def overloaded(self) -> AbstractContextManager[Endpoint]:
        """Give a receiver whose only place is taken."""

        @contextlib.asynccontextmanager
        async def state() -> AsyncIterator[Endpoint]:
            limits = Limits(max_concurrent_requests=1)
            admission = Admission(limits)
            async with self._receiver(admission=admission) as endpoint:
                with admission.enter():
                    yield endpoint

        return self._sync(state)

    def database_away(self) -> AbstractContextManager[tuple[Endpoint, Health]]:
        """Give a server that waits for a database nobody runs."""

        @contextlib.asynccontextmanager
        async def state() -> AsyncIterator[tuple[Endpoint, Health]]:
            with socket.socket() as nobody:
                nobody.bind(("127.0.0.1", 0))
                url = f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/nothing"
                server = Server(self._settings(url, database_wait=60))
                entering = asyncio.create_task(server.__aenter__())
                async with asyncio.timeout(10):
                    while len(server.addresses) < 3:  # noqa: ASYNC110 - there is no event for it
                        await asyncio.sleep(0.01)
                yield _places(server)
                entering.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await entering

        return self._sync(state)

    def draining(self) -> AbstractContextManager[tuple[Endpoint, Health]]:
        """Give a server that was told to stop."""

        @contextlib.asynccontextmanager
        async def state() -> AsyncIterator[tuple[Endpoint, Health]]:
            server = Server(self._settings(self._url, shutdown_delay=1.5))
            await server.__aenter__()
            leaving = asyncio.create_task(server.__aexit__(None, None, None))
            await asyncio.sleep(0.2)
            yield _places(server)
            await leaving

        return self._sync(state)

    def transient_failures(self) -> Iterable[tuple[str, AbstractContextManager[Endpoint]]]:
        """Give a receiver for every database error that is not about the data."""
        kinds = {
            kind
            for kind in vars(asyncpg).values()
            if isinstance(kind, type) and issubclass(kind, asyncpg.PostgresError) and getattr(kind, "sqlstate", None)
        }
        errors: list[Exception] = [kind("injected") for kind in sorted(kinds, key=lambda kind: kind.__name__)]
        errors += [asyncpg.InterfaceError("injected"), OSError("injected"), ConnectionResetError("injected")]
        errors += [TimeoutError("injected"), RuntimeError("injected")]
        pool = _FailingPool()
        with self._sync(lambda: self._receiver(pool=pool)) as endpoint:
            for error in errors:
                if classify(error) in {Failure.COLLISION, Failure.UNAVAILABLE}:
                    yield type(error).__name__, pool.failing(endpoint, error)

    def locked(self) -> Locked:
        """Give a receiver that knows two keys."""
        if not hasattr(self, "_locked"):
            opened = self._sync(self._locked_receiver)
            self._locked = opened.__enter__()
            self._close_locked = opened
        allowed, forbidden = ({"Authorization": f"Bearer {key.token}"} for key in (_INGEST_KEY, _VIEWER_KEY))
        return Locked(self._locked, allowed, forbidden, self._sync(self._receiver_without_key_store))

    def health(self) -> Health:
        """Return the URLs of the process."""
        return Health(f"http://{self._api}/livez", f"http://{self._api}/readyz")

    def rss_bytes(self) -> int:
        """Read what the kernel counts."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def default_listen(self) -> list[str]:
        """Return the hosts of the three listeners."""
        settings = load_settings({})
        return [settings.otlp_grpc_listen.host, settings.otlp_http_listen.host, settings.api_listen.host]

    def parks_unbillable(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Stop what stayed open."""
        if hasattr(self, "_close_locked"):
            self._close_locked.__exit__(None, None, None)

    def _settings(self, url: str, **more: Any) -> Settings:
        return Settings(database_url=url, otlp_grpc_listen=_FREE, otlp_http_listen=_FREE, api_listen=_FREE, **more)

    @contextlib.asynccontextmanager
    async def _receiver(
        self, *, admission: Admission | None = None, gate: Gate = let_everybody_in, pool: Any = None
    ) -> AsyncIterator[Endpoint]:
        limits = Limits()
        admission = admission or Admission(limits)
        pools = await open_pools(self._url)
        async with Batcher(UsageWriter(pool or pools.ingest)) as batcher:
            service = ExportService(batcher.submit, normalize=normalize, price=Pricing().price)
            app = create_http_app(service, admission, limits=limits, gate=gate)
            http = HttpListener(app, _FREE, "HTTP", grace_s=1)
            grpc = await start_grpc(service, admission, _FREE, limits=limits, gate=gate)
            await http.start()
            try:
                yield Endpoint(str(grpc.address), str(http.address))
            finally:
                await asyncio.gather(http.stop(), grpc.stop(1))
        await pools.close()

    @contextlib.asynccontextmanager
    async def _locked_receiver(self) -> AsyncIterator[Endpoint]:
        # A table of its own: with keys in the other one, the process under test would ask for them too.
        connection = await asyncpg.connect(self._url)
        await connection.execute(
            "CREATE SCHEMA locked; SET search_path = locked;"
            "CREATE TABLE ai_usage_keys (LIKE public.ai_usage_keys INCLUDING ALL)"
        )
        for key, role in ((_INGEST_KEY, "ingest"), (_VIEWER_KEY, "viewer")):
            await connection.execute(
                load_statement("key_add"), key.id, role, role, hash_token(key.token), None, None, None
            )
        await connection.close()
        pool = await asyncpg.create_pool(self._url, min_size=0, server_settings={"search_path": "locked"})
        async with pool, KeyRing(pool) as ring, self._receiver(gate=KeyGate(ring, is_local=False)) as endpoint:
            yield endpoint

    @contextlib.asynccontextmanager
    async def _receiver_without_key_store(self) -> AsyncIterator[Endpoint]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            pools = await open_pools(f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/nothing")
            async with KeyRing(pools.ingest) as ring, self._receiver(gate=KeyGate(ring, is_local=False)) as endpoint:
                yield endpoint
            await pools.close()

    @contextlib.contextmanager
    def _sync(self, make: Callable[[], AbstractAsyncContextManager[Any]]) -> Iterator[Any]:
        state = make()
        value = asyncio.run_coroutine_threadsafe(state.__aenter__(), self._loop).result(60)
        try:
            yield value
        finally:
            asyncio.run_coroutine_threadsafe(state.__aexit__(None, None, None), self._loop).result(60)


class _FailingPool:
    """Fail every acquisition in the way set last."""

    def __init__(self) -> None:
        self._error = Exception()

    @contextlib.contextmanager
    def failing(self, endpoint: Endpoint, error: Exception) -> Iterator[Endpoint]:
        """Fail with ``error`` from now on."""
        self._error = error
        yield endpoint

    def acquire(self, **_options: Any) -> _FailingPool:
        """Return what fails when entered."""
        return self

    async def __aenter__(self) -> None:
        raise self._error

    async def __aexit__(self, *_: object) -> None:
        pass


def _places(server: Server) -> tuple[Endpoint, Health]:
    addresses = {name: str(address) for name, address in server.addresses.items()}
    api = addresses["api"]
    endpoint = Endpoint(addresses["otlp_grpc"], addresses["otlp_http"])
    return endpoint, Health(f"http://{api}/livez", f"http://{api}/readyz")
