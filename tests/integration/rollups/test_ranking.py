"""The dearest users: the same whether all sums are read, or those of a few whose long buckets hold enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.storage.query import UsageQuery
from ai_usage_exporter.storage.reader import UsageReader, UserTotals
from ai_usage_exporter.storage.verify import load_days, rebuild_day

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Inside a bucket of thirty days (from 2026-10-04), some time after it began, to inside the next one.
START = datetime(2026, 10, 9, 14, 3, 10, tzinfo=UTC)
END = datetime(2026, 11, 7, 1, 30, tzinfo=UTC)
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
SELECT coalesce(user_id::text, user_ref) AS user, count(*), sum(total_tokens)::bigint, sum(cost_usd) AS cost
FROM ai_usage_logs WHERE created_at >= $1 AND created_at < $2 GROUP BY 1 ORDER BY cost DESC, 1 NULLS FIRST LIMIT $3
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("cost", "times_all_are_read"),
    [
        pytest.param("power(number, -1.5)::numeric(20, 12)", 0, id="few users cost most"),
        pytest.param("600 - number", 0, id="users cost evenly less"),
        pytest.param("0.5", 1, id="all users cost the same"),
    ],
)
async def test_the_dearest_users_are_those_of_the_rows(pool: Any, cost: str, times_all_are_read: int) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SET ai_usage.rollups = 'applied'")
        await connection.execute(
            "INSERT INTO users (id) SELECT md5(number::text)::uuid FROM generate_series(1, $1::integer) AS number",
            USERS,
        )
        await connection.execute(FILL.replace("{cost}", cost), START - timedelta(days=8), USERS)
        for day in await load_days(connection):
            await rebuild_day(connection, day)
        expected = [UserTotals(*row) for row in await connection.fetch(PLAIN, START, END, 4)]
        asked: list[str] = []
        connection._con.add_query_logger(lambda query: asked.append(query.query))

    found = await UsageReader(pool).summarize(UsageQuery(START, END, ()), top_users=4)

    assert list(found.top_users) == expected
    assert sum("Sum by user, dearest" in text for text in asked) == times_all_are_read
    assert any("Find the users who cost most" in text for text in asked)
