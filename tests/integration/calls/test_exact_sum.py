"""A million calls of a ten-millionth of a dollar cost exactly ten cents, by the rows and by every sum of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ai_usage_exporter.storage import rollups, verify
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.query import UsageQuery
from ai_usage_exporter.storage.reader import UsageReader

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
AFTER = datetime(2026, 11, 11, tzinfo=UTC)
INSERT = """
INSERT INTO ai_usage_logs
    (id, created_at, service_name, provider, model, input_tokens, total_tokens, cost_usd, cost_status)
SELECT
    gen_random_uuid(), $1::timestamptz + n * interval '0.864 seconds', 'search', 'openai', 'tiny', 1, 1,
    0.0000001, 'priced'
FROM generate_series(0, 999999) AS n
"""
INDEXES = """
SELECT string_agg(format('DROP INDEX %s;', indexrelid::regclass), ' ')
FROM pg_index WHERE indrelid = 'ai_usage_logs'::regclass AND NOT indisprimary
    AND indexrelid <> 'idx_ai_usage_created_at'::regclass
"""


async def test_million_calls_of_a_ten_millionth_dollar_sum_to_exactly_ten_cents(
    database_url: str, connection: Any
) -> None:
    await connection.execute(await connection.fetchval(INDEXES))  # only to have the rows sooner
    async with connection.transaction():
        await connection.execute(rollups.APPLIED)
        await connection.execute(INSERT, FIRST, timeout=100)
    for day in await verify.load_days(connection):
        await verify.rebuild_day(connection, day)
    pools = await open_pools(database_url)
    reader = UsageReader(pools.query)
    summary = await reader.summarize(UsageQuery(FIRST, AFTER, ()), top_users=0)
    assert (summary.total.calls, summary.total.cost_usd) == (1_000_000, Decimal("0.1"))
    days = await verify.load_days(connection)
    by_day = [
        (await reader.summarize(UsageQuery(day, day.replace(day=day.day + 1), ()), top_users=0)).total.cost_usd
        for day in days
    ]
    assert (len(by_day), set(by_day), sum(by_day)) == (10, {Decimal("0.01")}, Decimal("0.1"))
    assert await connection.fetchval("SELECT sum(cost_usd) FROM ai_usage_logs") == Decimal("0.1")
    await pools.close()
