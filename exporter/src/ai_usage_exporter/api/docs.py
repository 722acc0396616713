"""Interactive API documentation without a foreign server and without an inline script."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import fastapi_offline
from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from ai_usage_exporter.api.problem import ProblemError
from ai_usage_exporter.api.services import Viewer

if TYPE_CHECKING:
    from fastapi import FastAPI

router: Final = APIRouter(include_in_schema=False)

_FILES: Final = Path(fastapi_offline.__file__).parent / "static"
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ai-usage API</title>
<link rel="stylesheet" href="/docs/files/swagger-ui.css"><link rel="icon" href="/docs/files/favicon.png"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
_START: Final = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  requestInterceptor: (request) => { request.credentials = "same-origin"; return request; }});
"""


@router.get("/docs")
async def docs(_principal: Viewer) -> HTMLResponse:
    """Show the API's documentation."""
    return HTMLResponse(_PAGE)


@router.get("/docs/start.js")
async def start_script(_principal: Viewer) -> Response:
    """Return the script that starts the documentation page: the content policy allows none inside the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/files/{name}")
async def docs_file(name: str, _principal: Viewer) -> FileResponse:
    """Return a file of Swagger UI."""
    file = _FILES / name
    if not _FILE_NAME.fullmatch(name) or not file.is_file():
        raise ProblemError(404, "not_found", "the documentation has no such file")
    return FileResponse(file)


def add_docs(app: "FastAPI") -> None:
    """Serve ``/docs`` to who has a token."""
    app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(_principal: Viewer) -> dict[str, object]:
        return app.openapi()
