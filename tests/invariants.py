"""What must hold after every fault: nothing acknowledged is lost, nothing counts twice, sums equal rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ai_usage_exporter.storage import verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ai_usage_exporter.record import PricedCall


async def check_invariants(connection: Any, acknowledged: Iterable[PricedCall] = ()) -> None:
    """Assert I1 (acknowledged calls are stored), I2 (once each) and I3 (rollups equal a fresh sum over the rows)."""
    await check_acknowledged(connection, {(call.record.trace_id, call.record.span_id) for call in acknowledged})
    doubled = await connection.fetch(
        "SELECT trace_id, span_id, count(*) FROM ai_usage_logs GROUP BY trace_id, span_id HAVING count(*) > 1"
    )
    assert doubled == []
    await check_sums(connection)


async def check_sums(connection: Any) -> None:
    """Assert that every sum is that of its rows, and every long one that of its days."""
    for day in await verify.load_days(connection):
        assert await verify.compare_day(connection, day) == []
    for bucket in await verify.load_long_buckets(connection):
        assert await verify.compare_long_bucket(connection, bucket) == []


async def check_acknowledged(connection: Any, acknowledged: set[tuple[bytes, bytes]]) -> None:
    """Assert that every acknowledged span, named by trace id and span id, has its row."""
    lost = (await count_spans(connection, acknowledged)).lost
    assert not lost, f"{lost} acknowledged spans have no row"


class SpanCounts(NamedTuple):
    """Hold acknowledged spans against rows."""

    acknowledged: int
    rows: int
    lost: int
    twice: int


async def count_spans(connection: Any, acknowledged: set[tuple[bytes, bytes]]) -> SpanCounts:
    """Count the rows there are, the acknowledged spans without one, and the rows beyond the first of a span."""
    rows = [(row[0], row[1]) for row in await connection.fetch("SELECT trace_id, span_id FROM ai_usage_logs")]
    stored = set(rows)
    return SpanCounts(len(acknowledged), len(rows), len(acknowledged - stored), len(rows) - len(stored))


def check_metrics(metrics: Mapping[str, float]) -> None:
    """Assert I5 from a receiver's metrics alone: accepted spans are the sum of what became of them."""

    def total(name: str) -> float:
        return sum(value for key, value in metrics.items() if key.startswith(f"{name}{{"))

    accepted, fates = total("receiver_accepted_spans_total"), total("ai_usage_spans_total")
    assert accepted == fates, f"{accepted:.0f} accepted spans, {fates:.0f} with a fate"
