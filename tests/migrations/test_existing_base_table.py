"""A database that already has the base schema keeps every row and every value of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage import schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BASE_SCHEMA = """
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar(255) UNIQUE, full_name text);
CREATE TABLE ai_usage_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID REFERENCES users(id) ON DELETE SET NULL,
    user_email VARCHAR(255),
    service_name VARCHAR(100) NOT NULL,
    service_action VARCHAR(100),
    provider VARCHAR(50) NOT NULL,
    model VARCHAR(100) NOT NULL,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    total_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd DECIMAL(10, 6) NOT NULL DEFAULT 0,
    duration_ms INTEGER,
    success BOOLEAN NOT NULL DEFAULT TRUE,
    error_message TEXT,
    error_code VARCHAR(50),
    request_metadata JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    CONSTRAINT positive_tokens CHECK (input_tokens >= 0 AND output_tokens >= 0 AND total_tokens >= 0)
);
CREATE INDEX idx_ai_usage_user_id ON ai_usage_logs(user_id);
CREATE INDEX idx_ai_usage_created_at ON ai_usage_logs(created_at);
CREATE INDEX idx_ai_usage_service ON ai_usage_logs(service_name);
CREATE INDEX idx_ai_usage_provider ON ai_usage_logs(provider);
CREATE INDEX idx_ai_usage_user_date ON ai_usage_logs(user_id, created_at);
"""
ROWS = """
INSERT INTO users (email, full_name) SELECT 'u' || n || '@example.com', 'User ' || n FROM generate_series(1, 20) AS n;
INSERT INTO ai_usage_logs (user_id, user_email, service_name, service_action, provider, model, input_tokens,
    output_tokens, total_tokens, cost_usd, duration_ms, success, error_message, error_code,
    request_metadata, created_at)
SELECT (SELECT id FROM users WHERE email = 'u' || (n % 25) || '@example.com'), 'u' || (n % 25) || '@example.com',
    (ARRAY['xray_analyzer', 'cv_optimizer'])[1 + n % 2], CASE WHEN n % 3 = 0 THEN 'analyze' END, 'openai', 'gpt-4o',
    n, n * 2, n * 3, n * 0.000123, n * 7, n % 10 <> 0, CASE WHEN n % 10 = 0 THEN 'ünïcode ' || n END,
    CASE WHEN n % 10 = 0 THEN '429' END, CASE WHEN n % 4 = 0 THEN jsonb_build_object('n', n) END,
    timestamptz '2026-11-20 12:00+00' - n * interval '53 minutes' - n * interval '1 microsecond'
FROM generate_series(1, 3000) AS n;
INSERT INTO ai_usage_logs (service_name, provider, model, created_at)
VALUES ('future', 'x', 'y', '2093-01-01 05:00+00'), ('past', 'x', 'y', '1970-01-01 05:00+00');
"""
BASE_COLUMNS = (
    "id, user_id, user_email, service_name, service_action, provider, model, input_tokens, output_tokens, "
    "total_tokens, cost_usd, duration_ms, success, error_message, error_code, request_metadata, created_at"
)


@pytest.fixture
async def base(empty_database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(BASE_SCHEMA)
    await connection.execute(ROWS)
    yield connection
    await connection.close()


async def _contents(connection: Any, columns: str = BASE_COLUMNS) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(f"SELECT {columns} FROM ai_usage_logs ORDER BY id")
    return [tuple(row.values()) for row in rows]


async def test_every_row_and_value_is_kept_and_the_table_is_partitioned(base: Any) -> None:
    before, users = await _contents(base), await base.fetch("SELECT * FROM users ORDER BY id")
    await schema.migrate(base)
    assert await _contents(base) == before
    assert len(before) == 3002
    assert await base.fetch("SELECT * FROM users ORDER BY id") == users
    assert await base.fetchval("SELECT relkind = 'p' FROM pg_class WHERE oid = 'ai_usage_logs'::regclass")
    assert await base.fetchval("SELECT count(*) FROM ONLY ai_usage_logs_default") == 2
    assert await base.fetchval("SELECT to_regclass('ai_usage_logs_base')") is None
    statuses = await base.fetch("SELECT DISTINCT cost_status FROM ai_usage_logs WHERE service_name = 'cv_optimizer'")
    assert [row["cost_status"] for row in statuses] == ["reported"]


async def test_names_of_the_base_schema_are_there_afterwards(base: Any) -> None:
    await schema.migrate(base)
    indexes = await base.fetch("SELECT indexname FROM pg_indexes WHERE tablename = 'ai_usage_logs'")
    assert {row["indexname"] for row in indexes} >= {
        "idx_ai_usage_user_id",
        "idx_ai_usage_created_at",
        "idx_ai_usage_service",
        "idx_ai_usage_provider",
        "idx_ai_usage_user_date",
    }
    with pytest.raises(asyncpg.CheckViolationError, match="positive_tokens"):
        await base.execute(
            "INSERT INTO ai_usage_logs (service_name, provider, model, input_tokens) VALUES ('s','p','m',-1)"
        )


async def test_software_that_writes_the_base_columns_goes_on_working(base: Any) -> None:
    await schema.migrate(base)
    await base.execute(
        "INSERT INTO ai_usage_logs (service_name, provider, model, cost_usd) VALUES ('s', 'p', 'm', 0.01)"
    )
    row = await base.fetchrow("SELECT * FROM ai_usage_logs WHERE service_name = 's'")
    assert (row["cost_status"], row["success"], row["total_tokens"]) == ("reported", True, 0)
    user = await base.fetchval("SELECT user_id FROM ai_usage_logs WHERE user_id IS NOT NULL LIMIT 1")
    rows = await base.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_id = $1", user)
    await base.execute("DELETE FROM users WHERE id = $1", user)
    assert await base.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_id = $1", user) == 0
    assert await base.fetchval("SELECT count(*) FROM ai_usage_logs WHERE user_id IS NULL AND user_email <> ''") >= rows


async def test_columns_of_its_own_are_kept_with_their_values(base: Any) -> None:
    await base.execute('ALTER TABLE ai_usage_logs ADD COLUMN "Request Id" text, ADD COLUMN weight numeric(5, 2)')
    await base.execute("""UPDATE ai_usage_logs SET "Request Id" = 'r-' || input_tokens, weight = 1.25""")
    columns = f'{BASE_COLUMNS}, "Request Id", weight'
    before = await _contents(base, columns)
    await schema.migrate(base)
    assert await _contents(base, columns) == before


async def test_row_without_a_time_is_kept_and_flagged(base: Any) -> None:
    await base.execute("UPDATE ai_usage_logs SET created_at = NULL WHERE service_name = 'past'")
    await schema.migrate(base)
    row = await base.fetchrow(
        "SELECT created_at, now() AS now, usage_flags FROM ai_usage_logs WHERE service_name = 'past'"
    )
    assert abs((row["now"] - row["created_at"]).total_seconds()) < 60
    assert row["usage_flags"] == ["time_unknown"]


async def test_what_depends_on_the_table_is_named_and_nothing_is_changed(base: Any) -> None:
    await base.execute("CREATE VIEW monthly AS SELECT sum(cost_usd) FROM ai_usage_logs")
    await base.execute("CREATE TABLE feedback (log_id uuid REFERENCES ai_usage_logs (id))")
    before = await _contents(base)
    with pytest.raises(PermanentError, match=r"used by: feedback, monthly \(Drop these"):
        await schema.migrate(base)
    assert await _contents(base) == before
    await base.execute("DROP VIEW monthly; DROP TABLE feedback")
    await schema.migrate(base)
    assert await _contents(base) == before


async def test_users_table_with_other_keys_is_refused_with_a_way_out(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("CREATE TABLE users (id bigint PRIMARY KEY)")
    with pytest.raises(PermanentError, match=r"users has an id of type bigint .*search_path"):
        await schema.migrate(connection)
    await connection.execute("CREATE SCHEMA usage")
    await connection.execute("SET search_path = usage")
    await schema.migrate(connection)
    assert await connection.fetchval("SELECT to_regclass('usage.ai_usage_logs') IS NOT NULL")
    await connection.close()
