"""Own prices are set one after the other, and servers that run use them without being told."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.book import OwnPrice
from ai_usage_exporter.prices.watch import PriceWatch
from ai_usage_exporter.storage import audit
from ai_usage_exporter.storage.prices import load_prices, remove_price, set_price
from tests.factories import make_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

ME = "cli:ada@host"


def own(month: int, rate: str = "1", **fields: Any) -> OwnPrice:
    return OwnPrice(
        **{
            "provider": "openai",
            "model": "gpt-4o",
            "origin": "",
            "effective_from": datetime(2026, month, 1, tzinfo=UTC),
            "rates": {"input": Decimal(rate)},
        }
        | fields
    )


async def test_price_is_read_as_it_was_set(connection: Any) -> None:
    units = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio")
    more = ("output_audio", "cache_read_audio", "input_image", "output_image", "request")
    rates = {unit: Decimal(number) / 8 for number, unit in enumerate((*units, *more), 1)}
    price = own(3, rates=rates, service_tier="flex", effective_to=datetime(2026, 5, 1, tzinfo=UTC))
    price_id = await set_price(connection, ME, price, note="contract 17")
    (stored,) = await load_prices(connection)
    assert stored == (price_id, price._replace(origin=f"ai_model_prices {price_id}"), "contract 17")


async def test_new_price_ends_the_one_before_and_replaces_one_of_the_same_moment(connection: Any) -> None:
    await set_price(connection, ME, own(1, "1"))
    await set_price(connection, ME, own(3, "2"))
    await set_price(connection, ME, own(3, "3"))
    first, second = [stored.price for stored in await load_prices(connection)]
    assert (first.rates["input"], first.effective_to) == (1, second.effective_from)
    assert (second.rates["input"], second.effective_to) == (3, None)
    assert {entry.actor for entry in await audit.list_entries(connection)} == {ME}
    actions = [entry.action for entry in await audit.list_entries(connection)]
    assert sorted(actions) == ["prices.add"] * 3 + ["prices.change", "prices.remove"]


async def test_price_that_would_overlap_a_later_one_is_refused_and_changes_nothing(connection: Any) -> None:
    await set_price(connection, ME, own(1))
    later = await set_price(connection, ME, own(6))
    before = await load_prices(connection)
    with pytest.raises(PermanentError, match=rf"price {later} holds from 2026-06-01 00:00 UTC.*--to"):
        await set_price(connection, ME, own(3))
    assert await load_prices(connection) == before


async def test_removed_price_is_gone_and_named(connection: Any) -> None:
    price_id = await set_price(connection, ME, own(1))
    assert await remove_price(connection, ME, price_id) == "openai/gpt-4o"
    assert await remove_price(connection, ME, price_id) is None
    assert await load_prices(connection) == []


@contextlib.asynccontextmanager
async def watching(pricing: Pricing, url: str, file: Path | None = None, *, poll_s: float) -> AsyncIterator[PriceWatch]:
    watch = PriceWatch(pricing, lambda: asyncpg.connect(url), file, poll_s=poll_s)
    connection = await asyncpg.connect(url)
    await watch.load(connection)
    await connection.close()
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def dollars(pricing: Pricing) -> Any:
    record = make_record(model="gpt-4o", usage=TokenUsage(1_000_000, 0), created_at=datetime(2026, 11, 5, tzinfo=UTC))
    return pricing.price(record).cost.amount_usd


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not (await found if inspect.isawaitable(found := holds()) else found):  # noqa: ASYNC110 - others act
            await asyncio.sleep(0.01)


async def until_dollars(pricing: Pricing, expected: str) -> None:
    await until(lambda: dollars(pricing) == Decimal(expected))


async def until_listening(connection: Any) -> None:
    """Wait until somebody else has read this database's prices after it began to listen."""
    await until(
        lambda: connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND query ~* 'from ai_model_prices')"
        )
    )


async def test_running_server_is_told_of_a_new_price(connection: Any, database_url: str) -> None:
    pricing = Pricing()
    async with watching(pricing, database_url, poll_s=3600):
        assert dollars(pricing) == Decimal("2.5")
        await until_listening(connection)
        await set_price(connection, ME, own(1, "1"))
        await until_dollars(pricing, "1")
        (stored,) = await load_prices(connection)
        await remove_price(connection, ME, stored.id)
        await until_dollars(pricing, "2.5")


async def test_running_server_finds_a_price_nobody_told_it_of(connection: Any, database_url: str) -> None:
    pricing = Pricing()
    await connection.execute("ALTER TABLE ai_model_prices DISABLE TRIGGER ai_model_prices_follow")
    async with watching(pricing, database_url, poll_s=0.02):
        await set_price(connection, ME, own(1, "1"))
        await until_dollars(pricing, "1")


async def test_running_server_survives_the_loss_of_its_connection(connection: Any, database_url: str) -> None:
    pricing = Pricing()
    async with watching(pricing, database_url, poll_s=0.02):
        await until_listening(connection)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await set_price(connection, ME, own(1, "1"))
        await until_dollars(pricing, "1")


async def test_file_counts_where_the_database_says_nothing_and_may_change(
    connection: Any, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "prices.toml"
    entry = '[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\ninput = {}\n'
    file.write_text(entry.format("3"))
    pricing = Pricing()
    async with watching(pricing, database_url, file, poll_s=0.02):
        assert dollars(pricing) == 3
        file.write_text(entry.format("4.5"))
        await until_dollars(pricing, "4.5")
        file.write_text("broken")
        await until(lambda: "cannot be used" in caplog.text)
        assert dollars(pricing) == Decimal("4.5")
        await set_price(connection, ME, own(1, "1"))
        await until_dollars(pricing, "1")


async def test_bad_file_stops_the_start(connection: Any, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("broken")
    with pytest.raises(PermanentError, match=r"prices\.toml"):
        await PriceWatch(Pricing(), asyncpg.connect, file).load(connection)
