"""What is rare is found by its own index: a question about few calls does not read the index of all calls by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.reader import UsageReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = datetime(2026, 11, 20, tzinfo=UTC)
CALLS = 20_000
"""A second apart; 40 of them by a rare service."""
FILL = """
INSERT INTO ai_usage_logs (service_name, provider, model, user_ref, duration_ms, created_at)
SELECT
    CASE number % 500 WHEN 0 THEN 'rare' ELSE 's' || number % 3 END, 'p', 'm', 'u' || number, number,
    $1::timestamptz + number * interval '1 second'
FROM generate_series(1, $2::integer) AS number
"""
READ = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'ai_usage_logs_2026_11'"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        await pool.execute("SELECT ai_usage_create_partition('2026-11-01')")
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(rollups.APPLIED)  # no sums: what is asked here comes from the rows
            await connection.execute(FILL, START, CALLS)
        await pool.execute("ANALYZE ai_usage_logs")
        yield pool


async def entries_read(pool: Any) -> int:
    """Return how many entries of the calls' indexes were read so far."""
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return int(await connection.fetchval(READ))


# The seventh time as the first: after five plans for the values asked PostgreSQL may keep one for any values.
@pytest.mark.parametrize("times", [1, 7])
async def test_a_rare_service_is_not_looked_for_in_all_calls(pool: Any, times: int) -> None:
    reader = UsageReader(pool)
    query = UsageQuery(START, START + timedelta(hours=6), (Condition(Dimension.SERVICE, ("rare",)),))
    for _ in range(times):
        before = await entries_read(pool)
        summary = await reader.summarize(query)
    assert summary.total.calls == CALLS // 500
    assert len(summary.top_users) == 10
    assert summary.p95_duration_ms == 19_000
    # Users, success, duration and the time before it: four looks at forty calls.
    assert await entries_read(pool) - before < 1_000
