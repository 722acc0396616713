"""Amounts too small for cents add up to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.book import OwnPrice, PriceBook
from ai_usage_exporter.storage.query import UsageQuery
from ai_usage_exporter.storage.reader import UsageReader
from tests.factories import make_record

if TYPE_CHECKING:
    from ai_usage_exporter.storage.pool import Pools
    from ai_usage_exporter.storage.writer import UsageWriter

BATCH = 5_000
NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("calls", "expected"), [(5_000, "0.0005"), pytest.param(1_000_000, "0.1", marks=pytest.mark.faults)]
)
@pytest.mark.timeout(900)
async def test_calls_of_a_ten_millionth_of_a_dollar_sum_exactly(
    writer: UsageWriter, pools: Pools, connection: Any, calls: int, expected: str
) -> None:
    tiny = OwnPrice("openai", "tiny", "contract", rates={"input": Decimal("0.1"), "output": Decimal(0)})
    pricing = Pricing(PriceBook([tiny]))
    for start in range(0, calls, BATCH):
        await writer.write(
            [
                pricing.price(
                    make_record(
                        model="tiny",
                        usage=TokenUsage(1, 0),
                        created_at=NOON + timedelta(microseconds=start + number),
                        metadata=None,
                    )
                )
                for number in range(BATCH)
            ]
        )
    assert await connection.fetchval("SELECT sum(cost_usd) FROM ai_usage_logs") == Decimal(expected)
    day = NOON - timedelta(hours=12)
    summary = await UsageReader(pools.query).summarize(UsageQuery(day, day + timedelta(days=1)))
    assert (summary.total.cost_usd, summary.total.calls) == (Decimal(expected), calls)
