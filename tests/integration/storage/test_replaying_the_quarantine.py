"""What was parked is stored once what kept it there was mended, and stays where it is until then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.cli.quarantine import quarantine as command
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.pipeline.replay import Replayed, replay_all, replay_entry
from ai_usage_exporter.storage import quarantine
from ai_usage_exporter.storage.batch import Submission
from tests.factories import make_call
from tests.invariants import check_invariants

if TYPE_CHECKING:
    from ai_usage_exporter.record import PricedCall
    from ai_usage_exporter.storage.writer import UsageWriter


async def test_entries_are_stored_once_their_cause_is_gone(writer: UsageWriter, connection: Any) -> None:
    await connection.execute("ALTER TABLE ai_usage_logs ADD CONSTRAINT no_nine CHECK (input_tokens <> 9)")
    calls = {b"span %d" % number: make_call(usage=TokenUsage(9, number)) for number in range(3)}
    raws = list(calls)
    outcome = (await writer.write_batch([Submission(list(calls.values()), raw_of=lambda at: raws[at])]))[0]
    assert outcome.quarantined == 3

    def to_calls(raw: bytes) -> list[PricedCall]:
        return [calls[raw]]

    assert await replay_all(connection, writer, to_calls) == {"kept": 3}
    assert await quarantine.count_by_reason(connection) == {"refused_23514": 3}
    await connection.execute("ALTER TABLE ai_usage_logs DROP CONSTRAINT no_nine")
    await writer.write([calls[raws[0]]])
    assert await replay_all(connection, writer, to_calls, reason="another") == {}
    assert await replay_all(connection, writer, to_calls) == {"stored": 2, "duplicate": 1}
    assert await quarantine.list_entries(connection) == []
    await check_invariants(connection, calls.values())


async def test_what_is_no_usage_leaves_and_what_cannot_be_read_stays(writer: UsageWriter, connection: Any) -> None:
    parked = [
        quarantine.ParkedSpan("unreadable", "KeyError", b"no usage"),
        quarantine.ParkedSpan("unreadable", "KeyError", b"broken"),
        quarantine.ParkedSpan("undecodable", "truncated", b"\xff", kind="body", raw_bytes=5000),
    ]
    await writer.write_batch([Submission([], parked)])

    def to_calls(raw: bytes) -> list[PricedCall]:
        if raw == b"broken":
            raise PermanentError("still broken")
        return []

    entries = await quarantine.list_entries(connection)
    fates = []
    for entry in entries:
        loaded = await quarantine.load_entry(connection, entry.id)
        assert loaded is not None
        fates.append(await replay_entry(connection, writer, loaded, to_calls))
    assert sorted(fate.fate for fate in fates) == ["ignored", "kept", "not a span"]
    assert Replayed(fates[0].id, "not a span", "a body is kept for people to read") in fates
    assert await quarantine.count_by_reason(connection) == {"undecodable": 1, "unreadable": 1}


@pytest.fixture
def parked_spans(database_url: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Park a span of a chat call, as the receiver would, and point the command at its database."""
    monkeypatch.setenv("AI_USAGE_DATABASE_URL", database_url)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name="chat", start_time_unix_nano=1_795_000_000_000_000_000,
        end_time_unix_nano=1_795_000_001_000_000_000,
    )  # fmt: skip
    for key, value in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o"), ("user.id", "[red]x")):
        span.attributes.add(key=key).value.string_value = value
    for key, count in (("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.output_tokens", 10)):
        span.attributes.add(key=key).value.int_value = count
    return request.SerializeToString()


async def _park(writer: UsageWriter, raw: bytes) -> None:
    await writer.write_batch([Submission([], [quarantine.ParkedSpan("unreadable", "an old bug", raw)])])


async def test_command_lists_shows_and_replays(parked_spans: bytes, writer: UsageWriter, connection: Any) -> None:
    import asyncio

    await _park(writer, parked_spans)
    run = CliRunner().invoke

    async def invoke(*arguments: str) -> Any:
        return await asyncio.to_thread(run, command, list(arguments))

    listed = json.loads((await invoke("list", "--json")).stdout)
    assert listed["by_reason"] == {"unreadable": 1}
    entry_id = str(listed["entries"][0]["id"])
    shown = await invoke("show", entry_id)
    assert "an old bug" in shown.stdout
    assert 'string_value: "gpt-4o"' in shown.stdout
    assert (await invoke("replay")).exit_code == 2
    replayed = await invoke("replay", entry_id, "--json")
    assert (replayed.exit_code, json.loads(replayed.stdout)) == (0, {"replayed": {"stored": 1}})
    assert json.loads((await invoke("list", "--json")).stdout) == {"by_reason": {}, "entries": []}
    row = await connection.fetchrow("SELECT * FROM ai_usage_logs")
    assert (row["model"], row["total_tokens"]) == ("gpt-4o", 1010)
    missing = await invoke("show", entry_id)
    assert isinstance(missing.exception, PermanentError)
    assert f"no entry {entry_id}" in str(missing.exception)
