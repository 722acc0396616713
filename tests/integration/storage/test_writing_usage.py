"""Every call becomes one row, however often it is sent and whatever stands beside it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from ai_usage.tokens import NOT_REPORTED, TokenUsage
from ai_usage_exporter.storage import quarantine
from ai_usage_exporter.storage.batch import Submission, WriteOutcome
from tests.factories import PRICE, make_call

if TYPE_CHECKING:
    from ai_usage_exporter.storage.writer import UsageWriter


async def _rows(connection: Any) -> list[Any]:
    return await connection.fetch("SELECT * FROM ai_usage_logs ORDER BY created_at, id")


async def test_call_is_stored_with_every_value(writer: UsageWriter, connection: Any) -> None:
    call = make_call(
        created_at=datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC),
        usage=TokenUsage(1000, 200, 100, 50, 20, 30, 5, 6, 7, 8, 9),
        amount_usd="0.0002700000001",
        reported_cost_usd=Decimal("0.0003"),
        parent_span_id=b"parent!!",
        error_code="429",
        error_message="slow down",
        success=False,
        usage_flags=("partial",),
        metadata={"ward": "3B", "beds": 2},
        scope="ai_usage.openai",
    )
    assert await writer.write([call]) == WriteOutcome(stored=1)
    row = dict((await _rows(connection))[0])
    assert (datetime.now(UTC) - row.pop("ingested_at")).total_seconds() < 60
    record = call.record
    assert json.loads(row.pop("request_metadata")) == record.metadata
    assert row == {
        "id": record.id, "created_at": record.created_at, "user_id": None, "user_ref": "radiology-7",
        "user_email": "radiology-7@example.com", "service_name": "xray_analyzer", "service_action": "analyze",
        "provider": "openai", "model": "gpt-4o-mini", "request_model": "gpt-4o-mini", "operation": "chat",
        "input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200, "cache_read_tokens": 100,
        "cache_write_tokens": 50, "cache_write_1h_tokens": 20, "reasoning_tokens": 30, "input_audio_tokens": 5,
        "output_audio_tokens": 6, "cache_read_audio_tokens": 7, "input_image_tokens": 8, "output_image_tokens": 9,
        "cost_usd": Decimal("0.000270000000"), "cost_status": "priced", "reported_cost_usd": Decimal("0.0003"),
        "price_ref": PRICE.id, "duration_ms": 1250, "success": False, "error_code": "429",
        "error_message": "slow down", "service_tier": "default", "session_id": "session-1",
        "provider_response_id": record.response_id, "trace_id": record.trace_id, "span_id": record.span_id,
        "parent_span_id": b"parent!!", "emitter": "otel", "usage_flags": ["partial"],
        "scope_name": "ai_usage.openai",
    }  # fmt: skip
    price = await connection.fetchrow("SELECT * FROM ai_usage_price_refs")
    assert (price["id"], price["model"], json.loads(price["rates"])) == (PRICE.id, "gpt-4o-mini", dict(PRICE.rates))


async def test_call_without_usage_or_price_is_stored_as_zero_with_its_status(
    writer: UsageWriter, connection: Any
) -> None:
    await writer.write([make_call(usage=NOT_REPORTED, amount_usd=None, user=None, model="unknown")])
    row = (await _rows(connection))[0]
    assert (row["total_tokens"], row["cost_usd"], row["cost_status"]) == (0, 0, "unpriced")
    assert (row["cache_read_tokens"], row["price_ref"], row["user_ref"]) == (None, None, None)


async def test_replay_changes_nothing(writer: UsageWriter, connection: Any) -> None:
    calls = [make_call() for _ in range(50)]
    assert await writer.write(calls) == WriteOutcome(stored=50)
    before = await _rows(connection)
    for _ in range(3):
        assert await writer.write(calls) == WriteOutcome(duplicates=50)
    assert await _rows(connection) == before


async def test_partly_replayed_batch_stores_only_what_is_new(writer: UsageWriter, connection: Any) -> None:
    old, new = [make_call() for _ in range(5)], [make_call() for _ in range(7)]
    await writer.write(old)
    assert await writer.write_batch([Submission(new[:3]), Submission(old), Submission(new[3:])]) == [
        WriteOutcome(stored=3),
        WriteOutcome(duplicates=5),
        WriteOutcome(stored=4),
    ]
    assert len(await _rows(connection)) == 12


async def test_same_call_twice_in_one_batch_is_one_row(writer: UsageWriter, connection: Any) -> None:
    call = make_call()
    assert await writer.write([call, make_call(), call]) == WriteOutcome(stored=2, duplicates=1)
    assert len(await _rows(connection)) == 2


async def test_many_writers_of_the_same_calls_in_opposite_orders_store_each_once(
    writer: UsageWriter, connection: Any
) -> None:
    calls = [make_call() for _ in range(200)]
    outcomes = await asyncio.gather(*(writer.write(calls[:: 1 if number % 2 else -1]) for number in range(8)))
    assert sum(outcome.stored for outcome in outcomes) == 200
    assert all(outcome.total == 200 for outcome in outcomes)
    assert len(await _rows(connection)) == 200


async def test_same_span_with_other_contents_keeps_the_first_and_makes_the_second_its_shadow(
    writer: UsageWriter, connection: Any
) -> None:
    first = make_call()
    await writer.write([first])
    other = first._replace(record=first.record._replace(usage=TokenUsage(5, 5)))
    assert await writer.write([other]) == WriteOutcome(shadows=1)
    assert await writer.write([other]) == WriteOutcome(duplicates=1)
    assert (await _rows(connection))[0]["total_tokens"] == 1200
    shadows = await connection.fetch("SELECT id, row_id, reason, total_tokens FROM ai_usage_shadow_spans")
    assert [tuple(shadow) for shadow in shadows] == [
        (first.record.id, first.record.id, "replay_with_other_content", 10)
    ]


BAD_CALLS = {
    "negative": ({"usage": TokenUsage(-1, 2)}, "tokens_out_of_range"),
    "negative subset": ({"usage": TokenUsage(10, 2, cache_read_tokens=-1)}, "tokens_out_of_range"),
    "above int64": ({"usage": TokenUsage(2**63, 2)}, "tokens_out_of_range"),
    "absurd": ({"usage": TokenUsage(2**63 - 10, 2)}, "tokens_out_of_range"),
    "fraction": ({"usage": TokenUsage(1.5, 2)}, "tokens_out_of_range"),
    "text": ({"usage": TokenUsage("12", 2)}, "tokens_out_of_range"),
    "NaN cost": ({"amount_usd": "NaN"}, "cost_out_of_range"),
    "infinite cost": ({"amount_usd": "Infinity"}, "cost_out_of_range"),
    "huge cost": ({"amount_usd": "1e9"}, "cost_out_of_range"),
    "NaN reported cost": ({"reported_cost_usd": Decimal("NaN")}, "cost_out_of_range"),
    "number for text": ({"service_action": 5}, "not_text"),
    "year 10000": ({"created_at": "tomorrow"}, "refused_TypeError"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
async def test_one_bad_call_among_many_is_parked_with_its_span_and_the_others_are_stored(
    name: str, writer: UsageWriter, connection: Any
) -> None:
    changes, reason = BAD_CALLS[name]
    bad = make_call(**({"id": uuid4()} | changes))
    calls = [make_call() for _ in range(511)]
    calls.insert(300, bad)
    outcomes = await writer.write_batch(
        [Submission([make_call()]), Submission(calls, raw_of=lambda index: b"span %d" % index)]
    )
    assert outcomes == [WriteOutcome(stored=1), WriteOutcome(stored=511, quarantined=1)]
    assert len(await _rows(connection)) == 512
    entries = await quarantine.list_entries(connection)
    assert [entry.reason for entry in entries] == [reason]
    shown = await quarantine.load_entry(connection, entries[0].id)
    assert shown is not None
    assert shown.raw == b"span 300"
    assert shown.raw_bytes == 8
    assert await writer.write(calls) == WriteOutcome(duplicates=511, quarantined=1)


async def test_call_that_only_postgresql_refuses_is_found_by_halving(writer: UsageWriter, connection: Any) -> None:
    await connection.execute("ALTER TABLE ai_usage_logs ADD CONSTRAINT no_nine CHECK (input_tokens <> 9)")
    calls = [make_call() for _ in range(60)] + [make_call(usage=TokenUsage(9, 1)), make_call()]
    assert await writer.write(calls) == WriteOutcome(stored=61, quarantined=1)
    entry = (await quarantine.list_entries(connection))[0]
    assert entry.reason == "refused_23514"
    assert "no_nine" in entry.detail


@pytest.mark.parametrize("field", ["user", "service_name", "model", "error_message", "response_id"])
@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"], ids=["NUL", "lone surrogate"])
async def test_text_postgresql_cannot_hold_is_repaired_and_flagged(
    field: str, bad: str, writer: UsageWriter, connection: Any
) -> None:
    call = make_call(**{field: bad})
    assert await writer.write([make_call(), call]) == WriteOutcome(stored=2)
    column = {"user": "user_ref", "response_id": "provider_response_id"}.get(field, field)
    row = await connection.fetchrow("SELECT * FROM ai_usage_logs WHERE id = $1", call.record.id)
    assert row[column] == "a\ufffdb"
    assert row["usage_flags"] == ["text_repaired"]
    assert await writer.write([call]) == WriteOutcome(duplicates=1)


async def test_metadata_postgresql_cannot_hold_is_repaired(writer: UsageWriter, connection: Any) -> None:
    metadata = {"a\0": ["\ud800", float("nan"), {"deep": b"\x00\xff"}], "fine": 1}
    assert await writer.write([make_call(metadata=metadata)]) == WriteOutcome(stored=1)
    stored = json.loads(await connection.fetchval("SELECT request_metadata FROM ai_usage_logs"))
    assert stored == {"a\ufffd": ["\ufffd", "nan", {"deep": "AP8="}], "fine": 1}


async def test_user_ids_are_resolved_when_they_can_be_and_kept_as_text_when_not(
    writer: UsageWriter, connection: Any
) -> None:
    known, unknown = uuid4(), uuid4()
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'known@example.com')", known)
    users = [str(known), str(known).upper(), str(unknown), "not-a-uuid", "", "x" * 100_000, None]
    calls = [make_call(user=user) for user in users]
    assert await writer.write(calls) == WriteOutcome(stored=7)
    by_id = {row["id"]: row for row in await _rows(connection)}
    found = [(by_id[call.record.id]["user_id"], by_id[call.record.id]["user_ref"]) for call in calls]
    assert found[:5] == [(known, None), (known, None), (None, str(unknown)), (None, "not-a-uuid"), (None, "")]
    assert found[6] == (None, None)


async def test_email_stays_when_the_user_is_deleted(writer: UsageWriter, connection: Any) -> None:
    user = uuid4()
    await connection.execute("INSERT INTO users (id) VALUES ($1)", user)
    await writer.write([make_call(user=str(user), user_email="left@example.com")])
    await connection.execute("DELETE FROM users")
    row = (await _rows(connection))[0]
    assert (row["user_id"], row["user_email"]) == (None, "left@example.com")


async def test_over_long_indexed_text_is_cut_and_flagged(writer: UsageWriter, connection: Any) -> None:
    name = "".join(chr(0x4E00 + number % 20_000) for number in range(9_000))
    assert await writer.write([make_call(service_name=name)]) == WriteOutcome(stored=1)
    row = (await _rows(connection))[0]
    assert row["service_name"] == name[:600]
    assert row["usage_flags"] == ["text_shortened"]


async def test_months_without_a_partition_are_stored(writer: UsageWriter, connection: Any) -> None:
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2040, 6, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    assert await writer.write([make_call(created_at=time, id=uuid4()) for time in times]) == WriteOutcome(stored=3)
    assert [row["created_at"] for row in await _rows(connection)] == times


async def test_parked_spans_are_stored_with_the_calls_they_came_with(writer: UsageWriter, connection: Any) -> None:
    parked = [quarantine.ParkedSpan("no_ids", "span without ids\0", b"raw", service_name="svc")]
    for _ in range(2):
        outcome = (await writer.write_batch([Submission([], parked)]))[0]
        assert outcome == WriteOutcome(quarantined=1)
    assert await quarantine.count_by_reason(connection) == {"no_ids": 1}
    entry = (await quarantine.list_entries(connection, reason="no_ids"))[0]
    assert await quarantine.remove_entry(connection, entry.id)
    assert not await quarantine.remove_entry(connection, entry.id)
    assert await quarantine.load_entry(connection, entry.id) is None
