"""The composition root: the one place where the parts of the server meet. Long, because each is named here once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import secrets
import signal
from contextlib import AsyncExitStack
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken, AnyOf, Keys
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.database import open_database
from ai_usage_exporter.errors import PermanentError, RetryableError
from ai_usage_exporter.exposure import find_unguarded, is_receiver_local
from ai_usage_exporter.http_deadlines import Deadlines
from ai_usage_exporter.key_ring import KeyRing
from ai_usage_exporter.listen import HttpListener
from ai_usage_exporter.metrics import Metrics
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.pipeline.batcher import Batcher
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.data_file import use_price_data_file
from ai_usage_exporter.prices.watch import PriceWatch
from ai_usage_exporter.receiver.access import KeyGate
from ai_usage_exporter.receiver.grpc import start_grpc
from ai_usage_exporter.receiver.health import keep_health
from ai_usage_exporter.receiver.http import create_http_app
from ai_usage_exporter.receiver.limits import Admission, Limits
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage import schema
from ai_usage_exporter.storage.failure import WRITES_REFUSED
from ai_usage_exporter.storage.fold import keep_folded
from ai_usage_exporter.storage.keys import load_keys
from ai_usage_exporter.storage.partitions import ensure_partitions, keep_partitions
from ai_usage_exporter.storage.pool import (
    DatabaseUnreachableError,
    connect,
    describe,
    open_pools,
    refuse_transaction_pooling,
)
from ai_usage_exporter.storage.query_login import confine_queries
from ai_usage_exporter.storage.reader import UsageReader
from ai_usage_exporter.storage.retention import keep_retention
from ai_usage_exporter.storage.writer import UsageWriter
from ai_usage_exporter.tls import load_tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    import asyncpg

    from ai_usage_exporter.config import Address, Settings
    from ai_usage_exporter.storage.batch import WriteOutcome
    from ai_usage_exporter.storage.failure import Cause
    from ai_usage_exporter.storage.pool import Pools
    from ai_usage_exporter.tls import Tls
    from ai_usage_exporter.workers import Worker

_log = logging.getLogger(__name__)

_TRY_DATABASE_EVERY_S: Final = 1.0
_REFUSAL_HOLDS_S: Final = 5.0
_LAST_WORDS_S: Final = 0.5
"""What a step of stopping may take beyond the grace time."""


class Part(StrEnum):
    """Name a half of the server that can run alone."""

    RECEIVER = "receiver"
    API = "api"


class Server:
    """Run the receiver and the API on one database, in this event loop; use as an async context manager.

    Entering returns once the database is migrated and everything is ready; listeners answer (not ready, try again)
    while it waits. Leaving refuses new work, finishes what is in flight within the grace time and stops an embedded
    PostgreSQL last. Raises ``PermanentError`` for what the operator has to mend.
    """

    def __init__(self, settings: Settings, *, only: Part | None = None, worker: Worker | None = None) -> None:
        self._settings = settings
        self._only = only
        self._worker = worker
        self._stack = AsyncExitStack()
        self._not_ready: str | None = "starting"
        self._deadlines = Deadlines(
            settings.http_header_timeout, settings.http_body_timeout, settings.http_idle_timeout
        )
        made_up = secrets.token_urlsafe(24) if worker is None else worker.admin_token
        self.admin_token = settings.admin_token.get_secret_value() if settings.admin_token else made_up
        self.database_url = ""
        self.addresses: dict[str, Address] = {}
        self.metrics = Metrics()
        self.metrics.watch_readiness(lambda: self._not_ready is None)
        self._pricing = Pricing()
        self._hurry = asyncio.Event()
        self._stop_by = math.inf
        self._refused: tuple[float, Cause | None] = (-math.inf, None)
        self.reader: UsageReader
        self._pools: Pools
        self._batcher: Batcher
        self._keys: KeyRing
        self._tls: Tls | None = None

    async def __aenter__(self) -> Server:
        """Start everything."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._not_ready = "stopping"
        settings = self._settings
        self._stop_by = asyncio.get_running_loop().time() + settings.shutdown_delay + settings.shutdown_grace
        _log.info("stopping")
        await self._stack.aclose()
        _log.info("stopped")

    def hurry(self) -> None:
        """Give up what is in flight when stopping: it is not acknowledged, so its senders send it again."""
        self._hurry.set()

    async def _start(self) -> None:
        settings = self._settings
        if settings.price_data_file is not None:
            use_price_data_file(settings.price_data_file)
            self._stack.callback(use_price_data_file, None)
        self._tls = load_tls(settings)
        self.database_url = await self._stack.enter_async_context(open_database(settings))
        asked_by = settings.query_database_url
        self._pools = await open_pools(
            self.database_url, query_url=None if asked_by is None else asked_by.get_secret_value()
        )
        self._stack.push_async_callback(self._close_pools)
        self._keys = await self._stack.enter_async_context(KeyRing(self._pools.ingest))
        self.reader = UsageReader(self._pools.query)
        if self._worker is not None:
            await self._stack.enter_async_context(self._worker.share_metrics(self.metrics.page))
        # The API first: it stops last, so that /readyz tells of the stopping while requests are finished.
        if self._only is not Part.RECEIVER:
            await self._start_api()
        if self._only is not Part.API:
            writer = UsageWriter(self._pools.ingest, on_failure=self._on_write_failure)
            self._batcher = await Batcher(writer).__aenter__()
            self._stack.push_async_callback(lambda: self._in_time(self._batcher.drain()))
            self.metrics.watch_queue(lambda: self._batcher.waiting_rows, lambda: self._batcher.waiting_bytes)
            await self._start_receiver()
        prices = PriceWatch(self._pricing, lambda: connect(self.database_url), settings.prices_file)
        await self._prepare_database(prices)
        if self._only is not Part.API:
            months = asyncio.create_task(keep_partitions(self._pools.ingest), name="partitions")
            self._stack.push_async_callback(_cancelled, months)
            folding = asyncio.create_task(keep_folded(self._pools.ingest), name="sums")
            self._stack.push_async_callback(_cancelled, folding)
            if settings.retention is not None:
                expiring = asyncio.create_task(keep_retention(self._pools.ingest, settings.retention), name="retention")
                self._stack.push_async_callback(_cancelled, expiring)
            watching = asyncio.create_task(prices.run(), name="prices")
            self._stack.push_async_callback(_cancelled, watching)
        if self._tls is not None:
            renewing = asyncio.create_task(self._tls.keep_renewed(), name="tls")
            self._stack.push_async_callback(_cancelled, renewing)
        self._not_ready = None
        if settings.ready_file is not None:
            write_ready_file(settings.ready_file, self.describe())

    async def _start_receiver(self) -> None:
        settings = self._settings
        service = ExportService(self._submit, normalize=normalize, price=self._pricing.price, metrics=self.metrics)
        limits = Limits(
            settings.max_request_bytes,
            settings.max_gzip_ratio,
            settings.max_spans,
            settings.max_attributes,
            settings.max_value_bytes,
            settings.max_concurrent_requests,
            settings.memory_budget,
        )
        admission = Admission(limits)  # one for both transports
        gate = KeyGate(self._keys, is_local=is_receiver_local(settings))
        grace_s = settings.shutdown_grace
        http = HttpListener(
            create_http_app(service, admission, limits=limits, gate=gate),
            settings.otlp_http_listen,
            "AI_USAGE_OTLP_HTTP_LISTEN",
            grace_s=grace_s,
            deadlines=self._deadlines,
            tls=self._tls,
            is_shared=self._worker is not None,
        )
        self._stack.push_async_callback(http.stop)
        grpc = await start_grpc(
            service,
            admission,
            settings.otlp_grpc_listen,
            limits=limits,
            gate=gate,
            tls=self._tls,
            is_shared=self._worker is not None,
        )

        async def stop() -> None:
            # Both at once: the grace time is that of the process, not of each listener.
            await self._in_time(asyncio.gather(http.stop(), grpc.stop(grace_s)))

        self._stack.push_async_callback(stop)
        await http.start()
        telling = asyncio.create_task(keep_health(grpc.health, self._readiness), name="health")

        async def tell_stopping() -> None:
            await _cancelled(telling)
            await grpc.health.tell(is_serving=False)
            # Load balancers look every few seconds: they may be given time to send elsewhere.
            await self._in_time(asyncio.sleep(self._settings.shutdown_delay))

        self._stack.push_async_callback(tell_stopping)
        self.addresses |= {"otlp_grpc": grpc.address, "otlp_http": http.address}

    async def _start_api(self) -> None:
        settings = self._settings
        app = create_app(
            self.reader,
            AnyOf(AdminToken(self.admin_token), Keys(self._keys)),
            Sessions(self._pools.ingest),
            is_ready=self._readiness,
            metrics=self._metrics_page,
            otlp_http=lambda: str(self.addresses["otlp_http"]) if "otlp_http" in self.addresses else None,
            version=version("ai-usage-exporter"),
        )
        api = HttpListener(
            app,
            settings.api_listen,
            "AI_USAGE_API_LISTEN",
            grace_s=settings.shutdown_grace,
            deadlines=self._deadlines,
            tls=self._tls,
        )
        self._stack.push_async_callback(lambda: self._in_time(api.stop()))
        await api.start()
        self.addresses["api"] = api.address

    async def _prepare_database(self, prices: PriceWatch) -> None:
        """Connect, migrate and read own prices; wait a while for a database that cannot be reached yet."""
        connection = await self._connect()
        try:
            await refuse_transaction_pooling(self.database_url, connection)
            await schema.migrate(
                connection, on_applied=lambda migration: _log.info("applied migration %s", migration.file_name)
            )
            unguarded = find_unguarded(
                self._settings,
                await load_keys(connection),
                receiver=self._only is not Part.API,
                api=self._only is not Part.RECEIVER,
            )
            if unguarded:
                raise PermanentError("\n".join(unguarded))
            await ensure_partitions(connection)
            if self._settings.query_database_url is not None:
                await confine_queries(connection, self._settings.query_database_url.get_secret_value())
            await prices.load(connection)
        finally:
            await connection.close()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        loop, wait_s = asyncio.get_running_loop(), self._settings.database_wait
        started = loop.time()
        while True:
            try:
                return await connect(self.database_url)
            except DatabaseUnreachableError as error:
                self._not_ready = str(error)
                if wait_s is not None and loop.time() - started >= wait_s:
                    raise
                _log.warning("%s (trying again)", error)
                await asyncio.sleep(_TRY_DATABASE_EVERY_S)

    async def _submit(self, *args: Any, **options: Any) -> WriteOutcome:
        """Hand calls to the batcher once the schema is there; before that the sender is to try again."""
        if self._not_ready is not None and self._not_ready != "stopping":
            raise RetryableError(f"the receiver is not ready yet ({self._not_ready})")
        return await self._batcher.submit(*args, **options)

    async def _metrics_page(self) -> bytes:
        return self.metrics.page() if self._worker is None else await self._worker.metrics_of_all()

    def _on_write_failure(self, cause: Cause) -> None:
        self.metrics.write_failures[cause].inc()
        self._refused = (asyncio.get_running_loop().time(), cause)

    async def _readiness(self) -> Mapping[str, str | None]:
        if self._not_ready is not None:
            return {"server": self._not_ready}
        return {"server": None, "database": await self._database_problem()}

    async def _database_problem(self) -> str | None:
        place = describe(self.database_url)
        if not await self._pools.ping():
            return f"database {place} does not answer"
        refused_at, cause = self._refused
        # Forgotten soon: a server that gets no traffic because it is not ready could not find out that it is again.
        if (
            cause is not None
            and cause in WRITES_REFUSED
            and asyncio.get_running_loop().time() - refused_at < _REFUSAL_HOLDS_S
        ):
            return f"database {place} {WRITES_REFUSED[cause]}"
        return None

    async def _in_time(self, step: Awaitable[object]) -> None:
        """Finish a step of stopping; give it up when its time is over, or when told to hurry."""
        finishing = asyncio.ensure_future(step)
        hurried = asyncio.ensure_future(self._hurry.wait())
        left_s = max(0.0, self._stop_by - asyncio.get_running_loop().time()) + _LAST_WORDS_S
        await asyncio.wait({finishing, hurried}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not finishing.done():
            finishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await finishing

    async def _close_pools(self) -> None:
        await self._pools.close(_LAST_WORDS_S if self._hurry.is_set() else 5.0)

    def describe(self) -> dict[str, str]:
        """Return what a program needs to use the server: addresses, admin token, database URL."""
        places = {name: str(address) for name, address in self.addresses.items()}
        return {**places, "admin_token": self.admin_token, "database_url": self.database_url}


async def run_until_signal(
    settings: Settings,
    *,
    only: Part | None = None,
    worker: Worker | None = None,
    on_ready: Callable[[dict[str, str]], None] | None = None,
) -> None:
    """Run the server until SIGTERM or SIGINT; after a second one nothing in flight is waited for.

    ``on_ready`` is given what the server says of itself, instead of the log. A worker leaves SIGINT to its supervisor.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = Server(settings, only=only, worker=worker)

    def on_signal() -> None:
        if stop.is_set():
            server.hurry()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT) if worker is None else (signal.SIGTERM,):
        loop.add_signal_handler(number, on_signal)
    starting = asyncio.ensure_future(server.__aenter__())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return
    starting.result()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(server)
        if on_ready is None:
            announce(server.describe(), settings)
        else:
            on_ready(server.describe())
        await stopped


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):  # it must not keep the rest from stopping
        _log.warning("%s ended with %s: %s", task.get_name(), type(outcome).__name__, outcome)


def announce(said: Mapping[str, str], settings: Settings, *, workers: int = 1) -> None:
    """Log what a server says of itself, and that it is ready."""
    for name in ("otlp_grpc", "otlp_http", "api"):
        if name in said:
            _log.info("%s listens on %s", name, said[name])
    _log.info("database %s", describe(said["database_url"]))
    if "api" in said:
        scheme = "http" if settings.tls_cert is None else "https"
        _log.info("page %s://%s/admin/ai-usage", scheme, said["api"])
        if settings.admin_token is None and settings.api_listen.is_loopback:
            # Made up for this run: without it nobody could sign in. Where others reach the API there are keys for that.
            _log.info("admin token %s (set AI_USAGE_ADMIN_TOKEN for one of your own)", said["admin_token"])
    if workers > 1:
        _log.info("%d workers", workers)
    _log.info("ready")


def write_ready_file(path: Path, content: Mapping[str, str]) -> None:
    """Write the file whole or not at all, readable by its owner only: it holds a token."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        temporary.replace(path)
    except OSError as error:
        raise PermanentError(f"AI_USAGE_READY_FILE: cannot write {path}: {error.strerror}") from None
