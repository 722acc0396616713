"""The first users and their number: the same whether all sums are read, or those of a few whose long buckets say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.storage import ranking
from ai_usage_exporter.storage.query import UsageQuery
from ai_usage_exporter.storage.reader import UsageReader
from ai_usage_exporter.storage.verify import load_days, rebuild_day

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ai_usage_exporter.storage.grouping import Group
    from ai_usage_exporter.storage.sums import Sums

# Inside a bucket of thirty days (from 2026-10-04), some time after it began, to inside the next one.
START = datetime(2026, 10, 9, 14, 3, 10, tzinfo=UTC)
END = datetime(2026, 11, 7, 1, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USERS = 600

FILL = """
INSERT INTO ai_usage_logs (service_name, provider, model, user_ref, user_id, total_tokens, cost_usd, created_at)
SELECT
    's', 'p', 'm', CASE WHEN number % 7 > 0 THEN 'user-' || number END,
    CASE WHEN number % 49 = 0 THEN md5(number::text)::uuid END, number, {cost},
    $1::timestamptz + (number * 7919 + call * 104729) % 5000000 * interval '1 second'
FROM generate_series(1, $2::integer) AS number, generate_series(1, 6) AS call
"""
PLAIN = """
SELECT coalesce(user_id::text, user_ref) AS user, count(*) AS calls, sum(total_tokens)::bigint AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM ai_usage_logs WHERE created_at >= $1 AND created_at < $2 GROUP BY 1 ORDER BY {sort} DESC, 1 NULLS FIRST
"""
ALL_ARE_READ = "Sum by user, dearest"
QUERY = UsageQuery(START, END)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        yield pool


@pytest.fixture
async def asked(pool: Any) -> list[str]:
    """Collect the statements the pool's connection is asked."""
    statements: list[str] = []
    async with pool.acquire() as connection:
        connection._con.add_query_logger(lambda query: statements.append(query.query))
    return statements


async def fill(connection: Any, cost: str) -> None:
    await connection.execute("SET ai_usage.rollups = 'applied'")
    await connection.execute(
        "INSERT INTO users (id) SELECT md5(number::text)::uuid FROM generate_series(1, $1::integer) AS number", USERS
    )
    await connection.execute(FILL.replace("{cost}", cost), START - 8 * DAY, USERS)


async def sum_up(connection: Any) -> None:
    for day in await load_days(connection):
        await rebuild_day(connection, day)


async def expected_users(connection: Any, sort: str = "cost_usd", *, end: datetime = END) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(PLAIN.replace("{sort}", sort), START, end)]


def figures(users: Mapping[Group, Sums]) -> list[tuple[Any, ...]]:
    return [(*group, sums.calls, sums.total_tokens, sums.cost_usd) for group, sums in users.items()]


@pytest.mark.parametrize(
    ("cost", "times_all_are_read"),
    [
        pytest.param("power(number, -1.5)::numeric(20, 12)", 0, id="few users cost most"),
        pytest.param("600 - number", 0, id="users cost evenly less"),
        pytest.param("0.5", 1, id="all users cost the same"),
    ],
)
async def test_the_dearest_users_are_those_of_the_rows(
    pool: Any, asked: list[str], cost: str, times_all_are_read: int
) -> None:
    async with pool.acquire() as connection:
        await fill(connection, cost)
        await sum_up(connection)
        expected = await expected_users(connection)

    found = await UsageReader(pool).summarize(QUERY, top_users=4)

    assert figures(found.top_users) == expected[:4]
    assert sum(ALL_ARE_READ in text for text in asked) == times_all_are_read
    assert any("Find the users who used most" in text for text in asked)


@pytest.mark.parametrize(("few_users", "all_are_read"), [(1_000, False), (100, True)])
@pytest.mark.parametrize("sort", sorted(ranking.SORTS))
async def test_users_are_ranked_and_counted_as_their_rows_are(
    pool: Any, asked: list[str], monkeypatch: pytest.MonkeyPatch, sort: str, few_users: int, all_are_read: bool
) -> None:
    monkeypatch.setattr(ranking, "_FEW_USERS", few_users)
    async with pool.acquire() as connection:
        await fill(connection, "number * 0.25 / 3")
        # Of the users a fifth each called only before the period, just after it began, just before it ended, after it.
        for place, moment in enumerate((START - HOUR, START + HOUR, END - HOUR, END + HOUR)):
            await connection.execute(
                "UPDATE ai_usage_logs SET created_at = $1, total_tokens = 10 * total_tokens, cost_usd = 10 * cost_usd "
                "WHERE total_tokens % 5 = $2",
                moment,
                place,
            )
        await sum_up(connection)
        expected = await expected_users(connection, sort)

    found = await UsageReader(pool).rank_users(QUERY, 5, sort)

    assert figures(found.first) == expected[:5]
    assert found.count == len(expected)
    assert found.total.total_tokens == sum(total_tokens for _, _, total_tokens, _ in expected)
    assert any(ALL_ARE_READ in text for text in asked) is (all_are_read or sort == "calls")  # nearly all made as many


async def test_users_of_a_few_days_are_read_at_once(pool: Any, asked: list[str]) -> None:
    async with pool.acquire() as connection:
        await fill(connection, "number")
        await sum_up(connection)
        expected = await expected_users(connection, end=START + 3 * DAY)

    found = await UsageReader(pool).rank_users(UsageQuery(START, START + 3 * DAY), 5)

    assert (figures(found.first), found.count) == (expected[:5], len(expected))
    assert sum(ALL_ARE_READ in text for text in asked) == 1
