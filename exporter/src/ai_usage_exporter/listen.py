"""HTTP listeners inside our own event loop: bound before anything else starts, stopped when we say so."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import uvicorn

from ai_usage_exporter.config import Address
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.http_deadlines import Deadlines, protocol_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ai_usage_exporter.tls import Tls

_BACKLOG = 2048
_DEFAULT_DEADLINES = Deadlines()


def bind(address: Address, setting: str, *, is_shared: bool = False, is_listening: bool = True) -> socket.socket:
    """Return a bound, listening socket for ``address``; a shared one can be had by every process of this user.

    Raises ``PermanentError`` that names the setting when the address is taken or is not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Restarting must not wait for connections of the previous process to time out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((address.host, address.port))
        if is_listening:
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PermanentError(cannot_listen(address, setting, error)) from None
    listener.setblocking(False)
    return listener


def cannot_listen(address: Address, setting: str, error: OSError) -> str:
    """Say in one line why an address cannot be listened on and what to do about it."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"{setting}: {address} is in use by another process; "
            f"stop that one or set {setting} to another address (port 0 chooses a free one)"
        )
    return (
        f"{setting}: cannot listen on {address}: {error.strerror or error}; set {setting} to an address of this machine"
    )


class HttpListener:
    """Serve one ASGI application on one address until ``stop``."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        address: Address,
        setting: str,
        *,
        grace_s: float,
        is_shared: bool = False,
        deadlines: Deadlines = _DEFAULT_DEADLINES,
        tls: Tls | None = None,
    ) -> None:
        """Bind at once, so that a taken port is known before anything was started."""
        self._socket = bind(address, setting, is_shared=is_shared)
        host, port = self._socket.getsockname()[:2]
        self.address = Address(host, port)
        # Our own logging, signals and process: uvicorn only speaks HTTP here.
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=max(1, round(grace_s)),
            http=protocol_with(deadlines),
            ws="none",
            timeout_keep_alive=max(1, round(deadlines.idle_s)),
            backlog=_BACKLOG,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls.context,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections; returns once the listener is up."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name=f"http {self.address}")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise PermanentError(f"the HTTP listener on {self.address} did not start")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stop accepting, let requests in flight finish within the grace time, close.

        When cancelled, requests in flight are not waited for any longer.
        """
        self._server.should_exit = True
        if self._task is None:
            self._socket.close()
            return
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._server.force_exit = True
            raise


class _Server(uvicorn.Server):
    """Leave signals alone: one place in the process decides what SIGTERM means."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
