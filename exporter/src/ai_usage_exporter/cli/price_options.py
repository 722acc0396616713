"""What the price commands share: the options that are rates, own prices as the server sees them, how prices look."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ai_usage_exporter.cli.question import open_connection
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.price import Pricing
from ai_usage_exporter.prices.book import PriceBook
from ai_usage_exporter.prices.data_file import use_price_data_file
from ai_usage_exporter.prices.file import RATE_UNITS, check_discount, check_rate, read_prices_file
from ai_usage_exporter.storage.prices import load_prices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ai_usage_exporter.prices.book import OwnPrice
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.prices import StoredPrice

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class OwnPrices(NamedTuple):
    """Hold the own prices of database and file, and a connection to the database."""

    connection: DatabaseConnection
    stored: list[StoredPrice]
    of_file: tuple[OwnPrice, ...]

    @property
    def book(self) -> PriceBook:
        """Return the book a server makes of them."""
        return PriceBook([stored.price for stored in self.stored], self.of_file)

    @property
    def pricing(self) -> Pricing:
        """Return what prices calls as a server does."""
        return Pricing(self.book)


@asynccontextmanager
async def open_prices() -> AsyncIterator[OwnPrices]:
    """Give the own prices of the configured database and file. Raises ``PermanentError``."""
    settings = load_settings()
    use_price_data_file(settings.price_data_file)
    of_file = read_prices_file(settings.prices_file) if settings.prices_file is not None else ()
    async with open_connection() as connection:
        yield OwnPrices(connection, await load_prices(connection), of_file)


def rate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every rate and one for a discount; ``read_rates`` reads them."""
    for unit in reversed(RATE_UNITS):
        what = "a call" if unit == "request" else f"a million {unit} tokens"
        function = click.option(f"--{unit.replace('_', '-')}", unit, metavar="USD", help=f"Dollars {what}.")(function)
    return click.option(
        "--discount", metavar="PERCENT", help="Percent off the shipped price, instead of rates; less than 0: on top."
    )(function)


def read_rates(options: Mapping[str, Any]) -> tuple[dict[str, Decimal], Decimal | None]:
    """Return rates and discount out of a command's options. Raises ``click.UsageError`` naming what is wrong."""
    try:
        rates = {unit: check_rate(unit, options[unit]) for unit in RATE_UNITS if options[unit] is not None}
        discount = None if options["discount"] is None else check_discount(options["discount"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if bool(rates) == (discount is not None):
        raise click.UsageError("give either rates (--input, --output, …) or --discount")
    return rates, discount


def describe_rates(price: OwnPrice) -> str:
    """Return rates or discount in one line."""
    if price.discount_percent is not None:
        return f"{price.discount_percent.normalize():f} % off the shipped price"
    return ", ".join(f"{unit} {rate:f}" for unit, rate in rates_of(price).items())


def rates_of(price: OwnPrice) -> dict[str, Decimal]:
    """Return the rates of a price in the order of units, without trailing zeros."""
    return {unit: _plain(price.rates[unit]) for unit in RATE_UNITS if unit in price.rates}


def price_document(price: OwnPrice, **more: Any) -> dict[str, Any]:
    """Return a price as JSON says it."""
    return {
        **more,
        "provider": price.provider,
        "model": price.model,
        "service_tier": price.service_tier or None,
        "above_input_tokens": price.above_input_tokens,
        "effective_from": price.effective_from.isoformat(),
        "effective_to": None if price.effective_to is None else price.effective_to.isoformat(),
        "discount_percent": None if price.discount_percent is None else f"{price.discount_percent.normalize():f}",
        "rates_usd_per_mtok": {unit: f"{rate:f}" for unit, rate in rates_of(price).items()},
    }


def _plain(number: Decimal) -> Decimal:
    return Decimal(f"{number.normalize():f}")
