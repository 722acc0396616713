"""A call's page lists the spans that restate it; a call that was moved takes its sums along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ai_usage_exporter.api.call_documents import call_detail
from ai_usage_exporter.storage.batch import WriteOutcome
from ai_usage_exporter.storage.call_reader import CallReader
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_call
from tests.invariants import check_invariants

START = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
TRACE = bytes(range(16))


def _call(number: int, scope: str, emitter: str, **changes: Any) -> Any:
    fields = {
        "trace_id": TRACE,
        "span_id": bytes([number]) * 8,
        "created_at": START + timedelta(microseconds=number),
        "response_id": "chatcmpl-1",
        "scope": scope,
        "emitter": emitter,
    } | changes
    return make_call(**fields)


@pytest.mark.parametrize("better_first", [True, False])
async def test_better_evidence_is_the_row_whenever_it_comes(
    database_url: str, connection: Any, *, better_first: bool
) -> None:
    ours = _call(1, "ai_usage.openai", "ai_usage", amount_usd="0.01", session_id="mine")
    theirs = _call(2, "opentelemetry.instrumentation.openai.v1", "openllmetry", amount_usd="0.02", session_id="theirs")
    pools = await open_pools(database_url)
    writer = UsageWriter(pools.ingest)
    outcomes = [await writer.write([call]) for call in ((ours, theirs) if better_first else (theirs, ours))]
    assert outcomes == [WriteOutcome(stored=1), WriteOutcome(shadows=1) if better_first else WriteOutcome(stored=1)]
    reader = CallReader(pools.query)
    row = await reader.find(ours.record.id, ())
    assert row is not None
    detail = call_detail(row, await reader.shadows(ours.record.id))
    assert (Decimal(detail.cost_usd), detail.session_id) == (Decimal("0.01"), "mine")
    assert [(shadow.span_id, shadow.reason) for shadow in detail.shadows] == [
        (theirs.record.span_id.hex(), "second_instrumentor")
    ]
    assert detail.shadows[0].details["session_id"] == "theirs"
    assert await connection.fetchval("SELECT sum(cost_usd) FROM ai_usage_logs") == Decimal("0.01")
    await check_invariants(connection)
    await pools.close()


async def test_what_was_sent_again_with_other_contents_follows_its_span(database_url: str, connection: Any) -> None:
    theirs = _call(2, "opentelemetry.instrumentation.openai.v1", "openllmetry")
    again = theirs._replace(record=theirs.record._replace(usage=theirs.record.usage._replace(input_tokens=7)))
    ours = _call(1, "ai_usage.openai", "ai_usage")
    pools = await open_pools(database_url)
    writer = UsageWriter(pools.ingest)
    for call in (theirs, again, ours, again):
        await writer.write([call])
    shadows = await connection.fetch("SELECT reason, row_id FROM ai_usage_shadow_spans ORDER BY reason")
    assert [tuple(shadow) for shadow in shadows] == [
        ("replay_with_other_content", ours.record.id),
        ("second_instrumentor", ours.record.id),
    ]
    await check_invariants(connection)
    await pools.close()


async def test_constant_response_id_joins_nothing_and_costs_little(database_url: str, connection: Any) -> None:
    calls = [
        _call(1, "ai_usage.openai", "ai_usage", trace_id=number.to_bytes(16, "big"), response_id="chatcmpl-123")
        for number in range(1, 1_001)
    ]
    pools = await open_pools(database_url)
    writer = UsageWriter(pools.ingest)
    assert await writer.write(calls[:500]) == WriteOutcome(stored=500)
    assert await writer.write(calls[500:]) == WriteOutcome(stored=500)
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_shadow_spans") == 0
    await pools.close()


async def test_long_trace_of_one_library_is_not_read_again_for_every_batch(database_url: str, connection: Any) -> None:
    def batch(start: int) -> list[Any]:
        return [
            _call(1, "ai_usage.openai", "ai_usage", span_id=n.to_bytes(8, "big"), response_id=None)
            for n in range(start, start + 100)
        ]

    pools = await open_pools(database_url)
    writer = UsageWriter(pools.ingest)
    for start in range(1, 1_000, 100):
        assert await writer.write(batch(start)) == WriteOutcome(stored=100)
    late = _call(9, "pydantic-ai", "pydantic_ai", usage_flags=("agent_total",), response_id=None, duration_ms=60_000,
                 span_id=b"late-one", created_at=START - timedelta(seconds=1))  # fmt: skip
    child = _call(1, "ai_usage.openai", "ai_usage", span_id=b"child-of", parent_span_id=b"late-one", response_id=None)
    assert await writer.write([late]) == WriteOutcome(stored=1)
    assert await writer.write([child]) == WriteOutcome(stored=1)
    assert await connection.fetchval("SELECT reason FROM ai_usage_shadow_spans") == "agent_total"
    await check_invariants(connection)
    await pools.close()
