"""The same spans give the same rows, shadows and rollups, in any order, split into any batches, by any writers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_usage.pricing import Cost, CostStatus
from ai_usage.tokens import NOT_REPORTED, TokenUsage
from ai_usage_exporter.calls import decide
from ai_usage_exporter.evidence import evidence_of_record
from ai_usage_exporter.record import PricedCall
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import PRICE, make_record
from tests.invariants import check_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_usage_exporter.storage.pool import Pools

START = datetime(2026, 11, 3, 23, 59, 58, tzinfo=UTC)
EMITTERS = {
    "ai_usage.openai": "ai_usage",
    "opentelemetry.instrumentation.genai.openai": "otel",
    "openinference.instrumentation.openai": "openinference",
    "openinference.instrumentation.langchain": "openinference",
    "opentelemetry.instrumentation.openai.v1": "openllmetry",
    "litellm": "litellm",
}
TABLES = "ai_usage_logs, ai_usage_shadow_spans, ai_usage_rollups, ai_usage_rollup_keys, ai_usage_quarantine"


class Shape(NamedTuple):
    """Hold what matters of a generated span."""

    trace: int
    parent: int | None
    scope: str
    at_ms: int
    lasts_ms: int
    tokens: int | None
    flag: str | None
    response_id: str | None
    service: str
    success: bool


SHAPES = st.builds(
    Shape,
    trace=st.sampled_from([1, 1, 1, 2]),
    parent=st.one_of(st.none(), st.integers(0, 6)),
    scope=st.sampled_from(sorted(EMITTERS)),
    at_ms=st.integers(0, 20).map(lambda tenth: tenth * 100),
    lasts_ms=st.integers(0, 20).map(lambda tenth: tenth * 100),
    tokens=st.sampled_from([None, 100, 100, 200]),
    flag=st.sampled_from([None, None, None, "agent_total", "wrapper", "gateway", "estimated_tokens"]),
    response_id=st.sampled_from([None, "resp_1", "chatcmpl-1", "chatcmpl-2"]),
    service=st.sampled_from(["app", "proxy"]),
    success=st.sampled_from([True, True, True, False]),
)


def to_call(number: int, shape: Shape) -> PricedCall:
    """Return the span as the writer gets it; its cost follows from its tokens."""
    record = make_record(
        trace_id=bytes([shape.trace]) * 16,
        span_id=bytes([number + 1]) * 8,
        parent_span_id=None if shape.parent is None else bytes([shape.parent + 1]) * 8,
        created_at=START + timedelta(milliseconds=shape.at_ms, microseconds=number),
        duration_ms=shape.lasts_ms,
        usage=NOT_REPORTED if shape.tokens is None else TokenUsage(shape.tokens, shape.tokens // 2),
        response_id=shape.response_id,
        service_name=shape.service,
        success=shape.success,
        error_code=None if shape.success else "rate_limit",
        emitter=EMITTERS[shape.scope],
        scope=shape.scope,
        usage_flags=() if shape.flag is None else (shape.flag,),
    )
    return PricedCall(record, Cost(Decimal(shape.tokens or 0) / 1_000_000, CostStatus.PRICED, PRICE))


class Database:
    """Write batches into an emptied database and read everything back."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._pools: Pools = self._runner.run(open_pools(url))

    def close(self) -> None:
        self._runner.run(self._pools.close())
        self._runner.close()

    def write(self, *streams: list[list[PricedCall]]) -> tuple[Any, ...]:
        """Have one writer a stream of batches, all at once; return rows, shadows and sums."""
        return self._runner.run(self._write(streams))

    async def _write(self, streams: tuple[list[list[PricedCall]], ...]) -> tuple[Any, ...]:
        await self._pools.ingest.execute(f"TRUNCATE {TABLES}")

        async def run(batches: list[list[PricedCall]]) -> None:
            writer = UsageWriter(self._pools.ingest)
            for batch in batches:
                await writer.write(batch)

        await asyncio.gather(*map(run, streams))
        async with self._pools.query.acquire() as connection:
            rows = await connection.fetch("SELECT * FROM ai_usage_logs ORDER BY id")
            shadows = await connection.fetch("SELECT * FROM ai_usage_shadow_spans ORDER BY id, variant")
            sums = await connection.fetch(
                "SELECT cuboid, grain_s, bucket, key_id, sum(calls), sum(total_tokens), sum(cost_usd),"
                " sum(duration_ms) FROM ai_usage_rollups GROUP BY 1, 2, 3, 4 HAVING sum(calls) <> 0 ORDER BY 1, 2, 3, 4"
            )
            await check_sums(connection)
        return _values(rows), _values(shadows), _values(sums)


def _values(rows: list[Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "ingested_at"} for row in rows]


@pytest.fixture(scope="module")
def database(postgres_server_url: str, template_database: str) -> Iterator[Database]:
    """Give one database for all examples."""
    from tests.conftest import _database

    urls = _database(postgres_server_url, template=template_database)
    opened = Database(next(urls))
    yield opened
    opened.close()
    for _ in urls:
        pass


PROPERTY = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, derandomize=True)


@st.composite
def batches_of(draw: st.DrawFn) -> tuple[list[PricedCall], list[list[PricedCall]]]:
    """Return spans, and the same spans in another order and split into batches."""
    shapes = draw(st.lists(SHAPES, min_size=2, max_size=7))
    calls = [to_call(number, shape) for number, shape in enumerate(shapes)]
    return calls, _split(draw, draw(st.permutations(calls)))


def _split(draw: st.DrawFn, calls: list[PricedCall]) -> list[list[PricedCall]]:
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(calls) - 1)))))
    edges = [0, *cuts, len(calls)]
    return [calls[start:end] for start, end in pairwise(edges) if start < end]


@settings(PROPERTY, max_examples=60)
@given(given_=batches_of())
def test_order_and_batches_do_not_matter(
    database: Database, given_: tuple[list[PricedCall], list[list[PricedCall]]]
) -> None:
    calls, batches = given_
    at_once = database.write([calls])
    assert database.write(batches) == at_once
    verdicts = decide(evidence_of_record(call.record) for call in calls)
    assert {shadow["id"]: (shadow["reason"], shadow["row_id"]) for shadow in at_once[1]} == {
        id_: (verdict.reason.value, verdict.row_id) for id_, verdict in verdicts.items()
    }
    assert len(at_once[0]) + len(at_once[1]) == len(calls)


@settings(PROPERTY, max_examples=30)
@given(given_=batches_of(), data=st.data())
def test_writers_at_the_same_time_do_not_matter(
    database: Database, given_: tuple[list[PricedCall], list[list[PricedCall]]], data: st.DataObject
) -> None:
    calls, batches = given_
    owner = data.draw(st.lists(st.booleans(), min_size=len(batches), max_size=len(batches)))
    streams = [[batch for batch, mine in zip(batches, owner, strict=True) if mine is side] for side in (True, False)]
    assert database.write(*streams) == database.write([calls])


@settings(PROPERTY, max_examples=15)
@given(given_=batches_of())
def test_sending_everything_again_changes_nothing(
    database: Database, given_: tuple[list[PricedCall], list[list[PricedCall]]]
) -> None:
    calls, batches = given_
    assert database.write([*batches, calls, *batches]) == database.write([calls])


def test_parallel_writers_of_many_small_traces_agree_with_one_writer(database: Database) -> None:
    scopes = sorted(EMITTERS)[:3]
    calls = []
    for trace in range(60):
        for number, scope in enumerate(scopes):
            call = to_call(
                number, Shape(1, None, scope, 0, 1000 + number * 2, 100, None, f"chatcmpl-{trace}", "app", True)
            )
            fields = call.record._asdict() | {
                "trace_id": trace.to_bytes(2) * 8,
                "created_at": START + timedelta(milliseconds=10 * trace - number, microseconds=number),
            }
            del fields["id"]
            moved = make_record(**fields)
            calls.append(call._replace(record=moved))
    streams = [[[call] for call in calls[number::3]] for number in range(3)]
    rows, shadows, sums = database.write(*streams)
    assert (len(rows), len(shadows)) == (60, 120)
    assert (rows, shadows, sums) == database.write([calls])
