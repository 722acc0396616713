"""Every endpoint's answer is the one a second computation over the rows gives, whatever rows, filters and zones."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_usage.pricing import Cost, CostStatus
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.export import safe_cell
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.record import PricedCall
from ai_usage_exporter.storage.reader import UsageReader
from ai_usage_exporter.storage.rollups import DURATION_ERROR
from tests.factories import PRICE, make_record
from tests.integration.api.reference import (
    PREFIX,
    Filters,
    check_groups,
    check_measures,
    check_money,
    check_page,
    check_share,
    group,
    read_rows,
    write_calls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.api.reference import (
        Row,
    )

ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
# Around the nights on which New York and Lord Howe change their clocks.
NIGHTS = (datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC))
VALUES = {
    "user": (None, "anna", "björn", "=1+1", "", "7e57ab1e-0000-4000-8000-000000000001"),
    "service": ("xray", "cv", "é|1:x"),
    "action": (None, "", "analyze"),
    "provider": ("openai", "anthropic"),
    "model": ("gpt-4o", "claude", "-"),
    "error_code": (None, "429", "timeout"),
    "cost_status": tuple(status.value for status in CostStatus),
}
DIMENSIONS = (*VALUES, "success")


@dataclass(frozen=True)
class Question:
    night: datetime
    start: str
    end: str
    zone: ZoneInfo
    filters: Filters
    interval: str
    group_by: tuple[str, ...]
    sort: str
    order: str
    limit: int

    @property
    def period(self) -> dict[str, str]:
        return {"from": self.start, "to": self.end, "tz": self.zone.key}

    def moment(self, text: str) -> datetime:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)
        return datetime.fromisoformat(text).astimezone(UTC)


@st.composite
def calls(draw: st.DrawFn, night: datetime) -> list[PricedCall]:
    tokens = st.integers(0, 5_000)
    maybe = st.none() | st.integers(0, 50)
    made = []
    for _ in range(draw(st.integers(0, 25))):
        failed = draw(st.booleans())
        status = draw(st.sampled_from(list(CostStatus)))
        amount = draw(st.decimals("0", "99", places=12)) if status not in {"unpriced", "unmetered", "free"} else None
        record = make_record(
            created_at=night + timedelta(microseconds=draw(st.integers(-2 * 86_400_000_000, 2 * 86_400_000_000))),
            user=draw(st.sampled_from(VALUES["user"])),
            service_name=draw(st.sampled_from(VALUES["service"])),
            service_action=draw(st.sampled_from(VALUES["action"])),
            provider=draw(st.sampled_from(VALUES["provider"])),
            model=draw(st.sampled_from(VALUES["model"])),
            success=not failed,
            error_code=draw(st.sampled_from(VALUES["error_code"])) if failed else None,
            duration_ms=draw(st.none() | st.integers(0, 90_000)),
            usage=TokenUsage(draw(tokens), draw(tokens), draw(maybe), draw(maybe), None, draw(maybe)),
        )
        made.append(PricedCall(record, Cost(amount, status, PRICE if status == "priced" else None)))
    return made


@st.composite
def questions(draw: st.DrawFn) -> Question:
    night = draw(st.sampled_from(NIGHTS))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    if draw(st.booleans()):
        first = night.date() - timedelta(days=draw(st.integers(0, 3)))
        start, end = first.isoformat(), (first + timedelta(days=draw(st.integers(1, 4)))).isoformat()
    else:
        moment = night + timedelta(seconds=draw(st.integers(-3 * 86_400, 86_400)))
        start, end = (
            item.isoformat() for item in (moment, moment + timedelta(seconds=draw(st.integers(1, 4 * 86_400))))
        )
    asked = draw(st.dictionaries(st.sampled_from(list(VALUES)), st.booleans(), max_size=2))
    chosen = {
        name: draw(st.lists(st.sampled_from([value or "" for value in VALUES[name]] + ["unknown"]), min_size=1))
        for name in asked
    }
    filters = Filters(
        {name: chosen[name] for name, is_exclude in asked.items() if not is_exclude},
        {name: chosen[name] for name, is_exclude in asked.items() if is_exclude},
        draw(st.sampled_from([None, None, True, False])),
    )
    return Question(
        night,
        start,
        end,
        zone,
        filters,
        draw(st.sampled_from(["15m", "hour", "day", "week", "month"])),
        tuple(draw(st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True))),
        draw(st.sampled_from(["cost", "requests", "tokens", "failed", "avg_duration_ms", "name"])),
        draw(st.sampled_from(["asc", "desc"])),
        draw(st.integers(1, 6)),
    )


@dataclass
class World:
    """The application on one database, asked from synchronous code."""

    runner: asyncio.Runner
    connection: asyncpg.Connection[asyncpg.Record]
    client: httpx2.AsyncClient

    def get(self, path: str, parameters: dict[str, Any]) -> Any:
        response = self.runner.run(self.client.get(PREFIX + path, params=parameters))
        assert response.status_code == 200, response.text
        return response.json() if "json" in response.headers["content-type"] else response.text

    def fill(self, made: list[PricedCall]) -> list[Row]:
        async def fill() -> list[Row]:
            await self.connection.execute("TRUNCATE ai_usage_logs, ai_usage_rollups, ai_usage_rollup_keys")
            await write_calls(self.connection, made)
            return await read_rows(self.connection)

        return self.runner.run(fill())


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:

        async def open_all() -> tuple[Any, ...]:
            pool = await asyncpg.create_pool(database_url, min_size=1, max_size=4)
            app = create_app(UsageReader(pool), AdminToken("token-of-tests"), Sessions(pool))
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app),
                base_url="http://testserver",
                headers={"authorization": "Bearer token-of-tests"},
            )
            return pool, client, await asyncpg.connect(database_url)

        pool, client, connection = runner.run(open_all())
        yield World(runner, connection, client)
        for closing in (client.aclose, connection.close, pool.close):
            runner.run(closing())


def for_all(world: World, examples: int) -> Callable[[Callable[[Question, list[Row]], None]], None]:
    """Run a check for many questions about many sets of rows."""

    def run(check: Callable[[Question, list[Row]], None]) -> None:
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.data())
        def one(data: st.DataObject) -> None:
            question = data.draw(questions(), "question")
            check(question, world.fill(data.draw(calls(question.night), "calls")))

        one()

    return run


def test_summary(world: World) -> None:
    @for_all(world, 40)
    def check(question: Question, rows: list[Row]) -> None:
        answer = world.get("/summary", question.period | question.filters.parameters())

        start, end = question.moment(question.start), question.moment(question.end)
        chosen = question.filters.choose(rows, start, end)
        cost = sum((row.cost_usd for row in chosen), Decimal(0))
        assert answer["period_days"] == max(1, round((end - start) / timedelta(days=1)))
        assert (answer["total_requests"], answer["total_tokens"]) == (
            len(chosen),
            sum(row.total_tokens for row in chosen),
        )
        check_money({"cost": answer["total_cost"], "cost_usd": answer["total_cost_usd"]}, cost)
        check_share(answer["success_rate"], sum(row.success for row in chosen), len(chosen))
        check_measures(answer["totals"], chosen)
        for dimension in ("provider", "service"):
            check_groups(answer[f"by_{dimension}"], chosen, dimension, exact=False)
        for dimension in ("model", "action", "user", "cost_status"):
            check_groups(answer[f"by_{dimension}"], chosen, dimension, exact=True)
        failed = group([row for row in chosen if not row.success], lambda row: row.error_code or "")
        assert answer["errors_by_code"] == {code: len(of_code) for code, of_code in failed.items()}
        earlier = question.filters.choose(rows, start - (end - start), start)
        check_measures(answer["previous"]["totals"], earlier)
        check_p95(answer["duration"], [row.duration_ms for row in chosen if row.duration_ms is not None])
        without = world.get("/summary", question.period | question.filters.parameters() | {"top_users": 0})
        assert (without["by_user"], without["totals"]) == ({}, answer["totals"])


def check_p95(answer: dict[str, Any], durations: list[int]) -> None:
    if not durations:
        assert answer["p95_ms"] is None
        return
    exact = sorted(durations)[math.ceil(0.95 * len(durations)) - 1]
    assert answer["p95_error"] in {0, DURATION_ERROR}
    assert abs(answer["p95_ms"] - exact) <= answer["p95_error"] * exact


def test_timeseries(world: World) -> None:
    @for_all(world, 60)
    def check(question: Question, rows: list[Row]) -> None:
        dimension = question.group_by[0]
        answer = world.get(
            "/timeseries",
            question.period
            | question.filters.parameters()
            | {"interval": question.interval, "group_by": dimension, "limit": 50},
        )

        start, end = question.moment(question.start), question.moment(question.end)
        chosen = question.filters.choose(rows, start, end)
        buckets = check_buckets(answer["buckets"], question, start, end)
        named = {series["name"]: series for series in answer["series"]}
        expected = group(chosen, lambda row: shown(getattr(row, dimension)))
        assert set(named) == set(expected)
        assert not any(series["is_other"] for series in answer["series"])
        for name, of_name in expected.items():
            check_measures(named[name]["totals"], of_name)
            for (first, last), point in zip(buckets, named[name]["points"], strict=True):
                inside = [row for row in of_name if first <= row.created_at < last]
                assert point["requests"] == len(inside)
                assert point["failed"] == sum(not row.success for row in inside)
                assert point["tokens"] == sum(row.total_tokens for row in inside)
                check_money(point, sum((row.cost_usd for row in inside), Decimal(0)), digits=6)
        check_measures(answer["totals"], chosen)


def check_buckets(
    buckets: list[dict[str, str]], question: Question, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Assert that steps follow each other without a gap, cover the period and begin where the zone says."""
    edges = [(datetime.fromisoformat(item["start"]), datetime.fromisoformat(item["end"])) for item in buckets]
    assert all(one[1] == other[0] for one, other in pairwise(edges))
    assert edges[0][0] <= start < edges[0][1]
    assert edges[-1][0] < end <= edges[-1][1]
    if question.interval in {"15m", "hour"}:
        seconds = {"15m": 900, "hour": 3600}[question.interval]
        assert {last - first for first, last in edges} == {timedelta(seconds=seconds)}
        local, first = start.astimezone(question.zone), edges[0][0].astimezone(question.zone)
        # Where the clock changes by half an hour within the step, hours before and after begin at other minutes.
        if first.utcoffset() == local.utcoffset():
            assert first.minute == (local.minute - local.minute % 15 if seconds == 900 else 0)
    else:
        for first, _ in edges:
            local = first.astimezone(question.zone)
            assert (local.hour, local.minute, local.second) == (0, 0, 0)
            assert question.interval != "week" or local.weekday() == 0
            assert question.interval != "month" or local.day == 1
    return edges


def shown(value: Any) -> Any:
    """Return a value as a line of a chart is named: success has words."""
    return str(value).lower() if isinstance(value, bool) else value


def test_timeseries_sums_lines_beyond_the_limit(world: World) -> None:
    @for_all(world, 25)
    def check(question: Question, rows: list[Row]) -> None:
        dimension = question.group_by[0]
        answer = world.get(
            "/timeseries",
            question.period
            | question.filters.parameters()
            | {"interval": "day", "group_by": dimension, "limit": question.limit},
        )

        chosen = question.filters.choose(rows, question.moment(question.start), question.moment(question.end))
        expected = group(chosen, lambda row: shown(getattr(row, dimension)))
        lines = [series for series in answer["series"] if not series["is_other"]]
        assert len(lines) == min(question.limit, len(expected))
        for line in lines:
            check_measures(line["totals"], expected.pop(line["name"]))
        others = [series for series in answer["series"] if series["is_other"]]
        assert bool(others) == bool(expected)
        if others:
            rest = [row for of_name in expected.values() for row in of_name]
            check_measures(others[0]["totals"], rest)
            least = min(Decimal(line["totals"]["cost_usd"]) for line in lines)
            assert all(sum(row.cost_usd for row in of_name) <= least for of_name in expected.values())


def test_breakdown(world: World) -> None:
    @for_all(world, 60)
    def check(question: Question, rows: list[Row]) -> None:
        asked = question.period | question.filters.parameters()
        asked |= {"group_by": question.group_by, "sort": question.sort, "order": question.order}
        asked |= {"limit": question.limit, "compare": "previous"}
        answer = world.get("/breakdown", asked)

        start, end = question.moment(question.start), question.moment(question.end)
        chosen = question.filters.choose(rows, start, end)
        earlier = group(question.filters.choose(rows, start - (end - start), start), key_of(question.group_by))
        expected = group(chosen, key_of(question.group_by))
        whole = sum((row.cost_usd for row in chosen), Decimal(0))
        assert len(answer["rows"]) == min(question.limit, len(expected))
        amounts = []
        for row in answer["rows"]:
            key = tuple(row["group"][name] for name in question.group_by)
            of_group = expected.pop(key)
            amounts.append(amount_of(question.sort, of_group, key))
            check_measures(row, of_group)
            check_measures(row["previous"], earlier.get(key, []))
            check_share(row["cost_share"], sum(item.cost_usd for item in of_group), whole)
        assert amounts == sorted(amounts, reverse=question.order == "desc")
        rest = [(amount_of(question.sort, of_group, key)) for key, of_group in expected.items()]
        if question.order == "desc":
            assert not rest or max(rest) <= amounts[-1]
        else:
            assert not rest or min(rest) >= amounts[-1]
        assert (answer["other"] is None) == (not expected)
        if expected:
            assert answer["other"]["groups"] == len(expected)
            check_measures(answer["other"], [row for of_group in expected.values() for row in of_group])
        check_measures(answer["totals"], chosen)


def key_of(dimensions: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    return lambda row: tuple(getattr(row, name) for name in dimensions)


def amount_of(sort: str, rows: list[Row], key: tuple[Any, ...]) -> Any:
    """Return what a group is ordered by."""
    timed = [row.duration_ms for row in rows if row.duration_ms is not None]
    return {
        "cost": sum(row.cost_usd for row in rows),
        "requests": len(rows),
        "tokens": sum(row.total_tokens for row in rows),
        "failed": sum(not row.success for row in rows),
        "avg_duration_ms": sum(timed) / len(timed) if timed else 0,
        "name": tuple(shown(value) or "" for value in key),
    }[sort]


def test_logs_csv_and_each_user(world: World) -> None:
    @for_all(world, 40)
    def check(question: Question, rows: list[Row]) -> None:
        asked = question.period | question.filters.parameters()
        start, end = question.moment(question.start), question.moment(question.end)
        chosen = question.filters.choose(rows, start, end)

        items, cursor = [], None
        while True:
            page = world.get("/logs", asked | {"limit": question.limit} | ({"cursor": cursor} if cursor else {}))
            items += page["items"]
            assert len(page["items"]) <= question.limit
            if (cursor := page["next_cursor"]) is None:
                break
        check_page(items, chosen)

        header, *lines = csv.reader(io.StringIO(world.get("/export.csv", asked), newline=""))
        assert [line[header.index("id")] for line in lines] == [item["id"] for item in items]
        for line, item in zip(lines, items, strict=True):
            cells = dict(zip(header, line, strict=True))
            assert cells["cost_usd"] == item["cost_usd"]
            assert cells["user"] == (safe_cell(item["user"]) or "")
            assert cells["success"] == str(item["success"]).lower()
            assert datetime.fromisoformat(cells["created_at"]) == datetime.fromisoformat(item["created_at"])

        for user in {row.user for row in rows} - {None, ""}:
            answer = world.get(f"/users/{user}", question.period)
            of_user = [row for row in rows if row.user == user]
            inside = [row for row in of_user if start <= row.created_at < end]
            check_measures(answer["totals"], inside)
            check_groups(answer["by_model"], inside, "model", exact=True)
            check_groups(answer["by_service"], inside, "service", exact=True)
            moments = [row.created_at for row in of_user]
            assert datetime.fromisoformat(answer["first_call"]) == min(moments)
            assert datetime.fromisoformat(answer["last_call"]) == max(moments)


def test_meta(world: World) -> None:
    @for_all(world, 10)
    def check(question: Question, rows: list[Row]) -> None:
        answer = world.get("/meta", {})

        for dimension in ("service", "action", "provider", "model", "error_code"):
            values = {getattr(row, dimension) for row in rows} - {None}
            assert answer[f"{dimension}s"] == sorted(values), dimension
        assert answer["cost_statuses"] == sorted({row.cost_status for row in rows})
        moments = [row.created_at for row in rows]
        first, last = (answer[name] and datetime.fromisoformat(answer[name]) for name in ("first_call", "last_call"))
        assert (first, last) == ((min(moments), max(moments)) if moments else (None, None))
