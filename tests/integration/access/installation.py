"""A running server with keys for it, and both ways to send to it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc
import grpc.aio
import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ai_usage_exporter.keys import Role, hash_token, make_key
from ai_usage_exporter.storage.keys import add_key, revoke_key
from tests.conformance.wire import EXPORT, PATH, PROTOBUF

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from ai_usage_exporter.keys import NewKey
    from ai_usage_exporter.server import Server


class Answer(NamedTuple):
    """Hold how a request was answered: 200 or OK, and what was said."""

    code: int | grpc.StatusCode
    message: str
    retry_after_s: float | None = None


async def until(is_so: Callable[[], Awaitable[object]], timeout_s: float = 20) -> float:
    """Ask again and again; return after how many seconds it was so."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(timeout_s):
        while not await is_so():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)
    return loop.time() - started


class KeyMaker:
    """Make keys in a database."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection

    async def key(self, role: Role = Role.INGEST, **limits: Any) -> NewKey:
        """Make a key."""
        made = make_key()
        await add_key(
            self.connection,
            "test",
            key_id=made.id,
            token_hash=hash_token(made.token),
            name=f"{role} {made.id}",
            role=role,
            **limits,
        )
        return made

    async def revoke(self, key: NewKey) -> None:
        """Revoke a key."""
        assert await revoke_key(self.connection, "test", key.id) is not None


class Installation(KeyMaker):
    """Hold a server, a client of each kind and a connection to the database; use as an async context manager."""

    def __init__(self, server: Server, connection: asyncpg.Connection[Any]) -> None:
        super().__init__(connection)
        self.server = server
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the clients."""
        self.client = await self._stack.enter_async_context(httpx2.AsyncClient(timeout=30))
        channel = grpc.aio.insecure_channel(str(self.server.addresses["otlp_grpc"]))
        self.channel = await self._stack.enter_async_context(channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self._stack.aclose()

    async def post(self, body: bytes, *headers: tuple[str, str], path: str = PATH) -> Answer:
        """Send over HTTP."""
        url = f"http://{self.server.addresses['otlp_http']}{path}"
        reply = await self.client.post(url, content=body, headers=[("content-type", PROTOBUF), *headers])
        wait = reply.headers.get("retry-after")
        message = (
            ExportTraceServiceResponse.FromString(reply.content).partial_success.error_message
            if reply.status_code == 200
            else reply.content.decode("utf-8", "replace")
        )
        return Answer(reply.status_code, message, None if wait is None else float(wait))

    async def call(self, body: bytes, *metadata: tuple[str, str], method: str = EXPORT) -> Answer:
        """Send over gRPC."""
        try:
            reply = await self.channel.unary_unary(method)(body, metadata=metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            names = [name for name, _ in error.trailing_metadata() or ()]
            return Answer(error.code(), error.details() or "", 1.0 if "google.rpc.retryinfo-bin" in names else None)
        return Answer(grpc.StatusCode.OK, ExportTraceServiceResponse.FromString(reply).partial_success.error_message)
