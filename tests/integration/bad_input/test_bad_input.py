"""Bad spans among good ones: what can be a row is one, the rest is kept aside by name, and nothing else suffers."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage_exporter.receiver import json as otlp_json
from ai_usage_exporter.receiver import logs, protobuf
from tests.invariants import check_invariants

if TYPE_CHECKING:
    from ai_usage_exporter.receiver.service import ExportOutcome, ExportService

START_NS = 1_793_534_400_000_000_000
GOOD = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
}
GOOD_SPANS = 20


def wire_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def wire_span(number: int, *, start_ns: int | None = None, end_ns: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return an OTLP/JSON span; ``changes`` are attributes with dots written as two underscores."""
    start = START_NS + number * 1_000_000_000 if start_ns is None else start_ns
    attributes = GOOD | {key.replace("__", "."): value for key, value in changes.items()}
    return {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat gpt-4o-mini",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000_000_000 if end_ns is None else end_ns),
        "attributes": [{"key": key, "value": wire_value(value)} for key, value in attributes.items()],
    }


async def export(service: ExportService, *spans: dict[str, Any]) -> ExportOutcome:
    scope = {"scope": {"name": "ai_usage.openai"}, "spans": list(spans)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "clinic"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()
    return await service.export(lambda: otlp_json.decode(body), transport="http")


async def export_among_good(service: ExportService, bad: dict[str, Any]) -> ExportOutcome:
    good = [wire_span(number) for number in range(1, GOOD_SPANS + 1)]
    return await export(service, *good[:7], bad, *good[7:])


async def count(connection: Any, table: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_one_poisoned_span_leaves_the_rest_of_its_batch_stored(service: ExportService, connection: Any) -> None:
    good = [wire_span(number) for number in range(1, 512)]
    outcome = await export(service, *good[:300], wire_span(0, gen_ai__usage__input_tokens=-5), *good[300:])
    assert outcome.rejected == 0
    assert "1 spans" in outcome.message
    assert await count(connection, "ai_usage_logs") == 511
    assert await count(connection, "ai_usage_quarantine") == 1
    await check_invariants(connection)


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        pytest.param(-1, "tokens_out_of_range", id="negative"),
        pytest.param(2**40 + 1, "tokens_out_of_range", id="absurd"),
        pytest.param(2**63 - 1, "tokens_out_of_range", id="largest int64"),
        pytest.param(1e30, "tokens_out_of_range", id="beyond int64"),
        pytest.param(10.5, "tokens_out_of_range", id="a fraction"),
        pytest.param("many", "tokens_out_of_range", id="no number"),
    ],
)
async def test_tokens_no_row_can_hold_are_parked(
    service: ExportService, connection: Any, tokens: Any, reason: str
) -> None:
    await export_among_good(service, wire_span(0, gen_ai__usage__input_tokens=tokens))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS
    parked = await connection.fetch("SELECT reason FROM ai_usage_quarantine")
    assert [row["reason"] for row in parked] == [reason]


@pytest.mark.parametrize(
    ("tokens", "stored"),
    [
        pytest.param(12.0, 12, id="a double"),
        pytest.param("12", 12, id="a string"),
        pytest.param(2**31, 2**31, id="beyond int32"),
    ],
)
async def test_tokens_in_other_types_are_read(
    service: ExportService, connection: Any, tokens: Any, stored: int
) -> None:
    await export(service, wire_span(0, gen_ai__usage__input_tokens=tokens))
    assert await connection.fetchval("SELECT input_tokens FROM ai_usage_logs") == stored


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-Infinity", -1.0], ids=str)
async def test_a_cost_that_is_no_amount_is_parked(service: ExportService, connection: Any, cost: Any) -> None:
    await export_among_good(service, wire_span(0, gen_ai__usage__cost=cost))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS
    assert await connection.fetchval("SELECT reason FROM ai_usage_quarantine") == "cost_out_of_range"
    assert (await connection.fetchval("SELECT sum(cost_usd) FROM ai_usage_logs")).is_finite()


@pytest.mark.parametrize(
    "start_ns",
    [pytest.param(0, id="1970"), pytest.param(2**64 - 1, id="2554"), pytest.param(1, id="a nanosecond after 1970")],
)
async def test_a_time_of_no_clock_is_parked(service: ExportService, connection: Any, start_ns: int) -> None:
    await export_among_good(service, wire_span(0, start_ns=start_ns, end_ns=start_ns))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS
    assert await connection.fetchval("SELECT reason FROM ai_usage_quarantine") == "time_out_of_range"


async def test_a_clock_that_runs_ahead_or_behind_is_billed_by_its_start(
    service: ExportService, connection: Any
) -> None:
    ten_minutes, forty_days = 600_000_000_000, 40 * 86_400_000_000_000
    await export(service, wire_span(0, start_ns=START_NS + ten_minutes), wire_span(1, start_ns=START_NS - forty_days))
    days = await connection.fetch("SELECT created_at::date::text AS day FROM ai_usage_logs ORDER BY 1")
    assert [row["day"] for row in days] == ["2026-09-22", "2026-11-01"]


async def test_a_span_that_ends_before_it_starts_has_no_duration(service: ExportService, connection: Any) -> None:
    await export(service, wire_span(0, end_ns=START_NS - 1_000_000_000))
    assert await connection.fetchrow("SELECT duration_ms, input_tokens FROM ai_usage_logs") == (None, 100)


async def test_nul_in_text_and_metadata_is_replaced_and_marked(service: ExportService, connection: Any) -> None:
    bad = wire_span(0, user__id="u\x00-17", ai_usage__metadata__ward="3\x00b")
    await export_among_good(service, bad)
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS + 1
    row = await connection.fetchrow(
        "SELECT user_ref, request_metadata->>'ward' AS ward, usage_flags FROM ai_usage_logs WHERE user_ref IS NOT NULL"
    )
    assert (row["user_ref"], row["ward"]) == ("u�-17", "3�b")
    assert row["usage_flags"] == ["text_repaired"]


@pytest.mark.parametrize("where", ["u-17", "gpt-4o-mini-x", "clinic", "ai_usage.openai", "a prompt nobody stores"])
async def test_bytes_that_are_no_text_cost_nothing_but_themselves(
    service: ExportService, connection: Any, where: str
) -> None:
    bad = wire_span(0, user__id="u-17", gen_ai__response__model="gpt-4o-mini-x", prompt="a prompt nobody stores")
    good = [wire_span(number) for number in range(1, 512)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "clinic"}}]}
    scope = {"scope": {"name": "ai_usage.openai"}, "spans": [*good, bad]}
    request = ParseDict({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}, ExportTraceServiceRequest())
    # Ids are base64 to ParseDict: as long as they need to be, which is all that matters here.
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.trace_id, span.span_id = span.trace_id[-16:], span.span_id[-8:]
    body = request.SerializeToString().replace(where.encode(), where[:-1].encode() + b"\xff")
    outcome = await service.export(lambda: protobuf.decode(body), transport="http")
    assert (outcome.rejected, outcome.message) == (0, "")
    assert await count(connection, "ai_usage_logs") == 512
    row = await connection.fetchrow("SELECT * FROM ai_usage_logs WHERE user_ref IS NOT NULL")
    told = {row["user_ref"], row["model"], row["service_name"], row["scope_name"]}
    mended = where[:-1] + "\ufffd"
    assert (mended in told) is (where != "a prompt nobody stores")
    assert row["usage_flags"] == (["text_repaired"] if mended in told else None)
    await check_invariants(connection)


async def test_a_lone_surrogate_is_replaced(service: ExportService, connection: Any) -> None:
    await export_among_good(service, wire_span(0, user__id="u\ud800x"))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS + 1
    user = await connection.fetchval("SELECT user_ref FROM ai_usage_logs WHERE user_ref IS NOT NULL")
    assert user.startswith("u�")
    assert user.endswith("x")


@pytest.mark.parametrize(
    "user",
    [
        pytest.param("radiology-7", id="no uuid"),
        pytest.param("x" * 5000, id="huge"),
        pytest.param("6ba7b810-9dad-11d1-80b4-00c04fd430c8", id="uuid of nobody"),
    ],
)
async def test_a_user_nobody_knows_is_kept_as_text(service: ExportService, connection: Any, user: str) -> None:
    await export_among_good(service, wire_span(0, user__id=user))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS + 1
    row = await connection.fetchrow("SELECT user_id, user_ref FROM ai_usage_logs WHERE user_ref IS NOT NULL")
    assert row["user_id"] is None
    assert user.startswith(row["user_ref"])


async def test_an_empty_user_is_nobody(service: ExportService, connection: Any) -> None:
    await export(service, wire_span(0, user__id=""))
    assert await connection.fetchrow("SELECT user_id, user_ref FROM ai_usage_logs") == (None, None)


async def test_a_known_user_is_resolved(service: ExportService, connection: Any) -> None:
    known = uuid.uuid4()
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'a@example.com')", known)
    await export(service, wire_span(0, user__id=str(known)))
    assert await connection.fetchrow("SELECT user_id, user_ref FROM ai_usage_logs") == (known, None)


async def test_a_month_without_a_partition_is_stored_in_the_default_one(
    service: ExportService, connection: Any
) -> None:
    await export_among_good(service, wire_span(0, start_ns=1_600_000_000_000_000_000))
    assert await count(connection, "ai_usage_logs") == GOOD_SPANS + 1
    await check_invariants(connection)


async def test_the_first_of_two_contents_counts_and_the_other_is_kept(service: ExportService, connection: Any) -> None:
    await export(service, wire_span(0))
    await export(service, wire_span(0, gen_ai__usage__input_tokens=999))
    assert await connection.fetchval("SELECT input_tokens FROM ai_usage_logs") == 100
    reasons = await connection.fetch("SELECT reason FROM ai_usage_shadow_spans")
    assert [row["reason"] for row in reasons] == ["replay_with_other_content"]
    await check_invariants(connection)


async def test_spans_in_reverse_one_by_one_give_what_they_give_together(
    service: ExportService, connection: Any
) -> None:
    spans = [wire_span(number) for number in range(12)]
    for span in reversed(spans):
        await export(service, span)
    assert (await export(service, *spans)).message == ""
    assert await count(connection, "ai_usage_logs") == 12
    await check_invariants(connection)


async def test_an_event_sent_as_a_log_is_a_row_and_once_more_nothing(service: ExportService, connection: Any) -> None:
    attributes = {
        "event.name": "api_request", "model": "claude-sonnet-4-5", "session.id": "s-4", "input_tokens": "10",
        "output_tokens": "30", "cache_read_tokens": "1000", "cache_creation_tokens": "200", "duration_ms": "800",
    }  # fmt: skip
    record = {
        "timeUnixNano": str(START_NS),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [{"key": key, "value": wire_value(value)} for key, value in attributes.items()],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": [record, {**record, "body": {}}]}
    body = json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}).encode()
    for _ in range(2):
        outcome = await service.export(lambda: logs.decode_json(body), transport="http")
        assert outcome.message == ""
    row = await connection.fetchrow("SELECT input_tokens, cache_read_tokens, duration_ms, cost_usd FROM ai_usage_logs")
    assert await count(connection, "ai_usage_logs") == 1
    # 10 × 3 + 1000 × 0.3 + 200 × 3.75 + 30 × 15 dollars a million
    assert tuple(row) == (1210, 1000, 800, Decimal("0.001530000000"))
