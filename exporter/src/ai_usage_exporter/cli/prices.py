"""``ai-usage prices``: what calls cost, and own prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ai_usage.pricing.catalog import find_rates, model_id, price_data_version
from ai_usage_exporter.cli.moment import MOMENT
from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.cli.price_calls import explain, missing
from ai_usage_exporter.cli.price_options import (
    describe_rates,
    json_option,
    open_prices,
    price_document,
    rate_options,
    read_rates,
)
from ai_usage_exporter.cli.question import open_connection, run
from ai_usage_exporter.cli.reprice import reprice
from ai_usage_exporter.config import load_settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.book import ALWAYS, OwnPrice, price_provider
from ai_usage_exporter.prices.data_file import use_price_data_file
from ai_usage_exporter.storage import prices as storage
from ai_usage_exporter.storage.audit import command_line_actor

if TYPE_CHECKING:
    from ai_usage.pricing import Rates

_FAR = 20
"""A rate so many times the shipped one, or less than such a part of it, is probably in another unit."""


@click.group()
def prices() -> None:
    """Show prices, set your own, price calls again.

    Shipped prices come with the package, nothing is fetched. Own prices win: those of the database first, then those
    of AI_USAGE_PRICES_FILE.
    """


prices.add_command(missing)
prices.add_command(explain)
prices.add_command(reprice)


@prices.command("list")
@click.option("--shipped", is_flag=True, help="List the shipped prices that hold today instead.")
@click.option("--provider", help="Only this provider.")
@json_option
def list_(provider: str | None, *, shipped: bool, as_json: bool) -> None:
    """List own prices, or the shipped ones."""
    use_price_data_file(load_settings().price_data_file)
    if shipped:
        _list_shipped(provider, as_json=as_json)
        return
    found = [
        (id_, price, note)
        for id_, price, note in run(_list())
        if provider is None or price_provider(price.provider) == price_provider(provider)
    ]
    if as_json:
        print_json([price_document(price, id=id_, origin=price.origin, note=note) for id_, price, note in found])
        return
    print_table(
        f"{len(found):,} own prices (dollars per million tokens)",
        (">Id", "Provider", "Model", "Tier", ">Above", "From (UTC)", "To (UTC)", "Price", "Where", "Note"),
        [
            (
                id_,
                price.provider,
                price.model,
                price.service_tier or "any",
                f"{price.above_input_tokens:,}" if price.above_input_tokens else None,
                "always" if price.effective_from == ALWAYS else _time(price.effective_from),
                None if price.effective_to is None else _time(price.effective_to),
                describe_rates(price),
                "database" if id_ is not None else price.origin,
                note,
            )
            for id_, price, note in found
        ],
    )
    say(f"Other models have the shipped prices (genai-prices {price_data_version()}): --shipped lists them.")


@prices.command()
@click.argument("provider")
@click.argument("model")
@click.option("--tier", help="Service tier as served: batch, flex, priority, …")
@click.option("--at", "moment", type=MOMENT, default="now", show_default=True, help="When the call starts.")
@json_option
def show(provider: str, model: str, tier: str | None, moment: datetime, *, as_json: bool) -> None:
    """Show the price that a call of MODEL at PROVIDER has.

    Exits with 1 when there is none.
    """
    sizes = run(_show(price_provider(provider), model, tier, moment))
    if not sizes:
        raise PermanentError(
            f"no price for {provider}/{model}: calls are estimated at $2 per million tokens; "
            f"set one with ai-usage prices set {provider} {model} --input … --output …"
        )
    if as_json:
        print_json(
            [
                {
                    "above_input_tokens": above,
                    "source": rates.ref.source,
                    "version": rates.ref.version,
                    "provider": rates.ref.provider,
                    "model": rates.ref.model,
                    "tier": rates.ref.tier,
                    "rates_usd_per_mtok": dict(rates.ref.rates),
                }
                for above, rates in sizes
            ]
        )
        return
    for _, rates in sizes:
        ref = rates.ref
        tier_words = f", {ref.tier}" if ref.tier else ""
        print_table(
            f"{ref.provider}/{ref.model}{tier_words}  ({ref.source}, {ref.version})",
            ("Unit", ">Dollars per million"),
            ref.rates,
        )


@prices.command("set")
@click.argument("provider")
@click.argument("model")
@rate_options
@click.option("--tier", default="", help="Only for this service tier as served. [default: any]")
@click.option(
    "--above", default=0, type=click.IntRange(0, 2**40), help="Only for calls with more input tokens than this."
)
@click.option(
    "--from", "start", type=MOMENT, default="now", show_default=True, help="First moment; may be in the past."
)
@click.option("--to", "end", type=MOMENT, help="First moment it does not hold any more. [default: open]")
@click.option("--note", help="Anything to remember, e.g. a contract's number.")
@json_option
def set_(provider: str, model: str, *, as_json: bool, **options: Any) -> None:
    """Set an own price for MODEL at PROVIDER; * at the end of MODEL means every model that begins so.

    Rates are dollars per million tokens. Tokens of a kind without a rate of its own cost what input or output costs.
    A price that holds at --from ends there. Receivers use it within a moment; calls stored before keep their cost
    until you run ai-usage prices reprice.

    \b
    Examples:
      ai-usage prices set openai gpt-4o --input 2.10 --output 8 --cache-read 1.05
      ai-usage prices set azure '*' --discount 12 --from 2026-12-01 --note 'contract 17'
    """
    rates, discount = read_rates(options)
    start, end = options["start"], options["end"]
    if end is not None and end <= start:
        raise click.UsageError(f"--to {end.isoformat()} must be after --from {start.isoformat()}")
    if discount is not None and options["above"]:
        raise click.UsageError("--discount follows the sizes of the shipped price: leave out --above")
    for name, text in (
        ("PROVIDER", provider),
        ("MODEL", model),
        ("--tier", options["tier"]),
        ("--note", options["note"]),
    ):
        if not (text or "-").strip().isprintable() or (name.isupper() and not text.strip()):
            raise click.UsageError(f"{name} is {text!r}: write printable text")
    price = OwnPrice(
        provider=price_provider(provider),
        model=model.strip(),
        origin="",
        service_tier=options["tier"].strip().lower(),
        above_input_tokens=options["above"],
        effective_from=start,
        effective_to=end,
        discount_percent=discount,
        rates=rates,
    )
    use_price_data_file(load_settings().price_data_file)
    price_id = run(_set(price, options["note"]))
    if as_json:
        print_json(price_document(price, id=price_id))
    else:
        say(f"Price {price_id}: {price.provider}/{price.model} {describe_rates(price)}, from {_time(start)} UTC.")
    for warning in _warnings(price):
        say(f"Note: {warning}")


@prices.command()
@click.argument("price_id", type=int, metavar="ID")
def remove(price_id: int) -> None:
    """Remove an own price; calls priced with it keep their cost and the rates it was made of."""
    removed = run(_remove(price_id))
    if removed is None:
        raise PermanentError(f"no own price {price_id} in the database: see ai-usage prices list")
    say(f"Removed price {price_id} of {removed}.")


async def _list() -> list[tuple[int | None, OwnPrice, str | None]]:
    async with open_prices() as own:
        stored = [(found.id, found.price, found.note) for found in own.stored]
        return [*stored, *((None, price, None) for price in own.of_file)]


async def _show(provider: str, model: str, tier: str | None, moment: datetime) -> list[tuple[int, Rates]]:
    async with open_prices() as own:
        sizes = own.book.sizes_of(provider, model, at=moment, service_tier=tier)
    if sizes is not None:
        return list(reversed(sizes))
    shipped, _ = find_rates(provider, model, moment, tier)
    return [] if shipped is None else shipped.sizes


async def _set(price: OwnPrice, note: str | None) -> int:
    async with open_connection() as connection:
        return await storage.set_price(connection, command_line_actor(), price, note=note)


async def _remove(price_id: int) -> str | None:
    async with open_connection() as connection:
        return await storage.remove_price(connection, command_line_actor(), price_id)


def _warnings(price: OwnPrice) -> list[str]:
    """Return what the operator may not have meant."""
    if price.model.endswith("*"):
        return []
    shipped, _ = find_rates(price.provider, price.model, price.effective_from, price.service_tier or None)
    if shipped is None:
        unknown = f"{price.provider}/{price.model} is not in the shipped prices: check the spelling."
        return [unknown, "A discount on it is no price."] if price.discount_percent is not None else [unknown]
    shipped_rates = dict(shipped.sizes[0][1].ref.rates)
    notes = [
        f"{unit} {rate:f} is far from the shipped {shipped_rates[unit]}: rates are dollars per million tokens."
        for unit, rate in price.rates.items()
        if unit in shipped_rates and not _is_near(rate, Decimal(shipped_rates[unit]))
    ]
    without = [unit for unit in shipped_rates if unit not in price.rates and price.rates]
    if without and not price.above_input_tokens:
        notes.append(
            f"no rate for {', '.join(without)}, which the shipped price has: they cost what their whole costs."
        )
    return notes


def _is_near(rate: Decimal, shipped: Decimal) -> bool:
    return shipped / _FAR <= rate <= shipped * _FAR


def _list_shipped(provider: str | None, *, as_json: bool) -> None:
    from genai_prices.data_snapshot import get_snapshot

    today = datetime.now(UTC)
    found: list[tuple[str, str, dict[str, str], str]] = []
    for vendor in get_snapshot().providers:
        if provider is not None and vendor.id != provider and price_provider(vendor.id) != price_provider(provider):
            continue
        for model in vendor.models:
            tiered, _ = find_rates(vendor.id, model.id, today, None)
            if tiered is not None and model_id(vendor.id, model.id) == model.id:
                sizes = tiered.sizes
                more = ", ".join(f"above {above:,}" for above, _ in sizes[1:])
                found.append((vendor.id, model.id, dict(sizes[0][1].ref.rates), more))
    if as_json:
        print_json(
            [{"provider": vendor, "model": name, "rates_usd_per_mtok": rates} for vendor, name, rates, _ in found]
        )
        return
    print_table(
        f"{len(found):,} shipped prices (genai-prices {price_data_version()}, dollars per million)",
        ("Provider", "Model", ">Input", ">Output", ">Cache read", ">Cache write", "Other"),
        [
            (
                vendor,
                name,
                *(rates.pop(unit, None) for unit in ("input", "output", "cache_read", "cache_write")),
                ", ".join([*(f"{unit} {rate}" for unit, rate in rates.items()), *([more] if more else [])]),
            )
            for vendor, name, rates, more in found
        ],
    )


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
