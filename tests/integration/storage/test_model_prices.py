"""The database itself keeps own prices free of contradictions, whoever writes them."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from ai_usage_exporter.storage import audit

INSERT = """
INSERT INTO ai_model_prices (provider, model, service_tier, above_input_tokens, effective_from, effective_to,
    input_usd_per_mtok)
VALUES ($1, $2, $3, $4, $5::text::timestamptz, $6::text::timestamptz, 1)
RETURNING id
"""
BASE = ("openai", "gpt-4o", "", 0, "2026-01-01Z", "2026-07-01Z")


async def test_overlap_is_refused(connection: Any) -> None:
    await connection.execute(INSERT, *BASE)
    for other in (
        BASE,
        ("openai", "gpt-4o", "", 0, "2026-06-30Z", None),
        ("openai", "gpt-4o", "", 0, "2025-01-01Z", None),
        ("OpenAI", "GPT-4o", "", 0, "2026-03-01Z", "2026-03-02Z"),
    ):
        with pytest.raises(asyncpg.ExclusionViolationError, match="ai_model_prices_no_overlap"):
            await connection.execute(INSERT, *other)


async def test_what_is_not_the_same_price_may_stand_beside_it(connection: Any) -> None:
    await connection.execute(INSERT, *BASE)
    for other in (
        ("openai", "gpt-4o", "", 0, "2026-07-01Z", None),
        ("openai", "gpt-4o", "", 0, "2025-01-01Z", "2026-01-01Z"),
        ("openai", "gpt-4o", "batch", 0, "2026-01-01Z", None),
        ("openai", "gpt-4o", "", 200_000, "2026-01-01Z", None),
        ("openai", "gpt-4o-mini", "", 0, "2026-01-01Z", None),
        ("azure.ai.openai", "gpt-4o", "", 0, "2026-01-01Z", None),
    ):
        await connection.execute(INSERT, *other)
    assert await connection.fetchval("SELECT count(*) FROM ai_model_prices") == 7


async def test_of_many_writers_at_once_one_succeeds(database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(12)]
    try:
        starts = [f"2026-01-{day:02d}Z" for day in range(1, 13)]
        outcomes = await asyncio.gather(
            *(
                opened.execute(INSERT, "openai", "gpt-4o", "", 0, start, None)
                for opened, start in zip(connections, starts, strict=True)
            ),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        # Writers that wait for each other in a circle are told of a deadlock: refused as well.
        assert all(
            isinstance(error, asyncpg.ExclusionViolationError | asyncpg.DeadlockDetectedError) for error in refused
        )
        assert len(refused) == 11
        assert await connections[0].fetchval("SELECT count(*) FROM ai_model_prices") == 1
    finally:
        await asyncio.gather(*(opened.close() for opened in connections))


async def test_overlap_is_refused_after_the_other_writer_commits(database_url: str) -> None:
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        transaction = first.transaction()
        await transaction.start()
        await first.execute(INSERT, *BASE)
        waiting = asyncio.create_task(second.execute(INSERT, *BASE))
        async with asyncio.timeout(20):
            while not await first.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)", second.get_server_pid()
            ):
                assert not waiting.done()
        await transaction.commit()
        with pytest.raises(asyncpg.ExclusionViolationError):
            await waiting
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ("input_usd_per_mtok = -1", "usd_per_mtok"),
        ("input_usd_per_mtok = 'NaN'", "usd_per_mtok"),
        ("input_usd_per_mtok = 'Infinity'", "usd_per_mtok"),
        ("input_usd_per_mtok = 0.0000001", "usd_per_mtok"),
        ("discount_percent = 10", "discount_or_rates"),
        ("input_usd_per_mtok = NULL", "discount_or_rates"),
        ("input_usd_per_mtok = NULL, discount_percent = 101", "possible_discount"),
        ("input_usd_per_mtok = NULL, discount_percent = 'NaN'", "possible_discount"),
        ("input_usd_per_mtok = NULL, discount_percent = 5, above_input_tokens = 9", "discount_for_every_size"),
        ("effective_to = effective_from", "effective_period"),
        ("effective_from = '-infinity'", "effective_period"),
        ("above_input_tokens = -1", "positive_context_size"),
        ("model = ''", "named_model"),
        ("request_usd = 'NaN'", "possible_request_price"),
    ],
)
async def test_senseless_prices_are_refused(connection: Any, columns: str, constraint: str) -> None:
    await connection.execute(INSERT, *BASE)
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await connection.execute(f"UPDATE ai_model_prices SET {columns}")


async def test_changes_by_sql_are_in_the_audit_trail_and_told_to_listeners(connection: Any) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("ai_usage_prices", lambda _, __, channel, payload: told.put_nowait(channel))
    await connection.execute(INSERT, *BASE)
    await connection.execute("UPDATE ai_model_prices SET input_usd_per_mtok = 2.50")
    await connection.execute("DELETE FROM ai_model_prices")
    removed, changed, added = await audit.list_entries(connection)
    assert [entry.action for entry in (added, changed, removed)] == ["prices.add", "prices.change", "prices.remove"]
    assert {entry.subject for entry in (added, changed, removed)} == {"openai/gpt-4o"}
    assert added.actor.startswith("sql:")
    assert changed.details["before"]["input_usd_per_mtok"] == 1
    assert changed.details["after"]["input_usd_per_mtok"] == 2.5
    assert "after" not in removed.details
    async with asyncio.timeout(20):
        for _ in range(3):
            assert await told.get() == "ai_usage_prices"
