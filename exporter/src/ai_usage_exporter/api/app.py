"""The application behind the API's port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from ai_usage_exporter.api import calls, export, health, page, usage
from ai_usage_exporter.api.auth import Access
from ai_usage_exporter.api.docs import add_docs
from ai_usage_exporter.api.headers import SecurityHeaders
from ai_usage_exporter.api.problem import add_problem_handlers
from ai_usage_exporter.api.services import Services
from ai_usage_exporter.storage.call_reader import CallReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.api.auth import Authenticator
    from ai_usage_exporter.api.services import MetricsPage, Place, ReadinessCheck
    from ai_usage_exporter.api.sessions import Sessions
    from ai_usage_exporter.storage.reader import UsageReader

MAX_BODY_BYTES: Final = 64 * 1024
"""Nothing larger is ever sent to the API: it has no uploads."""


def create_app(
    reader: UsageReader,
    authenticator: Authenticator,
    sessions: Sessions,
    *,
    is_ready: ReadinessCheck | None = None,
    metrics: MetricsPage | None = None,
    otlp_http: Place | None = None,
    version: str = "",
) -> FastAPI:
    """Build the application: query API, page, health, metrics, documentation.

    ``is_ready`` returns what must work → ``None`` or one line why it does not; ``metrics`` returns Prometheus text;
    ``otlp_http`` returns where spans are taken.
    """
    app = FastAPI(
        title="ai-usage",
        version=version or "0",
        summary="Usage and cost of AI calls",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=MAX_BODY_BYTES,
        redirect_slashes=False,
        # The framework would trace every request as soon as the process has a tracer provider: not our calls to make.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.services = Services(
        reader,
        CallReader(reader.pool),
        Access(authenticator, sessions),
        is_ready or _always_ready,
        metrics or _no_metrics,
        otlp_http or _nowhere,
    )
    add_problem_handlers(app)
    for router in (usage.router, calls.router, export.router, health.router, page.router):
        app.include_router(router)
    add_docs(app)
    app.add_middleware(SecurityHeaders)
    return app


async def _always_ready() -> Mapping[str, str | None]:
    return {}


async def _no_metrics() -> bytes:
    return b""


def _nowhere() -> None:
    return None
