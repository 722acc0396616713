"""A period that begins and ends inside buckets: sums and rows together are what the rows are, group by group."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.storage.condition import ROW_COLUMNS
from ai_usage_exporter.storage.query import Condition, Dimension, UsageQuery
from ai_usage_exporter.storage.reader import UsageReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = datetime(2026, 11, 20, 22, 37, 12, tzinfo=UTC)
END = START + timedelta(days=2, minutes=1)
# A call every 97 seconds, from before the period to after it; some without an action, some with an empty one.
FILL = """
INSERT INTO ai_usage_logs (service_name, service_action, provider, model, error_code, success, total_tokens, cost_usd,
    created_at)
SELECT
    's' || number % 3, (ARRAY[NULL, '', 'a'])[1 + number % 7 % 3], 'p', 'm' || number % 4,
    (ARRAY[NULL, '', '429'])[1 + number % 11 % 3],
    number % 5 > 0, number, number * 0.000001, $1::timestamptz - interval '3 hours' + number * interval '97 seconds'
FROM generate_series(1, 2100) AS number
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        await pool.execute(FILL, START)
        yield pool


@pytest.mark.parametrize("service", [None, "s1"])
@pytest.mark.parametrize(
    "dimensions",
    [
        (),
        (Dimension.ACTION,),
        (Dimension.SERVICE, Dimension.MODEL),
        (Dimension.ERROR_CODE, Dimension.SUCCESS),
        (Dimension.ACTION, Dimension.ERROR_CODE, Dimension.MODEL),
    ],
    ids=lambda dimensions: "+".join(dimensions) or "all",
)
async def test_groups_are_those_of_the_rows(pool: Any, dimensions: tuple[Dimension, ...], service: str | None) -> None:
    columns = [ROW_COLUMNS[dimension] for dimension in dimensions] or ["NULL"]
    rows = await pool.fetch(
        f"SELECT {', '.join(columns)}, count(*), sum(total_tokens)::bigint, sum(cost_usd) FROM ai_usage_logs AS log "
        "WHERE created_at >= $1 AND created_at < $2 AND service_name = coalesce($3, service_name) "
        f"GROUP BY {', '.join(str(place) for place in range(1, len(columns) + 1))}",
        START,
        END,
        service,
    )
    conditions = () if service is None else (Condition(Dimension.SERVICE, (service,)),)

    found = await UsageReader(pool).group(UsageQuery(START, END, conditions), dimensions)

    assert sum(sums.calls for sums in found.values()) > 500
    assert {group: (sums.calls, sums.total_tokens, sums.cost_usd) for group, sums in found.items()} == {
        tuple(row)[: len(dimensions)]: tuple(row)[-3:] for row in rows
    }
