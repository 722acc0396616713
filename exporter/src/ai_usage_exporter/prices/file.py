"""Prices from a file you name: TOML or JSON, checked as a whole, every problem named with its place."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import defaultdict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from ai_usage.pricing.rates import REQUEST_UNIT, UNIT_NAMES
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.book import ALWAYS, RATE_STEP, OwnPrice, price_provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RATE_UNITS: Final = (*UNIT_NAMES, REQUEST_UNIT)
MAX_RATE: Final = Decimal(1_000_000_000)
MAX_DISCOUNT: Final = Decimal(100)
MIN_DISCOUNT: Final = Decimal(-1000)
_REQUESTS: Final = Decimal(1_000_000)
_NAMES: Final = frozenset({"provider", "model", "service_tier", "effective_from", "effective_to", "note"})
_KEYS: Final = frozenset({*_NAMES, "discount_percent", "above", *RATE_UNITS})


def read_prices_file(path: Path) -> tuple[OwnPrice, ...]:
    """Read the prices of a file, TOML when its name ends with ``.toml``, else JSON.

    Raises ``PermanentError`` with a line for every problem: the entry, the key, the value and what to write instead.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"cannot read prices file {path}: {error.strerror or error}") from None
    entries = _entries(path, content)
    digest = hashlib.sha256(content).hexdigest()[:12]
    prices: list[OwnPrice] = []
    problems: list[str] = []
    for number, entry in enumerate(entries, 1):
        try:
            prices += _prices(entry, f"{path.name} {digest}, price {number}")
        except ValueError as error:
            problems.append(f"prices file {path}, price {number}: {error}")
    problems += [f"prices file {path}: {problem}" for problem in _overlaps(prices)]
    if problems:
        raise PermanentError("\n".join(problems))
    return tuple(prices)


def check_rate(unit: str, value: object) -> Decimal:
    """Return a rate in dollars per million; ``request`` is given in dollars a call.

    Raises ``ValueError`` that names the unit, the value and what it should be.
    """
    rate = _number(unit, value)
    if unit == REQUEST_UNIT:
        rate *= _REQUESTS
    if not 0 <= rate < MAX_RATE or rate % RATE_STEP:
        what = "dollars a call" if unit == REQUEST_UNIT else "dollars per million tokens with at most 6 decimals"
        raise ValueError(f"{unit} is {value}: write {what}, 0 or more")
    return rate


def check_discount(value: object) -> Decimal:
    """Return a discount in percent; negative ones are surcharges. Raises ``ValueError`` as ``check_rate`` does."""
    percent = _number("discount_percent", value)
    if not MIN_DISCOUNT < percent <= MAX_DISCOUNT or percent % Decimal("0.0001"):
        raise ValueError(
            f"discount_percent is {value}: write at most 100, with at most 4 decimals; less than 0 is a surcharge"
        )
    return percent


def _entries(path: Path, content: bytes) -> list[Any]:
    try:
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".toml":
            document: Any = tomllib.loads(text, parse_float=Decimal)
        else:
            document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # both decoders' errors are ValueErrors
        raise PermanentError(f"cannot read prices file {path}: {error}") from None
    entries = document.get("price") if isinstance(document, dict) else document
    if not isinstance(entries, list) or (isinstance(document, dict) and set(document) != {"price"}):
        raise PermanentError(f'prices file {path}: write [[price]] entries (TOML) or a list under "price" (JSON)')
    return entries


def _prices(entry: object, origin: str) -> Iterator[OwnPrice]:
    if not isinstance(entry, dict):
        raise ValueError(f"it is {entry!r}: write keys and values")  # noqa: TRY004 - bad values are one family
    _refuse_unknown(entry, _KEYS)
    base = OwnPrice(
        provider=_text(entry, "provider"),
        model=_text(entry, "model"),
        origin=origin,
        service_tier=_text(entry, "service_tier", default=""),
        effective_from=_moment(entry, "effective_from") or ALWAYS,
        effective_to=_moment(entry, "effective_to"),
    )
    if base.effective_to is not None and base.effective_to <= base.effective_from:
        raise ValueError(f"effective_to is {base.effective_to:%Y-%m-%d %H:%M}: it must be after effective_from")
    rates = {unit: check_rate(unit, entry[unit]) for unit in RATE_UNITS if unit in entry}
    above = entry.get("above", [])
    if not isinstance(above, list) or not all(isinstance(size, dict) for size in above):
        raise ValueError("above: write [[price.above]] with input_tokens and rates")
    if "discount_percent" in entry:
        if rates or above:
            raise ValueError("it has a discount_percent and rates: write one of the two")
        yield base._replace(discount_percent=check_discount(entry["discount_percent"]))
        return
    if not rates:
        raise ValueError(f"it has no price: write discount_percent or one of {', '.join(RATE_UNITS)}")
    yield base._replace(rates=rates)
    for size in above:
        _refuse_unknown(size, frozenset({"input_tokens", *RATE_UNITS}))
        tokens = size.get("input_tokens")
        if type(tokens) is not int or tokens < 1:
            raise ValueError(f"above: input_tokens is {tokens!r}: write a whole number, 1 or more")
        larger = {unit: check_rate(unit, size[unit]) for unit in RATE_UNITS if unit in size}
        if not larger:
            raise ValueError(f"above {tokens} input tokens: write at least one rate")
        yield base._replace(above_input_tokens=tokens, rates=larger)


def _overlaps(prices: list[OwnPrice]) -> Iterator[str]:
    named: defaultdict[tuple[str, str, str, int], list[OwnPrice]] = defaultdict(list)
    for price in prices:
        provider, model, tier = price_provider(price.provider), price.model.lower(), price.service_tier.lower()
        named[provider, model, tier, price.above_input_tokens].append(price)
    for same in named.values():
        for first, second in pairwise(sorted(same, key=lambda price: price.effective_from)):
            if first.effective_to is None or first.effective_to > second.effective_from:
                yield (
                    f"{first.provider}/{first.model} has two prices from {second.effective_from:%Y-%m-%d %H:%M} UTC "
                    f"({first.origin.rpartition(', ')[2]} and {second.origin.rpartition(', ')[2]}): "
                    "give the older one an effective_to"
                )


def _refuse_unknown(entry: Mapping[str, object], known: frozenset[str]) -> None:
    if unknown := sorted(str(key) for key in entry if key not in known):
        raise ValueError(f"unknown key {', '.join(unknown)}: use {', '.join(sorted(known))}")


def _text(entry: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise ValueError(f"{key} is {value!r}: write a text")
    return value.strip()


def _number(key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"{key} is {value!r}: write a number")  # noqa: TRY004 - as above
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"{key} is {value!r}: write a number") from None
    if not number.is_finite():
        raise ValueError(f"{key} is {value}: write a finite number")
    return number


def _moment(entry: Mapping[str, object], key: str) -> datetime | None:
    value = entry.get(key)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{key} is {value!r}: write 2026-11-01 or 2026-11-01T08:00:00+01:00") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if value is None:
        return None
    raise ValueError(f"{key} is {value!r}: write 2026-11-01 or 2026-11-01T08:00:00+01:00")
