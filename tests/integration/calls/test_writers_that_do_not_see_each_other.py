"""Two transactions that write spans of one call before either commits: afterwards the call is one row all the same."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.storage import writer as writer_module
from ai_usage_exporter.storage.pool import open_pools
from ai_usage_exporter.storage.rollups import lock_out_writers
from ai_usage_exporter.storage.settlement import find_unsettled
from ai_usage_exporter.storage.writer import UsageWriter
from tests.factories import make_call
from tests.invariants import check_invariants

if TYPE_CHECKING:
    from ai_usage_exporter.record import PricedCall

START = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
TRACE = bytes(range(16))


def _call(number: int, scope: str, **changes: Any) -> PricedCall:
    fields = {
        "trace_id": TRACE,
        "span_id": bytes([number]) * 8,
        "created_at": START + timedelta(microseconds=number),
        "response_id": "chatcmpl-1",
        "scope": scope,
    } | changes
    return make_call(**fields)


def _ours() -> PricedCall:
    return _call(1, "ai_usage.openai", emitter="ai_usage")


def _theirs(**changes: Any) -> PricedCall:
    return _call(2, "opentelemetry.instrumentation.openai.v1", emitter="openllmetry", **changes)


def _agent() -> PricedCall:
    return _call(
        3, "pydantic-ai", emitter="pydantic_ai", usage_flags=("agent_total",), duration_ms=60_000, response_id=None
    )


def _around() -> PricedCall:
    return _call(
        4, "openinference.instrumentation.langchain", emitter="openinference", trace_id=bytes(16)[:-1] + b"y",
        response_id=None, created_at=START, duration_ms=60_000,
    )  # fmt: skip


CASES = {
    "two libraries": ([_ours()], [_theirs()], {"second_instrumentor": 1}),
    "two traces": ([_ours()], [_theirs(trace_id=bytes(16)[:-1] + b"x")], {"second_instrumentor": 1}),
    "a framework around a call without a parent": ([_ours()], [_around()], {"wrapper": 1}),
    "an agent and its call": ([_agent()], [_ours()._replace()], {"agent_total": 1}),
    "a settled trace and a late library": (
        [_agent(), _ours()],
        [_theirs()],
        {"agent_total": 1, "second_instrumentor": 1},
    ),
}


@pytest.mark.parametrize("writers", ["one process", "two processes"])
@pytest.mark.parametrize("case", sorted(CASES))
async def test_one_call_is_one_row_though_neither_writer_saw_the_other(
    database_url: str, case: str, writers: str
) -> None:
    first, second, reasons = CASES[case]
    if case == "an agent and its call":
        child = second[0].record._replace(parent_span_id=first[0].record.span_id)
        second = [second[0]._replace(record=child)]
    if case == "a settled trace and a late library":
        child = first[1].record._replace(parent_span_id=first[0].record.span_id)
        first = [first[0], first[1]._replace(record=child)]
    pools = await open_pools(database_url)
    connection = await asyncpg.connect(database_url)
    try:
        # The price must be there already: writers of a new one wait for each other.
        writer = UsageWriter(pools.ingest)
        await writer.write([make_call(created_at=START - timedelta(hours=5))])
        holder = connection.transaction()
        await holder.start()
        await lock_out_writers(connection)
        async with asyncio.TaskGroup() as tasks:
            for calls in (first, second):
                tasks.create_task((writer if writers == "one process" else UsageWriter(pools.ingest)).write(calls))
            await _until_waiting(pools.query, 2)
            await holder.rollback()
        assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs WHERE created_at >= $1", START) == 1
        shadows = await connection.fetch(
            "SELECT shadow.reason FROM ai_usage_shadow_spans AS shadow JOIN ai_usage_logs AS log ON log.id = row_id"
        )
        assert sorted(shadow["reason"] for shadow in shadows) == sorted(reasons)
        await check_invariants(connection)
    finally:
        await connection.close()
        await pools.close()


@pytest.mark.parametrize(("writers", "must_look"), [("one process", False), ("two processes", True)])
async def test_only_what_others_may_have_written_is_looked_for_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, writers: str, must_look: bool
) -> None:
    looked = 0

    async def count(*args: Any) -> set[bytes]:
        nonlocal looked
        looked += 1
        return await find_unsettled(*args)

    monkeypatch.setattr(writer_module, "find_unsettled", count)
    pools = await open_pools(database_url)
    connection = await asyncpg.connect(database_url)
    try:
        writer = UsageWriter(pools.ingest)
        await writer.write([make_call(created_at=START - timedelta(hours=5))])
        looked = 0
        async with asyncio.TaskGroup() as tasks:
            async with connection.transaction():
                await lock_out_writers(connection)
                for number in (1, 2):
                    chosen = writer if writers == "one process" else UsageWriter(pools.ingest)
                    call = _call(number, "ai_usage.openai", trace_id=bytes([number]) * 16, response_id=f"resp_{number}")
                    tasks.create_task(chosen.write([call]))
                await _until_waiting(pools.query, 2)
        assert (looked > 0) is must_look  # whichever commits last must: it alone sees both
        assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs WHERE created_at >= $1", START) == 2
        await check_invariants(connection)
    finally:
        await connection.close()
        await pools.close()


async def _until_waiting(pool: Any, writers: int) -> None:
    """Wait until as many transactions wait for a slot: all their rows are in, and none is committed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        waiting = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        )
        if waiting == writers:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the writers never got as far")
