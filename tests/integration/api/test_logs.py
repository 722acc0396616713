"""Calls listed page by page while others arrive, and one call with everything known about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai_usage.pricing import Cost, CostStatus, PriceRef
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_call, make_record
from tests.integration.api.reference import PREFIX, write_calls

if TYPE_CHECKING:
    import asyncpg
    import httpx2

    Connection = asyncpg.Connection[asyncpg.Record]

LOGS = f"{PREFIX}/logs"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERIOD = {"from": "2026-11-20", "to": "2026-11-21"}


async def test_no_call_is_lost_or_shown_twice_while_others_arrive(
    admin: httpx2.AsyncClient, connection: Connection
) -> None:
    # Many calls in one microsecond: the id has to tell them apart.
    await write_calls(connection, [make_call(created_at=START + timedelta(seconds=n // 7)) for n in range(100)])
    before = {str(row["id"]) for row in await connection.fetch("SELECT id FROM ai_usage_logs")}

    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await admin.get(LOGS, params=PERIOD | {"limit": 9} | cursor)).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        # Newer ones, older ones, and ones at the very moment the page ended.
        moment = datetime.fromisoformat(page["items"][-1]["created_at"])
        moments = (START + timedelta(hours=1), START - timedelta(hours=1), moment)
        await write_calls(connection, [make_call(created_at=moment) for moment in moments])

    ids = [item["id"] for item in seen]
    assert len(ids) == len(set(ids))
    assert before <= set(ids)
    assert seen == sorted(seen, key=lambda item: (item["created_at"], item["id"]), reverse=True)


async def test_a_call_shows_its_price_its_trace_and_what_restates_it(
    admin: httpx2.AsyncClient, database_url: str
) -> None:
    rates = (("cache_read", "0.075"), ("input", "0.15"), ("output", "0.6"))
    price = PriceRef("genai-prices", "2026.11.1", "openai", "gpt-4o-mini", rates)
    usage = TokenUsage(input_tokens=1_000, output_tokens=200, cache_read_tokens=400)
    cost = Decimal("0.00024")  # 600 × 0.15 + 400 × 0.075 + 200 × 0.6, in millionths
    ours = make_record(usage=usage, metadata={"plan": "pro"}, scope="ai_usage.openai", emitter="ai_usage")
    theirs = ours._replace(
        id=make_record().id,
        span_id=b"\x07" * 8,
        scope="opentelemetry.instrumentation.openai.v1",
        emitter="openllmetry",
    )
    pools = await open_pools(database_url)
    try:
        writer = UsageWriter(pools.ingest)
        for record in (ours, theirs):
            await writer.write([make_call()._replace(record=record, cost=Cost(cost, CostStatus.PRICED, price))])
    finally:
        await pools.close()

    detail = (await admin.get(f"{LOGS}/{ours.id}")).json()

    assert (detail["trace_id"], detail["span_id"]) == (ours.trace_id.hex(), ours.span_id.hex())
    assert {line["unit"]: (line["quantity"], line["rate_usd_per_mtok"]) for line in detail["calculation"]} == {
        "input": (600, "0.15"),
        "cache_read": (400, "0.075"),
        "output": (200, "0.6"),
    }
    for line in detail["calculation"]:
        assert Decimal(line["amount_usd"]) == line["quantity"] * Decimal(line["rate_usd_per_mtok"]) / 1_000_000
    assert sum(Decimal(line["amount_usd"]) for line in detail["calculation"]) == Decimal(detail["cost_usd"]) == cost
    assert detail["price"]["version"] == "2026.11.1"
    assert detail["metadata"] == {"plan": "pro"}
    [shadow] = detail["shadows"]
    assert (shadow["trace_id"], shadow["span_id"]) == (ours.trace_id.hex(), theirs.span_id.hex())
    assert shadow["reason"] == "second_instrumentor"


async def test_a_call_without_a_price_has_no_calculation(admin: httpx2.AsyncClient, connection: Connection) -> None:
    call = make_call(amount_usd=None)
    await write_calls(connection, [call])

    detail = (await admin.get(f"{LOGS}/{call.record.id}")).json()

    assert (detail["cost_status"], detail["price"], detail["calculation"]) == ("unpriced", None, [])
    assert Decimal(detail["cost_usd"]) == 0


async def test_a_call_that_is_not_there_is_a_problem(admin: httpx2.AsyncClient) -> None:
    response = await admin.get(f"{LOGS}/0193a1b2-c3d4-8e5f-8a6b-7c8d9e0f1a2b")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"
