"""grpc.health.v1: Check and Watch, kept in step with readiness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import grpc.aio

_LOOK_EVERY_S: Final = 1.0


class Health:
    """Tell whether the services of one gRPC server take requests; not at first."""

    def __init__(self, server: grpc.aio.Server, *services: str) -> None:
        self._servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._services = ("", *services)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def tell(self, *, is_serving: bool) -> None:
        """Answer this from now on, and tell everybody who watches."""
        status = health_pb2.HealthCheckResponse.ServingStatus
        for service in self._services:
            await self._servicer.set(service, status.SERVING if is_serving else status.NOT_SERVING)


async def keep_health(health_of: Health, readiness: Callable[[], Awaitable[Mapping[str, str | None]]]) -> None:
    """Ask for the readiness again and again and tell it; runs until cancelled."""
    while True:
        problems = await readiness()
        await health_of.tell(is_serving=not any(problems.values()))
        await asyncio.sleep(_LOOK_EVERY_S)
