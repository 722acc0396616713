"""The routes that show calls themselves, one user, and what can be filtered by."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from ai_usage_exporter.api import problem
from ai_usage_exporter.api.call_documents import call_detail, call_document
from ai_usage_exporter.api.figures import exact_groups, measures
from ai_usage_exporter.api.parameters import FiltersOf, PeriodOf, Text, conditions_of, only_known_parameters, query_of
from ai_usage_exporter.api.problem import ProblemError, invalid_parameter
from ai_usage_exporter.api.schemas import CallDetail, CallPage, Meta, UserUsage
from ai_usage_exporter.api.services import Calls, Reader, Viewer, services_of
from ai_usage_exporter.api.usage import PREFIX, period_fields
from ai_usage_exporter.storage.call_reader import Cursor
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery

router: Final = APIRouter(prefix=PREFIX, tags=["usage"], dependencies=[Depends(only_known_parameters)])
_PROBLEMS: Final = problem.responses(401, 403, 422, 503)


@router.get("/logs", operation_id="list_calls", responses=_PROBLEMS)
async def list_calls(
    calls: Calls,
    period: PeriodOf,
    filters: FiltersOf,
    limit: Annotated[int, Query(ge=1, le=500, description="How many calls in a page")] = 50,
    cursor: Annotated[
        str | None,
        Query(
            max_length=80, description="next_cursor of the page before", examples=["AAZhBiuj5cABk6Gyw9SOX4prfI2eDxor"]
        ),
    ] = None,
) -> CallPage:
    """List calls, newest first."""
    after = None
    if cursor is not None:
        try:
            after = Cursor.decode(cursor)
        except ValueError as error:
            raise invalid_parameter("cursor", str(error)) from error
    rows = await calls.page(query_of(period, filters), limit + 1, after)
    items = rows[:limit]
    more = len(rows) > limit
    return CallPage(
        items=[call_document(row) for row in items],
        next_cursor=Cursor(items[-1]["created_at"], items[-1]["id"]).encode() if more else None,
    )


@router.get("/logs/{id}", operation_id="get_call", responses=problem.responses(401, 403, 404, 422, 503))
async def get_call(
    principal: Viewer,
    calls: Calls,
    id: Annotated[UUID, Path(description="The call's id", examples=["0193a1b2-c3d4-8e5f-8a6b-7c8d9e0f1a2b"])],  # noqa: A002 - the public name
) -> CallDetail:
    """Show one call: its cost line by line, the spans that restate it, its trace."""
    row = await calls.find(id, conditions_of(principal))
    if row is None:
        raise ProblemError(404, "not_found", "there is no such call, or your token may not see it")
    return call_detail(row, await calls.shadows(id))


@router.get("/users/{id}", operation_id="get_user", responses=problem.responses(401, 403, 404, 422, 503))
async def get_user(
    principal: Viewer,
    reader: Reader,
    calls: Calls,
    period: PeriodOf,
    id: Annotated[  # noqa: A002 - the public name
        Text,
        Path(description="The user's id, or the user as sent", min_length=1, max_length=1000, examples=["user-17"]),
    ],
) -> UserUsage:
    """Sum what one user used and cost."""
    conditions = (*conditions_of(principal), Condition(Dimension.USER, (id,)))
    query = UsageQuery(period.start, period.read_until, conditions)
    found = await reader.summarize(query, top_users=0)
    first, last = await calls.first_and_last(conditions)
    if first is None:
        raise ProblemError(404, "not_found", "no call names this user, or your token may not see them")
    return UserUsage(
        **period_fields(period),
        user=id,
        user_email=(await calls.emails([id], conditions)).get(id),
        first_call=first,
        last_call=last,
        totals=measures(found.total),
        by_service=exact_groups(found.by_service),
        by_model=exact_groups(found.by_model),
    )


@router.get("/meta", operation_id="get_meta", responses=problem.responses(401, 403, 422, 503))
async def get_meta(request: Request, principal: Viewer, calls: Calls) -> Meta:
    """List what can be filtered by, how fresh the data is, and what the token may do."""
    services = None if principal.services is None else sorted(principal.services)
    values = await calls.values(services)
    first, last = await calls.first_and_last(conditions_of(principal))
    return Meta(
        services=values.get("service", []),
        actions=values.get("action", []),
        providers=values.get("provider", []),
        models=values.get("model", []),
        error_codes=values.get("error_code", []),
        cost_statuses=values.get("cost_status", []),
        first_call=first,
        last_call=last,
        now=datetime.now(UTC),
        role=principal.role.value,
        allowed_services=services,
        version=request.app.version,
        otlp_http=services_of(request).otlp_http(),
    )
