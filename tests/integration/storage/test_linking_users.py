"""Calls that came before their user was created are given to the user, once, and every sum stays right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ai_usage_exporter.storage import audit
from ai_usage_exporter.storage.link import BATCH, Late, Linked, find_late, link
from tests.factories import make_call
from tests.invariants import check_invariants, check_sums

if TYPE_CHECKING:
    from ai_usage_exporter.storage.writer import UsageWriter

ANNA = UUID("0b2f7d51-6d0a-4c87-9a51-3d3d7c9f6a11")
BERT = UUID("5f0c4a52-1d7b-4a5e-8d11-0a4c3b2e9f77")
NOBODY = "00000000-0000-4000-8000-000000000000"


async def link_all(connection: Any) -> Linked:
    return await link(connection, await find_late(connection), actor="cli:ada@host")


async def owners(connection: Any) -> list[tuple[Any, Any, int]]:
    rows = await connection.fetch("SELECT user_id, user_ref, count(*) FROM ai_usage_logs GROUP BY 1, 2 ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def sums_by_user(connection: Any) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT key.user_key, rollup.grain_s, sum(rollup.calls), sum(rollup.cost_usd) "
        "FROM ai_usage_rollups AS rollup JOIN ai_usage_rollup_keys AS key ON key.id = rollup.key_id "
        "WHERE rollup.cuboid = 4 GROUP BY 1, 2 HAVING sum(rollup.calls) <> 0 ORDER BY 1, 2"
    )
    return [tuple(row) for row in rows]


async def test_calls_are_given_to_users_created_after_them(writer: UsageWriter, connection: Any) -> None:
    await writer.write(
        [
            *(make_call(user=str(ANNA)) for _ in range(3)),
            make_call(user=NOBODY),
            make_call(user="anna@example.com"),
            make_call(user=None),
        ]
    )
    assert await find_late(connection) == []
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'anna@example.com')", ANNA)
    before = await sums_by_user(connection)
    assert await find_late(connection) == [Late(str(ANNA), ANNA, 3)]
    assert await link_all(connection) == Linked(users=1, calls=3, shadows=0)
    # What is no id stays as it was sent: that is also how a call of today would be stored.
    assert await owners(connection) == [
        (ANNA, None, 3), (None, NOBODY, 1), (None, "anna@example.com", 1), (None, None, 1),
    ]  # fmt: skip
    assert await sums_by_user(connection) == before
    await check_invariants(connection)


async def test_an_id_in_another_spelling_joins_the_sums_of_its_user(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user=str(ANNA).upper()), make_call(user=str(ANNA).upper())])
    await connection.execute("INSERT INTO users (id) VALUES ($1)", ANNA)
    await writer.write([make_call(user=str(ANNA))])
    assert {user for user, *_ in await sums_by_user(connection)} == {str(ANNA), str(ANNA).upper()}
    assert await link_all(connection) == Linked(users=1, calls=2, shadows=0)
    assert {(user, calls) for user, _, calls, _ in await sums_by_user(connection)} == {(str(ANNA), 3)}
    await check_sums(connection)


async def test_linking_again_finds_nothing_and_says_nothing(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user=str(user)) for user in (ANNA, BERT, ANNA)])
    await connection.execute("INSERT INTO users (id) VALUES ($1), ($2)", ANNA, BERT)
    late = await find_late(connection)
    assert await link(connection, late, actor="cli:ada@host") == Linked(users=2, calls=3, shadows=0)
    after = await owners(connection), await sums_by_user(connection)
    assert await link(connection, late, actor="cli:ada@host") == Linked(users=2)
    assert await link_all(connection) == Linked()
    assert (await owners(connection), await sums_by_user(connection)) == after
    (entry,) = await audit.list_entries(connection)
    assert (entry.action, entry.subject) == ("user.link", "users")
    assert entry.details == {"users": 2, "calls": 3, "shadows": 0}


async def test_more_calls_than_a_batch_are_all_given(writer: UsageWriter, connection: Any) -> None:
    await writer.write([make_call(user=str(ANNA).upper()) for _ in range(BATCH + 5)])
    await connection.execute("INSERT INTO users (id) VALUES ($1)", ANNA)
    assert await link_all(connection) == Linked(users=1, calls=BATCH + 5, shadows=0)
    await check_sums(connection)


async def test_shadow_spans_follow(writer: UsageWriter, connection: Any) -> None:
    one_call = {"user": str(ANNA), "trace_id": bytes(range(16)), "response_id": "chatcmpl-one"}
    await writer.write(
        [
            make_call(scope="ai_usage.openai", emitter="ai_usage", **one_call),
            make_call(scope="openinference.instrumentation.openai", emitter="openinference", **one_call),
        ]
    )
    await connection.execute("INSERT INTO users (id) VALUES ($1)", ANNA)
    assert await link_all(connection) == Linked(users=1, calls=1, shadows=1)
    (shadow,) = await connection.fetch("SELECT user_id, user_ref FROM ai_usage_shadow_spans")
    assert tuple(shadow) == (ANNA, None)
    await check_invariants(connection)
