"""A person who asks for it is erased everywhere, while calls, tokens and costs stay what they were."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.receiver.protobuf import decode
from ai_usage_exporter.storage import audit, quarantine
from ai_usage_exporter.storage.erase import Erased, erase, subject_hash
from ai_usage_exporter.storage.identity import Eraser, Identity, find_identity
from ai_usage_exporter.storage.retention import drop_expired
from tests.factories import make_call
from tests.invariants import check_sums

if TYPE_CHECKING:
    import pytest

    from ai_usage_exporter.storage.writer import UsageWriter

ANNA = UUID("0b2f7d51-6d0a-4c87-9a51-3d3d7c9f6a11")
TABLES = ("ai_usage_logs", "ai_usage_shadow_spans", "ai_usage_quarantine", "ai_usage_rollup_keys", "ai_usage_audit")


async def erase_user(connection: Any, subject: str) -> Erased:
    identity = await find_identity(connection, subject)
    return await erase(connection, identity, subject=subject, actor="cli:ada@host")


async def everything(connection: Any) -> str:
    """Return all that is stored, as text."""
    parts = [str(await connection.fetch(f"SELECT row_to_json(entry)::text FROM {table} AS entry")) for table in TABLES]
    raw = await connection.fetch("SELECT encode(raw, 'escape') AS raw FROM ai_usage_quarantine")
    return " ".join([*parts, *(row["raw"] for row in raw)])


async def totals(connection: Any) -> Any:
    rows = await connection.fetchrow("SELECT count(*), sum(cost_usd), sum(total_tokens) FROM ai_usage_logs")
    sums = await connection.fetch(
        "SELECT cuboid, grain_s, bucket, sum(calls), sum(cost_usd), sum(total_tokens), sum(duration_ms) "
        "FROM ai_usage_rollups GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    return rows, sums


async def test_known_user_is_erased_by_id(writer: UsageWriter, connection: Any) -> None:
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'Anna.Berg@example.com')", ANNA)
    await writer.write(
        [
            *(make_call(user=str(ANNA), user_email="anna.berg@example.com") for _ in range(5)),
            make_call(user="bob", user_email="bob@example.com", session_id="bobs"),
            make_call(user=None, user_email="ANNA.BERG@example.com"),
        ]
    )
    before = await totals(connection)
    assert await erase_user(connection, str(ANNA)) == Erased(calls=6)
    assert await totals(connection) == before
    await check_sums(connection)
    found = await everything(connection)
    assert str(ANNA) not in found
    assert "anna" not in found.lower()
    (bob,) = await connection.fetch("SELECT * FROM ai_usage_logs WHERE user_ref IS NOT NULL")
    assert (bob["user_ref"], bob["user_email"], bob["session_id"]) == ("bob", "bob@example.com", "bobs")
    # The host application's table is its own.
    assert await connection.fetchval("SELECT count(*) FROM users") == 1


async def test_audit_trail_names_the_user_by_hash_only(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user="anna-7", user_email=None)])
    await erase_user(connection, "anna-7")
    (entry,) = await audit.list_entries(connection)
    assert (entry.actor, entry.action, entry.subject) == ("cli:ada@host", "user.erase", subject_hash("anna-7"))
    assert entry.details == {"calls": 1, "texts": 0, "shadows": 0, "quarantined": 0}


async def test_address_leads_to_the_user_and_the_user_to_the_address(writer: UsageWriter, connection: Any) -> None:
    for subject in ("anna@example.com", "anna-7"):
        await writer.write(
            [
                make_call(user="anna-7", user_email="anna@example.com"),
                make_call(user="anna-7", user_email=None),
                make_call(user=None, user_email="anna@example.com"),
            ]
        )
        identity = await find_identity(connection, subject)
        assert (identity.user_refs - {"anna@example.com"}, identity.emails) == (
            frozenset({"anna-7"}),
            frozenset({"anna@example.com"}),
        )
        assert (await erase_user(connection, subject)).calls == 3
    await check_sums(connection)


async def test_what_is_shared_is_not_taken_for_the_person(writer: UsageWriter, connection: Any) -> None:
    await writer.write(
        [
            make_call(user="robot", user_email="anna@example.com"),
            make_call(user="robot", user_email="bob@example.com"),
            make_call(user="carl", user_email="team@example.com"),
            make_call(user="dora", user_email="team@example.com"),
        ]
    )
    assert (await erase_user(connection, "anna@example.com")).calls == 1
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_ref = 'robot'") == 1
    assert (await erase_user(connection, "carl")).calls == 1
    assert (
        await connection.fetchval("SELECT user_email FROM ai_usage_logs WHERE user_ref = 'dora'") == "team@example.com"
    )
    await check_sums(connection)


async def test_mentions_in_texts_and_metadata_go_too(writer: UsageWriter, connection: Any) -> None:
    await writer.write(
        [
            make_call(
                user="anna-7",
                user_email="anna@example.com",
                error_message="quota of anna-7 exceeded",
                metadata={"for": "Anna@Example.com", "list": ["anna-7", "anna-77"], "anna-7": 1, "n": 0.1},
            ),
            make_call(user="bob", user_email=None, metadata={"cc": "to anna@example.com, bob", "n": 12}),
        ]
    )
    assert await erase_user(connection, "anna-7") == Erased(calls=1, texts=1)
    rows = await connection.fetch(
        "SELECT error_message, request_metadata FROM ai_usage_logs ORDER BY user_ref NULLS FIRST"
    )
    assert rows[0]["error_message"] == "quota of [erased] exceeded"
    assert json.loads(rows[0]["request_metadata"]) == {
        "for": "[erased]", "list": ["[erased]", "anna-77"], "[erased]": 1, "n": 0.1
    }  # fmt: skip
    assert json.loads(rows[1]["request_metadata"]) == {"cc": "to [erased], bob", "n": 12}
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_ref = 'bob'") == 1


async def test_many_calls_are_erased_in_batches(
    writer: UsageWriter, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_usage_exporter.storage.erase.BATCH", 3)
    at = datetime(2026, 11, 5, tzinfo=UTC)
    await writer.write([make_call(user="anna-7", user_email=None, created_at=at) for _ in range(8)])
    await writer.write([make_call(user="bob", user_email=None, created_at=at) for _ in range(8)])
    assert (await erase_user(connection, "anna-7")).calls == 8
    await check_sums(connection)


async def test_sums_of_dropped_calls_lose_the_name_as_well(writer: UsageWriter, connection: Any) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    await writer.write(
        [make_call(user=user, created_at=now - timedelta(days=days)) for user in ("anna-7", "bob") for days in (0, 900)]
    )
    await drop_expired(connection, timedelta(days=60), now=now)
    before = await totals(connection)
    await erase_user(connection, "anna-7")
    assert await totals(connection) == before
    assert "anna-7" not in await everything(connection)
    nobody = await connection.fetchval(
        "SELECT sum(calls) FROM ai_usage_rollups JOIN ai_usage_rollup_keys AS key ON key.id = key_id "
        "WHERE key.cuboid = 4 AND key.user_key IS NULL AND grain_s = 86400"
    )
    assert nobody == 2
    await check_sums(connection)


async def test_calls_that_come_meanwhile_are_erased_and_others_keep_coming(
    writer: UsageWriter, connection: Any
) -> None:
    await writer.write([make_call(user="anna-7", user_email=None) for _ in range(200)])
    stop = asyncio.Event()

    async def keep_writing() -> int:
        written = 0
        while not stop.is_set():
            await writer.write([make_call(user="bob", user_email=None), make_call(user="anna-7", user_email=None)])
            written += 1
        return written

    writing = asyncio.create_task(keep_writing())
    await erase_user(connection, "anna-7")
    stop.set()
    written = await writing
    await erase_user(connection, "anna-7")
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 200 + 2 * written
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_ref = 'bob'") == written
    await check_sums(connection)


def span_request(**attributes: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.add(key="service.name").value.string_value = "cv"
    span = of_resource.scope_spans.add().spans.add(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name="chat gpt-4o",
        start_time_unix_nano=17 * 10**17,
        end_time_unix_nano=17 * 10**17 + 5,
    )
    known = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
    for key, value in (known | attributes).items():
        span.attributes.add(key=key).value.string_value = value
    span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 5
    return request


async def test_parked_span_keeps_everything_but_the_user(connection: Any) -> None:
    request = span_request(**{"user.id": "anna-7", "user.email": "anna@example.com", "note": "for anna-7 only"})
    await quarantine.park(
        connection,
        [
            quarantine.ParkedSpan("odd", "user anna-7 has odd tokens", request.SerializeToString()),
            quarantine.ParkedSpan("odd", "another", span_request(**{"user.id": "bob"}).SerializeToString()),
            quarantine.ParkedSpan("odd", "a record", b'{"user": "anna-7", "tokens": 3}', kind="record"),
            quarantine.ParkedSpan("broken", "a body", b"\xff\x00 anna-7 \xfe", kind="body"),
        ],
    )
    assert (await erase_user(connection, "anna-7")).quarantined == 3
    rows = {row["detail"]: row["raw"] for row in await connection.fetch("SELECT detail, raw FROM ai_usage_quarantine")}
    (span,) = decode(rows["user [erased] has odd tokens"]).spans
    record = normalize(span)
    assert record is not None
    assert (record.user, record.user_email, record.model, record.usage.input_tokens) == (None, None, "gpt-4o", 5)
    assert span.attributes["note"] == "for [erased] only"
    assert json.loads(rows["a record"]) == {"user": None, "tokens": 3}
    assert rows["a body"] == b"\xff\x00 xxxxxx \xfe"
    assert b"bob" in rows["another"]


async def test_shadow_spans_are_erased(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user="anna-7", user_email=None), make_call(user="bob", user_email=None)])
    await connection.execute(
        "INSERT INTO ai_usage_shadow_spans (id, created_at, user_ref, user_email, service_name, provider, model,"
        " reason, row_id, request_metadata, variant) SELECT gen_random_uuid(), created_at, user_ref, 'x@y.z',"
        " service_name, provider, model, 'replay_with_other_content', id, '{\"by\": \"anna-7\"}', 7 FROM ai_usage_logs"
    )
    assert await erase_user(connection, "anna-7") == Erased(calls=1, shadows=2)
    rows = await connection.fetch("SELECT user_ref, user_email, request_metadata FROM ai_usage_shadow_spans")
    assert sorted((row["user_ref"] or "", row["user_email"] or "") for row in rows) == [("", ""), ("bob", "x@y.z")]
    assert {row["request_metadata"] for row in rows} == {'{"by": "[erased]"}'}


async def test_somebody_nobody_knows_leaves_everything_as_it_was(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call()])
    before = await connection.fetch("SELECT * FROM ai_usage_logs")
    assert await erase_user(connection, "100%_nobody") == Erased()
    assert await connection.fetch("SELECT * FROM ai_usage_logs") == before


async def test_short_names_are_erased_only_where_they_stand_alone(connection: Any) -> None:
    eraser = Eraser(Identity(frozenset(), frozenset({"al"}), frozenset(), frozenset()))
    assert eraser.value({"by": "al", "text": "al is in calls", "n": 5}) == {
        "by": "[erased]", "text": "al is in calls", "n": 5
    }  # fmt: skip


async def test_users_table_without_addresses_is_fine(writer: UsageWriter, connection: Any) -> None:
    await connection.execute("ALTER TABLE users DROP COLUMN email")
    await writer.write([make_call(user="anna-7")])
    assert (await erase_user(connection, "anna-7")).calls == 1


async def test_deleted_host_user_can_still_be_erased_by_address(writer: UsageWriter, connection: Any) -> None:
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'anna@example.com')", ANNA)
    await writer.write([make_call(user=str(ANNA), user_email="anna@example.com")])
    await connection.execute("DELETE FROM users")
    assert await connection.fetchval("SELECT user_email FROM ai_usage_logs") == "anna@example.com"
    assert (await erase_user(connection, "anna@example.com")).calls == 1
    await check_sums(connection)


async def test_sums_by_user_still_name_others(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user="anna-7"), make_call(user="bob")])
    await erase_user(connection, "anna-7")
    keys = await connection.fetch("SELECT user_key FROM ai_usage_rollup_keys WHERE cuboid = 4")
    assert {row["user_key"] for row in keys} == {None, "bob"}
