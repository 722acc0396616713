"""Settings that rule what the server keeps and charges are obeyed by a server that starts with them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.server import Server
from ai_usage_exporter.storage import audit

if TYPE_CHECKING:
    from pathlib import Path


def settings(database_url: str, **more: Any) -> Settings:
    free = Address("127.0.0.1", 0)
    listen = {"otlp_grpc_listen": free, "otlp_http_listen": free, "api_listen": free}
    return Settings(database_url=database_url, **listen, **more)


async def test_server_drops_what_expired(connection: Any, database_url: str) -> None:
    await connection.execute(
        "INSERT INTO ai_usage_logs (created_at, service_name, provider, model, cost_usd)"
        " SELECT now() - days * interval '1 day', 'cv', 'openai', 'gpt-4o', 1 FROM unnest(ARRAY[0, 500]) AS days"
    )
    async with Server(settings(database_url, retention=timedelta(days=400))), asyncio.timeout(20):
        while not await audit.list_entries(connection, action="retention.drop"):  # noqa: ASYNC110 - the server acts
            await asyncio.sleep(0.01)
    assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 1
    of_users = "SELECT sum(calls) FROM ai_usage_rollups WHERE cuboid = 4 AND grain_s = 86400"
    assert await connection.fetchval(of_users) == 2


async def test_server_without_retention_keeps_everything(connection: Any, database_url: str) -> None:
    await connection.execute(
        "INSERT INTO ai_usage_logs (created_at, service_name, provider, model)"
        " VALUES (now() - interval '9 years', 'cv', 'openai', 'gpt-4o')"
    )
    async with Server(settings(database_url)):
        assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 1


async def test_server_charges_the_prices_of_its_file(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\ninput = 1\n')
    async with Server(settings(database_url, prices_file=file)) as server:
        assert [price.model for price in server._pricing.book.prices] == ["gpt-4o"]


async def test_server_refuses_to_start_with_a_broken_prices_file(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\ninput = -1\n')
    with pytest.raises(PermanentError, match="price 1: input is -1: write dollars per million tokens"):
        async with Server(settings(database_url, prices_file=file)):
            pytest.fail("it started")
