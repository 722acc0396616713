"""Health for orchestrators and metrics for Prometheus; the checks themselves are given from outside."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from ai_usage_exporter.api import problem
from ai_usage_exporter.api.services import UnlimitedViewer, services_of
from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.storage.pool import UNAVAILABLE

router: Final = APIRouter(tags=["operations"])

Verbose = Annotated[bool, Query(description="Also what fails; needs a token")]

_METRICS_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_READINESS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Ready", "content": {"application/json": {"example": {"status": "ok"}}}},
    503: {"description": "Not ready", "content": {"application/json": {"example": {"status": "unavailable"}}}},
}


@router.get("/livez", operation_id="get_livez", response_class=PlainTextResponse)
async def livez() -> str:
    """Answer while the process runs; asks nothing else, so that a database outage restarts nobody."""
    return "ok"


@router.get("/healthz", operation_id="get_healthz", responses=_READINESS | problem.responses(422))
async def healthz(request: Request, *, verbose: Verbose = False) -> JSONResponse:
    """Tell whether the server can do its work; with a token and ``verbose=true``, also what fails."""
    return await _readiness(request, verbose)


@router.get("/readyz", operation_id="get_readyz", responses=_READINESS | problem.responses(422))
async def readyz(request: Request, *, verbose: Verbose = False) -> JSONResponse:
    """Tell whether the server should get traffic; the same checks as ``/healthz``."""
    return await _readiness(request, verbose)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=PlainTextResponse,
    responses=problem.responses(401, 403, 503),
)
async def metrics(request: Request, _principal: UnlimitedViewer) -> Response:
    """Return the server's own metrics in Prometheus' text format; they tell of all services together."""
    return Response(await services_of(request).metrics(), media_type=_METRICS_MEDIA_TYPE)


async def _readiness(request: Request, verbose: bool) -> JSONResponse:
    services = services_of(request)
    problems = {name: reason for name, reason in (await services.is_ready()).items() if reason is not None}
    body: dict[str, Any] = {"status": "unavailable" if problems else "ok"}
    # Reasons may name hosts: they are for people with a token.
    if verbose and await _may_know(request):
        body["problems"] = problems
    return JSONResponse(body, status_code=503 if problems else 200)


async def _may_know(request: Request) -> bool:
    try:
        principal = await services_of(request).access.principal(request)
    except (RetryableError, *UNAVAILABLE):  # keys and sessions are in the database that may be what fails
        return False
    return principal is not None and principal.may_read
