"""Own prices in the table ``ai_model_prices``: read them, set one, remove one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from ai_usage.pricing.rates import REQUEST_UNIT
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.book import OwnPrice
from ai_usage_exporter.storage.audit import act_as
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from ai_usage_exporter.storage.connection import DatabaseConnection

CHANNEL: Final = "ai_usage_prices"
"""Notified of every change of the table."""

COLUMN_UNITS: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "input_audio",
    "output_audio",
    "cache_read_audio",
    "input_image",
    "output_image",
)
"""Units in the order of the table's columns."""

_PER_MILLION: Final = Decimal(1_000_000)


class StoredPrice(NamedTuple):
    """Hold an own price with its id and note."""

    id: int
    price: OwnPrice
    note: str | None


async def load_prices(
    connection: DatabaseConnection, *, provider: str | None = None, model: str | None = None
) -> list[StoredPrice]:
    """Return the prices of the table, or those of a provider or a model, from the earliest on."""
    rows = await connection.fetch(load_statement("model_prices_read"), provider, model)
    return [_stored(row) for row in rows]


async def set_price(connection: DatabaseConnection, actor: str, price: OwnPrice, *, note: str | None = None) -> int:
    """Add a price and return its id; what held before ends where it begins, the one that begins with it gives way.

    One transaction, in the audit trail under ``actor``. Raises ``PermanentError`` when a later price would overlap.
    """
    named = (price.provider, price.model, price.service_tier, price.above_input_tokens)
    request = price.rates.get(REQUEST_UNIT)
    try:
        async with connection.transaction():
            await act_as(connection, actor)
            await connection.execute(load_statement("model_price_end"), *named, price.effective_from)
            price_id: int = await connection.fetchval(
                load_statement("model_price_add"),
                *named,
                price.effective_from,
                price.effective_to,
                price.discount_percent,
                *(price.rates.get(unit) for unit in COLUMN_UNITS),
                None if request is None else request / _PER_MILLION,
                note,
            )
            return price_id
    except asyncpg.ExclusionViolationError:
        later = [
            stored
            for stored in await load_prices(connection, provider=price.provider, model=price.model)
            if stored.price.effective_from > price.effective_from
            and stored.price[3:5] == (price.service_tier, price.above_input_tokens)
        ]
        known = f"price {later[0].id} holds from {later[0].price.effective_from:%Y-%m-%d %H:%M} UTC" if later else "one"
        raise PermanentError(
            f"{price.provider}/{price.model} has a later price already ({known}): end yours with --to, or remove that "
            "one with ai-usage prices remove"
        ) from None
    except asyncpg.CheckViolationError as error:
        raise PermanentError(f"the database refuses this price: {error}") from None


async def remove_price(connection: DatabaseConnection, actor: str, price_id: int) -> str | None:
    """Remove a price and return provider/model, ``None`` when it is not there; rows priced with it keep their copy."""
    async with connection.transaction():
        await act_as(connection, actor)
        removed: str | None = await connection.fetchval(load_statement("model_price_remove"), price_id)
        return removed


def _stored(row: Any) -> StoredPrice:
    rates = {unit: row[unit] for unit in (*COLUMN_UNITS, REQUEST_UNIT) if row[unit] is not None}
    price = OwnPrice(
        provider=row["provider"],
        model=row["model"],
        origin=f"ai_model_prices {row['id']}",
        service_tier=row["service_tier"],
        above_input_tokens=row["above_input_tokens"],
        effective_from=row["effective_from"],
        effective_to=row["effective_to"],
        discount_percent=row["discount_percent"],
        rates=rates,
    )
    return StoredPrice(row["id"], price, row["note"])
