"""Old months are dropped whole, by one server at a time; sums stay, and what is kept still adds up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.config import load_settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import audit, quarantine
from ai_usage_exporter.storage.partitions import ensure_partitions
from ai_usage_exporter.storage.retention import LOCK_KEY, drop_expired, rows_complete_from
from ai_usage_exporter.storage.verify import load_days, rebuild_day
from tests.factories import make_call
from tests.invariants import check_sums

if TYPE_CHECKING:
    from ai_usage_exporter.storage.writer import UsageWriter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEEP = timedelta(days=60)


async def _fill(writer: UsageWriter, connection: Any, *days_ago: int, user: str = "anna") -> None:
    await writer.write(
        [make_call(created_at=NOW - timedelta(days=days), user=user, amount_usd="0.5") for days in days_ago]
    )
    await ensure_partitions(connection, today=NOW.date())


async def _sums(connection: Any) -> list[Any]:
    return await connection.fetch(
        "SELECT cuboid, grain_s, bucket, key_id, sum(calls), sum(cost_usd), sum(total_tokens) FROM ai_usage_rollups "
        "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )


async def test_months_that_expired_are_dropped_and_their_sums_stay(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 1, 55, 84, 85, 120, 121, 150)
    before = await _sums(connection)
    # 60 days before are 25 September: all of September stays, with the row of the 1st.
    expired = await drop_expired(connection, KEEP, now=NOW)
    assert [(item.place, item.rows, item.cost_usd) for item in expired] == [
        ("ai_usage_logs_2026_06", 1, Decimal("0.5")),
        ("ai_usage_logs_2026_07", 2, Decimal("1.0")),
        ("ai_usage_logs_2026_08", 1, Decimal("0.5")),
    ]
    kept = await connection.fetch("SELECT created_at FROM ai_usage_logs ORDER BY created_at")
    assert [(NOW - row["created_at"]).days for row in kept] == [84, 55, 1, 0]
    assert await _sums(connection) == before
    assert await rows_complete_from(connection) == datetime(2026, 9, 1, tzinfo=UTC)
    assert (await load_days(connection))[0] == datetime(2026, 9, 1, tzinfo=UTC)
    await check_sums(connection)
    assert await drop_expired(connection, KEEP, now=NOW) == []


async def test_every_drop_is_in_the_audit_trail(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 120)
    await drop_expired(connection, KEEP, now=NOW)
    (entry,) = await audit.list_entries(connection)
    assert (entry.actor, entry.action, entry.subject) == ("server", "retention.drop", "ai_usage_logs_2026_07")
    assert entry.details == {"rows": 1, "cost_usd": "0.500000000000", "before": "2026-08-01 00:00:00+00:00"}


async def test_rows_without_a_partition_of_their_own_expire_too(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 2000, 3000)
    before = await _sums(connection)
    expired = await drop_expired(connection, KEEP, now=NOW)
    assert [(item.place, item.rows) for item in expired] == [("ai_usage_logs_default", 2)]
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 1
    assert await _sums(connection) == before


async def test_call_that_arrives_for_a_dropped_month_counts_and_expires(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 120)
    await drop_expired(connection, KEEP, now=NOW)
    await _fill(writer, connection, 120)
    total = "SELECT sum(calls) FROM ai_usage_rollups WHERE cuboid = 4 AND grain_s = 86400"
    assert await connection.fetchval(total) == 3
    assert [item.rows for item in await drop_expired(connection, KEEP, now=NOW)] == [1]
    assert await connection.fetchval(total) == 3


async def test_rebuilding_sums_leaves_dropped_months_alone(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 1, 120)
    before = await _sums(connection)
    await drop_expired(connection, KEEP, now=NOW)
    for day in await load_days(connection):
        await rebuild_day(connection, day)
    assert await _sums(connection) == before


async def test_what_was_parked_before_expires(connection: Any) -> None:
    await quarantine.park(connection, [quarantine.ParkedSpan("odd", "detail", b"raw")])
    assert await drop_expired(connection, KEEP, now=datetime.now(UTC) + timedelta(days=59)) == []
    expired = await drop_expired(connection, KEEP, now=datetime.now(UTC) + timedelta(days=61))
    assert [(item.place, item.rows) for item in expired] == [("ai_usage_quarantine", 1)]


async def test_only_one_server_drops(writer: UsageWriter, connection: Any, database_url: str) -> None:
    await _fill(writer, connection, 0, 120)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        assert await drop_expired(connection, KEEP, now=NOW) == []
    finally:
        await other.close()
    connections = [await asyncpg.connect(database_url) for _ in range(6)]
    try:
        found = await asyncio.gather(*(drop_expired(opened, KEEP, now=NOW) for opened in connections))
        assert sorted(len(expired) for expired in found) == [0, 0, 0, 0, 0, 1]
        assert len(await audit.list_entries(connection)) == 1
    finally:
        await asyncio.gather(*(opened.close() for opened in connections))


async def test_writers_are_not_held_up_while_a_reader_keeps_a_month_busy(
    writer: UsageWriter, connection: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_usage_exporter.storage.retention.LOCK_TIMEOUT_MS", 50)
    await _fill(writer, connection, 0, 120)
    reader = await asyncpg.connect(database_url)
    try:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("SELECT * FROM ai_usage_logs_2026_07")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await drop_expired(connection, KEEP, now=NOW)
        await _fill(writer, connection, 0)
        await transaction.rollback()
        assert [item.rows for item in await drop_expired(connection, KEEP, now=NOW)] == [1]
    finally:
        await reader.close()


@pytest.mark.parametrize(("text", "days"), [("400d", 400), (" 2 W ", 14), ("1d", 1)])
def test_retention_is_set_in_days_or_weeks(text: str, days: int) -> None:
    assert load_settings({"AI_USAGE_RETENTION": text}).retention == timedelta(days=days)


@pytest.mark.parametrize("text", ["400", "0d", "-1d", "1 month", "9999999d", "99999w"])
def test_senseless_retention_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match=r"AI_USAGE_RETENTION: .* is no retention: write days or weeks"):
        load_settings({"AI_USAGE_RETENTION": text})


async def test_shadow_spans_expire_with_their_month(writer: UsageWriter, connection: Any) -> None:
    await _fill(writer, connection, 0, 120)
    await connection.execute(
        "INSERT INTO ai_usage_shadow_spans (id, created_at, service_name, provider, model, reason, row_id)"
        " SELECT gen_random_uuid(), created_at, service_name, provider, model, 'wrapper', id FROM ai_usage_logs"
    )
    expired = await drop_expired(connection, KEEP, now=NOW)
    assert [(item.place, item.rows) for item in expired] == [("ai_usage_logs_2026_07", 1), ("ai_usage_shadow_spans", 1)]
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_shadow_spans") == 1
