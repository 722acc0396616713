"""The routes under ``/api/admin/ai-usage`` that sum."""

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator

from ai_usage_exporter.api import problem
from ai_usage_exporter.api.figures import (
    exact,
    exact_groups,
    group_of,
    groups,
    measure_fields,
    measures,
    percent,
    rounded,
)
from ai_usage_exporter.api.parameters import FiltersOf, PeriodOf, only_known_parameters, query_of
from ai_usage_exporter.api.period import Interval, Period, choose_interval, edges_of
from ai_usage_exporter.api.problem import invalid_parameter
from ai_usage_exporter.api.schemas import (
    Breakdown,
    BreakdownRow,
    Bucket,
    Durations,
    OtherRow,
    Point,
    PreviousPeriod,
    Series,
    Summary,
    Timeseries,
)
from ai_usage_exporter.api.services import Calls, Reader
from ai_usage_exporter.storage.call_reader import CallReader
from ai_usage_exporter.storage.grouping import Group
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.reader import UsageReader
from ai_usage_exporter.storage.sums import NO_SUMS, Sums, add_up

PREFIX: Final = "/api/admin/ai-usage"
MAX_GROUP_BY: Final = 3

router: Final = APIRouter(prefix=PREFIX, tags=["usage"], dependencies=[Depends(only_known_parameters)])
_PROBLEMS: Final = problem.responses(401, 403, 422, 503)


def _split(values: Any) -> Any:
    return [part for value in values for part in value.split(",")] if isinstance(values, list) else values


GroupBy = Annotated[
    list[Dimension],
    BeforeValidator(_split),
    Query(
        min_length=1,
        max_length=MAX_GROUP_BY,
        description="One to three dimensions: repeated, or with commas between them",
        examples=[["service", "model"]],
    ),
]


class Sort(StrEnum):
    """Name what groups are ordered by."""

    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"
    FAILED = "failed"
    DURATION = "avg_duration_ms"
    NAME = "name"


@router.get("/summary", operation_id="get_summary", responses=_PROBLEMS)
async def summary(
    reader: Reader,
    period: PeriodOf,
    filters: FiltersOf,
    top_users: Annotated[
        int,
        Query(ge=0, le=100, description="How many users by_user ranks; with 0 it is empty and the answer sooner there"),
    ] = 10,
) -> Summary:
    """Sum the usage of a period, in all and by each dimension, beside the period before."""
    return await summary_document(reader, period, query_of(period, filters), top_users=top_users)


async def summary_document(reader: UsageReader, period: Period, query: UsageQuery, *, top_users: int = 10) -> Summary:
    """Return a summary; the command line shares it."""
    found = await reader.summarize(query, top_users=top_users)
    total = found.total
    return Summary(
        **period_fields(period),
        period_days=period.days,
        total_tokens=total.total_tokens,
        total_cost=rounded(total.cost_usd),
        total_requests=total.calls,
        success_rate=percent(total.succeeded, total.calls),
        by_provider=groups(found.by_provider),
        by_service=groups(found.by_service),
        currency="USD",
        total_cost_usd=exact(total.cost_usd),
        totals=measures(total),
        by_model=exact_groups(found.by_model),
        by_action=exact_groups(found.by_action),
        by_user=exact_groups(found.top_users),
        by_cost_status=exact_groups(found.by_cost_status),
        errors_by_code={name: group.requests for name, group in groups(found.errors).items()},
        duration=Durations(
            avg_ms=round(total.duration_ms / total.timed_calls, 1) if total.timed_calls else None,
            p95_ms=found.p95_duration_ms,
            p95_error=found.p95_error,
        ),
        previous=PreviousPeriod(
            **period_fields(_period_before(period)),
            totals=measures(found.previous),
        ),
    )


@router.get("/timeseries", operation_id="get_timeseries", responses=_PROBLEMS)
async def timeseries(
    reader: Reader,
    period: PeriodOf,
    filters: FiltersOf,
    interval: Annotated[Interval, Query(description="Length of a step; auto chooses")] = Interval.AUTO,
    group_by: Annotated[Dimension | None, Query(description="One line for each value")] = None,
    limit: Annotated[int, Query(ge=1, le=50, description="How many lines before 'other'")] = 8,
) -> Timeseries:
    """Sum the usage of a period step by step; steps without calls are there, with zeros."""
    interval = choose_interval(period) if interval is Interval.AUTO else interval
    edges = edges_of(period, interval)
    query = query_of(period, filters)
    # Calls dated after now, by a clock that is ahead, belong to the last step.
    read_edges = [*edges[:-1], max(edges[-1], query.end)]
    if group_by is None:
        found = await reader.group_by_time(query, read_edges, ())
        series = [_series(None, _steps(found, (), len(edges) - 1))]
        total = add_up(_steps(found, (), len(edges) - 1))
    elif group_by is Dimension.USER:
        series, total = await _user_series(reader, query, read_edges, limit)
    else:
        found = await reader.group_by_time(query, read_edges, (group_by,))
        series, total = _ranked_series(found, len(edges) - 1, limit)
    return Timeseries(
        **period_fields(period),
        interval=interval.value,
        group_by=group_by.value if group_by else None,
        buckets=[
            Bucket(start=start.astimezone(period.zone), end=end.astimezone(period.zone))
            for start, end in pairwise(edges)
        ],
        series=series,
        totals=measures(total),
    )


@router.get("/breakdown", operation_id="get_breakdown", responses=_PROBLEMS)
async def breakdown(
    reader: Reader,
    calls: Calls,
    period: PeriodOf,
    filters: FiltersOf,
    group_by: GroupBy,
    sort: Annotated[Sort, Query(description="What rows are ordered by")] = Sort.COST,
    order: Annotated[Literal["desc", "asc"], Query(description="Largest or smallest first")] = "desc",
    limit: Annotated[int, Query(ge=1, le=1000, description="How many rows before 'other'")] = 50,
    compare: Annotated[Literal["previous"] | None, Query(description="Add each row's period before")] = None,
) -> Breakdown:
    """Sum the usage of a period by up to three dimensions."""
    return await find_breakdown(reader, calls, period, query_of(period, filters), group_by, sort, order, limit, compare)


async def find_breakdown(
    reader: UsageReader,
    calls: CallReader,
    period: Period,
    query: UsageQuery,
    group_by: list[Dimension],
    sort: Sort,
    order: str,
    limit: int,
    compare: str | None,
) -> Breakdown:
    """Return a breakdown; ``breakdown.csv`` and the command line share it."""
    if len(set(group_by)) < len(group_by):
        raise invalid_parameter("group_by", f"{','.join(group_by)!r} names a dimension twice")
    dimensions = tuple(group_by)
    found, hidden, total_sums = await _groups(reader, query, dimensions, sort, order, limit)
    ranked = sorted(found.items(), key=_sort_key(sort, order))
    shown, rest = ranked[:limit], ranked[limit:]
    # What is left of the whole: correct also where only the first groups were read.
    other_sums = total_sums.minus(add_up(sums for _, sums in shown))
    count = len(rest) + hidden
    before: dict[Group, Sums] = {}
    if compare is not None:
        earlier = _period_before(period)
        before = await _groups_before(
            reader, UsageQuery(earlier.start, earlier.end, query.conditions), dimensions, shown
        )
    emails: dict[str, str] = {}
    if Dimension.USER in dimensions:
        place = dimensions.index(Dimension.USER)
        emails = await calls.emails([user for group, _ in shown if (user := group[place])], query.conditions)
    names = tuple(dimension.value for dimension in dimensions)
    return Breakdown(
        **period_fields(period),
        group_by=list(names),
        sort=sort.value,
        order=order,
        rows=[
            BreakdownRow(
                **measure_fields(sums),
                group=(group := group_of(names, values)),
                user_email=emails.get(group.get("user") or ""),
                cost_share=percent(sums.cost_usd, total_sums.cost_usd),
                previous=measures(before.get(values, NO_SUMS)) if compare is not None else None,
            )
            for values, sums in shown
        ],
        other=OtherRow(
            **measure_fields(other_sums),
            groups=count,
            cost_share=percent(other_sums.cost_usd, total_sums.cost_usd),
        )
        if count
        else None,
        totals=measures(total_sums),
    )


def period_fields(period: Period) -> dict[str, Any]:
    """Return the fields of ``schemas.PeriodInfo``."""
    return {
        "start": period.start.astimezone(period.zone),
        "end": period.end.astimezone(period.zone),
        "time_zone": period.zone.key,
    }


async def _groups(
    reader: UsageReader,
    query: UsageQuery,
    dimensions: tuple[Dimension, ...],
    sort: Sort,
    order: str,
    limit: int,
) -> tuple[Mapping[Group, Sums], int, Sums]:
    """Return groups, how many more there are that were not read, and the sums of all."""
    column = {Sort.COST: "cost_usd", Sort.REQUESTS: "calls", Sort.TOKENS: "total_tokens"}.get(sort)
    if dimensions == (Dimension.USER,) and not query.conditions and order == "desc" and column is not None:
        users = await reader.rank_users(query, limit, column)
        return users.first, users.count - len(users.first), users.total
    found = await reader.group(query, dimensions)
    return found, 0, add_up(found.values())


async def _groups_before(
    reader: UsageReader, query: UsageQuery, dimensions: tuple[Dimension, ...], shown: list[tuple[Group, Sums]]
) -> dict[Group, Sums]:
    if Dimension.USER in dimensions:
        place = dimensions.index(Dimension.USER)
        users = tuple({group[place] or "" for group, _ in shown})
        query = UsageQuery(query.start, query.end, (*query.conditions, Condition(Dimension.USER, users)))
    return await reader.group(query, dimensions)


async def _user_series(
    reader: UsageReader, query: UsageQuery, edges: list[Any], limit: int
) -> tuple[list[Series], Sums]:
    """Return the dearest users' lines, and what is left of the whole as 'other'."""
    count = len(edges) - 1
    top, found = await reader.rank_users_by_time(query, edges, limit)
    everybody = left = _steps(found, (), count)
    series = []
    for group in top:
        steps = _steps(found, group, count)
        left = [whole.minus(part) for whole, part in zip(left, steps, strict=True)]
        series.append(_series(group[0], steps))
    if any(sums.calls for sums in left):
        series.append(_series(None, left, is_other=True))
    return series, add_up(everybody)


def _ranked_series(found: dict[tuple[int, Group], Sums], count: int, limit: int) -> tuple[list[Series], Sums]:
    parts: dict[Group, list[Sums]] = defaultdict(list)
    for (_, group), sums in found.items():
        parts[group].append(sums)
    by_group = {group: add_up(sums) for group, sums in parts.items()}
    ranked = sorted(by_group, key=lambda group: (-by_group[group].cost_usd, -by_group[group].calls, group[0] or ""))
    series = [_series(group[0], _steps(found, group, count)) for group in ranked[:limit]]
    if rest := ranked[limit:]:
        steps = [add_up(found[part, group] for group in rest if (part, group) in found) for part in range(count)]
        series.append(_series(None, steps, is_other=True))
    return series, add_up(by_group.values())


def _series(name: str | None, steps: list[Sums], *, is_other: bool = False) -> Series:
    return Series(
        name=name,
        is_other=is_other,
        totals=measures(add_up(steps)),
        points=[
            Point(
                requests=sums.calls,
                failed=sums.calls - sums.succeeded,
                tokens=sums.total_tokens,
                cost=rounded(sums.cost_usd, 6),
                cost_usd=exact(sums.cost_usd),
            )
            for sums in steps
        ],
    )


def _steps(found: dict[tuple[int, Group], Sums], group: Group, count: int) -> list[Sums]:
    return [found.get((part, group), NO_SUMS) for part in range(count)]


def _sort_key(sort: Sort, order: str) -> Any:
    sign = -1 if order == "desc" else 1

    def name_of(group: Group) -> tuple[str, ...]:
        return tuple(value or "" for value in group)

    if sort is Sort.NAME:
        # Text has no negative: descending names are ordered by the complement of their characters.
        if sign == 1:
            return lambda item: name_of(item[0])
        return lambda item: [[-ord(character) for character in value] + [1] for value in name_of(item[0])]

    def amount(sums: Sums) -> Any:
        match sort:
            case Sort.REQUESTS:
                return sums.calls
            case Sort.TOKENS:
                return sums.total_tokens
            case Sort.FAILED:
                return sums.calls - sums.succeeded
            case Sort.DURATION:
                return sums.duration_ms / sums.timed_calls if sums.timed_calls else 0
            case _:
                return sums.cost_usd

    return lambda item: (sign * amount(item[1]), name_of(item[0]))


def _period_before(period: Period) -> Period:
    start = period.start - (period.end - period.start)
    return Period(start, period.start, period.zone, period.start)
