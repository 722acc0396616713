"""Errors as RFC 9457 problem documents that name the parameter, the value and the fix."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ai_usage_exporter.errors import RetryableError
from ai_usage_exporter.storage.pool import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    413: "Too large",
    422: "Invalid parameters",
    429: "Too many requests",
    501: "Not installed",
    503: "Not available",
}
_SHOWN_CHARS: Final = 80
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """Name one parameter and what is wrong with it."""

    field: str = Field(examples=["days"])
    message: str = Field(examples=["must be at least 1"])


class Problem(BaseModel):
    """Describe why a request was refused (RFC 9457)."""

    title: str = Field(examples=["Invalid parameters"])
    status: int = Field(examples=[422])
    code: str = Field(description="Stable name for programs", examples=["invalid_parameters"])
    detail: str = Field(examples=["days: must be at least 1"])
    errors: list[FieldProblem] = Field(default=[], description="One entry for each wrong parameter")


class ProblemError(Exception):
    """Refuse a request with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = list(errors)
        self.headers = dict(headers or {})


def invalid_parameter(field: str, message: str) -> ProblemError:
    """Return the error for one wrong parameter."""
    return invalid_parameters([FieldProblem(field=field, message=message)])


def invalid_parameters(errors: Sequence[FieldProblem]) -> ProblemError:
    """Return the error for several wrong parameters."""
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return ProblemError(422, "invalid_parameters", detail, errors=errors)


def problem_response(error: ProblemError) -> Response:
    """Return the problem document of an error."""
    problem = Problem(
        title=_TITLES.get(error.status, "Error"),
        status=error.status,
        code=error.code,
        detail=str(error),
        errors=error.errors,
    )
    return Response(
        json.dumps(problem.model_dump(), ensure_ascii=True),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the problems a route may answer with."""
    return {
        status: {
            "description": _TITLES[status],
            "model": Problem,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for kind in (RetryableError, *UNAVAILABLE):
        app.add_exception_handler(kind, _on_unavailable)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type
    return problem_response(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    return problem_response(invalid_parameters([_field_problem(item) for item in error.errors()]))


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    code = _TITLES.get(error.status_code, "error").lower().replace(" ", "_")
    return problem_response(ProblemError(error.status_code, code, str(error.detail), headers=dict(error.headers or {})))


async def _on_unexpected(_request: Request, error: Exception) -> Response:
    # The reason goes to the log, never to the caller: it may quote a connection string.
    _log.error("request failed: %s", type(error).__name__, exc_info=error)
    return problem_response(ProblemError(500, "internal_error", "the server failed; its log has the reason"))


async def _on_unavailable(_request: Request, error: Exception) -> Response:
    _log.warning("database not available: %s: %s", type(error).__name__, error)
    if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
        detail = "the database took too long: ask for a shorter period or fewer groups, or try again"
    else:
        detail = "the database is not available: try again"
    return problem_response(ProblemError(503, "not_available", detail, headers={"retry-after": "5"}))


def _field_problem(item: Mapping[str, Any]) -> FieldProblem:
    """Return one of pydantic's errors in words that name the value, if it came in the URL."""
    place, *names = item["loc"] or ("request",)
    message, value = str(item["msg"]), item["input"]
    if item["type"] == "missing":
        message = "is missing: it is required"
    elif place in {"query", "path"} and isinstance(value, str):
        message = message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
        message = f"{_shown(value)} {message}"
    return FieldProblem(field=str(names[0] if names else place), message=message)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}…")
