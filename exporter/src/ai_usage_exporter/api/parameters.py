"""The parameters that every question takes: time and filters."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Depends, Query, Request
from pydantic import AfterValidator

from ai_usage_exporter.api.auth import Principal
from ai_usage_exporter.api.period import MAX_DAYS, Period, parse_period
from ai_usage_exporter.api.problem import FieldProblem, invalid_parameters
from ai_usage_exporter.api.services import Viewer
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery

MAX_VALUES: Final = 100
MAX_VALUE_LENGTH: Final = 1000


def _storable(value: str) -> str:
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("contains a character that no stored value has")
    return value


Text = Annotated[
    str,
    Query(max_length=MAX_VALUE_LENGTH, json_schema_extra={"pattern": "^[^\\u0000]*$"}),
    AfterValidator(_storable),
]
Values = Annotated[list[Text], Query(max_length=MAX_VALUES)]

_ONLY: Final = "Only calls with one of these values; repeat for several; empty for calls without one"
_NOT: Final = "Only calls with none of these values"


class Filters(NamedTuple):
    """Hold the conditions a caller gave, with those its token adds."""

    conditions: tuple[Condition, ...]


# Not run in a thread as plain functions are: a hop there and back takes longer than all of these.
async def _filters(
    principal: Viewer,
    user: Annotated[Values | None, Query(description=_ONLY, examples=[["user-17"]])] = None,
    service: Annotated[Values | None, Query(description=_ONLY, examples=[["cv_optimizer"]])] = None,
    action: Annotated[Values | None, Query(description=_ONLY, examples=[["optimize"]])] = None,
    provider: Annotated[Values | None, Query(description=_ONLY, examples=[["openai"]])] = None,
    model: Annotated[Values | None, Query(description=_ONLY, examples=[["gpt-4o-mini"]])] = None,
    error_code: Annotated[Values | None, Query(description=_ONLY, examples=[["429"]])] = None,
    cost_status: Annotated[Values | None, Query(description=_ONLY, examples=[["priced"]])] = None,
    not_user: Annotated[Values | None, Query(description=_NOT, examples=[["test-user"]])] = None,
    not_service: Annotated[Values | None, Query(description=_NOT, examples=[["playground"]])] = None,
    not_action: Annotated[Values | None, Query(description=_NOT, examples=[["debug"]])] = None,
    not_provider: Annotated[Values | None, Query(description=_NOT, examples=[["ollama"]])] = None,
    not_model: Annotated[Values | None, Query(description=_NOT, examples=[["gpt-4o-mini"]])] = None,
    not_error_code: Annotated[Values | None, Query(description=_NOT, examples=[["429"]])] = None,
    not_cost_status: Annotated[Values | None, Query(description=_NOT, examples=[["estimated"]])] = None,
    success: Annotated[bool | None, Query(description="Only calls that did or did not succeed")] = None,
) -> Filters:
    given = (
        (Dimension.USER, user, not_user),
        (Dimension.SERVICE, service, not_service),
        (Dimension.ACTION, action, not_action),
        (Dimension.PROVIDER, provider, not_provider),
        (Dimension.MODEL, model, not_model),
        (Dimension.ERROR_CODE, error_code, not_error_code),
        (Dimension.COST_STATUS, cost_status, not_cost_status),
    )
    conditions = list(conditions_of(principal))
    for dimension, only, without in given:
        if only:
            conditions.append(Condition(dimension, tuple(only)))
        if without:
            conditions.append(Condition(dimension, tuple(without), exclude=True))
    if success is not None:
        conditions.append(Condition(Dimension.SUCCESS, ("true" if success else "false",)))
    return Filters(tuple(conditions))


def conditions_of(principal: Principal) -> tuple[Condition, ...]:
    """Return what a principal's token adds to every question: a viewer's services."""
    if principal.services is None:
        return ()
    return (Condition(Dimension.SERVICE, tuple(sorted(principal.services))),)


async def _period(
    start: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=80,
            description="Start, inclusive: ISO 8601 date or time; in tz when it has no offset",
            examples=["2026-11-01"],
        ),
    ] = None,
    end: Annotated[
        str | None,
        Query(alias="to", max_length=80, description="End, exclusive; now when left out", examples=["2026-11-24"]),
    ] = None,
    days: Annotated[
        int | None,
        Query(
            ge=1, le=MAX_DAYS, description="The last so many times 24 hours; 30 when no from is given", examples=[30]
        ),
    ] = None,
    tz: Annotated[str, Query(max_length=80, description="IANA time zone", examples=["Europe/Berlin"])] = "UTC",
) -> Period:
    return parse_period(start, end, days, tz)


async def only_known_parameters(request: Request, _principal: Viewer) -> None:
    """Refuse parameters the route does not have: a filter with a slip in its name would filter nothing.

    Raises ``ProblemError`` naming each, with the nearest one there is.
    """
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    known = {item["name"]: item["schema"] for item in operation.get("parameters", ()) if item["in"] == "query"}
    errors = []
    for name in request.query_params:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            fix = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known) or 'none'}"
            errors.append(FieldProblem(field=name, message=f"{name[:80]!r} is no parameter of this route: {fix}"))
        elif not _is_list(known[name]) and len(values := request.query_params.getlist(name)) > 1:
            errors.append(FieldProblem(field=name, message=f"is given {len(values)} times: give it once"))
    if errors:
        raise invalid_parameters(errors)


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(choice.get("type") == "array" for choice in schema.get("anyOf", (schema,)))


PeriodOf = Annotated[Period, Depends(_period)]
FiltersOf = Annotated[Filters, Depends(_filters)]


def query_of(period: Period, filters: Filters) -> UsageQuery:
    """Return the question of a period and filters."""
    return UsageQuery(period.start, period.read_until, filters.conditions)
