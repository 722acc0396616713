"""What the routes work with, given to the application once; routes get it through dependencies."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ai_usage_exporter.api.auth import Access, Principal
from ai_usage_exporter.storage.call_reader import CallReader
from ai_usage_exporter.storage.reader import UsageReader

ReadinessCheck: TypeAlias = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Returns what must work → ``None`` when it does, else one line why not."""
MetricsPage: TypeAlias = Callable[[], Awaitable[bytes]]
"""Returns the metrics in Prometheus' text format."""

Place: TypeAlias = Callable[[], str | None]
"""Returns where something listens, ``host:port``, or ``None`` while it does not."""


@dataclass(frozen=True, slots=True)
class Services:
    """Hold what the routes need."""

    reader: UsageReader
    calls: CallReader
    access: Access
    is_ready: ReadinessCheck
    metrics: MetricsPage
    otlp_http: Place


def services_of(request: Request) -> Services:
    """Return the application's services."""
    services: Services = request.app.state.services
    return services


# Describes to readers of the OpenAPI document what ``Access`` checks.
_Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(HTTPBearer(auto_error=False, description="The admin token or a key; the page sends it as a cookie")),
]


async def require_viewer(request: Request, _described: _Bearer) -> Principal:
    """Let any known token in."""
    return await services_of(request).access.viewer(request)


async def require_admin(request: Request, _described: _Bearer) -> Principal:
    """Let admins in."""
    return await services_of(request).access.admin(request)


async def require_unlimited(request: Request, _described: _Bearer) -> Principal:
    """Let who may see every service in."""
    return await services_of(request).access.unlimited(request)


async def _reader(request: Request) -> UsageReader:
    return services_of(request).reader


async def _calls(request: Request) -> CallReader:
    return services_of(request).calls


Viewer = Annotated[Principal, Depends(require_viewer)]
Admin = Annotated[Principal, Depends(require_admin)]
UnlimitedViewer = Annotated[Principal, Depends(require_unlimited)]
Reader = Annotated[UsageReader, Depends(_reader)]
Calls = Annotated[CallReader, Depends(_calls)]
