"""What was done to keys, prices and stored usage can be looked up, and nobody can change it afterwards."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from ai_usage_exporter.storage import audit


async def test_entries_are_listed_newest_first_with_their_details(connection: Any) -> None:
    first = await audit.record(connection, "cli:ada@host", "prices.set", "openai/gpt-4o", {"input": Decimal("2.50")})
    second = await audit.record(connection, "server", "retention.drop", "ai_usage_logs_2025_01")
    entries = await audit.list_entries(connection)
    assert [entry.id for entry in entries] == [second, first]
    assert entries[1][2:] == ("cli:ada@host", "prices.set", "openai/gpt-4o", {"input": "2.50"})
    assert abs((entries[0].recorded_at - datetime.now(UTC)).total_seconds()) < 60
    assert await audit.list_entries(connection, action="prices.set") == [entries[1]]
    assert await audit.list_entries(connection, before_id=second) == [entries[1]]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ai_usage_audit SET actor = 'nobody'", "DELETE FROM ai_usage_audit", "TRUNCATE ai_usage_audit"],
)
async def test_entries_cannot_be_changed_or_removed(connection: Any, statement: str) -> None:
    await audit.record(connection, "cli:ada@host", "prices.set", "openai/gpt-4o")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(statement)
    assert [entry.actor for entry in await audit.list_entries(connection)] == ["cli:ada@host"]


async def test_entry_belongs_to_the_transaction_of_its_action(connection: Any) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await audit.record(connection, "server", "retention.drop", "x")
    await transaction.rollback()
    assert await audit.list_entries(connection) == []


async def test_odd_text_is_kept_as_far_as_the_database_can(connection: Any) -> None:
    await audit.record(connection, "a\0", "key.create", "b\ud800", {"c\0": ["d\0", "\\u0000", "\\\\u0000", "é\udfff"]})
    (entry,) = await audit.list_entries(connection)
    assert (entry.actor, entry.subject) == ("a\ufffd", "b?")
    assert entry.details == {"c\ufffd": ["d\ufffd", "\\u0000", "\\\\u0000", "é?"]}


async def test_ids_have_no_gaps_and_no_twins_however_many_write(connection: Any, database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(8)]
    try:

        async def write(opened: Any, number: int) -> None:
            for step in range(5):
                async with opened.transaction():
                    await audit.record(opened, f"writer {number}", "key.create", str(step))

        await asyncio.gather(*(write(opened, number) for number, opened in enumerate(connections)))
    finally:
        await asyncio.gather(*(opened.close() for opened in connections))
    entries = await audit.list_entries(connection)
    assert [entry.id for entry in reversed(entries)] == list(range(1, 41))
    assert await audit.find_broken(connection) == []


async def test_entry_that_is_rolled_back_leaves_no_gap(connection: Any) -> None:
    for number in range(4):
        transaction = connection.transaction()
        await transaction.start()
        await audit.record(connection, "cli:ada@host", "key.create", str(number))
        await (transaction.rollback() if number % 2 else transaction.commit())
    assert [entry.id for entry in await audit.list_entries(connection)] == [2, 1]
    assert await audit.find_broken(connection) == []


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE ai_usage_audit SET actor = 'nobody' WHERE id = 2", [2]),
        ("UPDATE ai_usage_audit SET details = '{\"n\": 3}' WHERE id = 2", [2]),
        ("UPDATE ai_usage_audit SET recorded_at = recorded_at - interval '1 microsecond' WHERE id = 1", [1]),
        ("DELETE FROM ai_usage_audit WHERE id = 2", [3]),
        ("DELETE FROM ai_usage_audit WHERE id = 1", [2]),
    ],
    ids=["actor", "details", "time", "middle taken out", "first taken out"],
)
async def test_owner_who_gets_around_the_refusal_is_found_out(
    connection: Any, statement: str, broken: list[int]
) -> None:
    for number in range(3):
        await audit.record(connection, "cli:ada@host", "key.create", str(number), {"n": number})
    await connection.execute("SET TimeZone = 'Asia/Kathmandu'")
    assert await audit.find_broken(connection) == []
    await connection.execute("ALTER TABLE ai_usage_audit DISABLE TRIGGER append_only")
    await connection.execute(statement)
    assert await audit.find_broken(connection) == broken
