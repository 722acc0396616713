"""The rates of one price, compiled to integer arithmetic: counts in, exact dollars out, in well under 1 µs.

Token counts nest: a cached token is also an input token. Only the most specific priced unit pays for a token, so
what a unit pays for is its count minus what its priced subsets pay for.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final

from ai_usage.pricing.cost import PriceRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ai_usage.tokens import TokenUsage


@dataclass(frozen=True, slots=True)
class Unit:
    """Name a unit that a price can charge for, with its place in ``TokenUsage`` and the units that contain it."""

    name: str
    field: str
    within: frozenset[str] = frozenset()


UNITS: Final = (
    # Most specific first: a unit comes before everything that contains it.
    Unit("cache_read_audio", "cache_read_audio_tokens", frozenset({"cache_read", "input_audio", "input"})),
    Unit("cache_write_1h", "cache_write_1h_tokens", frozenset({"cache_write", "input"})),
    Unit("cache_read", "cache_read_tokens", frozenset({"input"})),
    Unit("cache_write", "cache_write_tokens", frozenset({"input"})),
    Unit("input_audio", "input_audio_tokens", frozenset({"input"})),
    Unit("input_image", "input_image_tokens", frozenset({"input"})),
    Unit("reasoning", "reasoning_tokens", frozenset({"output"})),
    Unit("output_audio", "output_audio_tokens", frozenset({"output"})),
    Unit("output_image", "output_image_tokens", frozenset({"output"})),
    Unit("output", "output_tokens"),
    Unit("input", "input_tokens"),
)
UNIT_NAMES: Final = tuple(unit.name for unit in reversed(UNITS))
REQUEST_UNIT: Final = "request"
"""Charged once a call, on top of tokens; its rate too is in dollars per million."""

_PER: Final = 1_000_000
_EXACT: Final = Context(prec=100)
"""Our own context: an app that lowers the precision of the default one must not change what a call costs."""


class Rates:
    """Compute the exact cost of a call from one set of rates.

    ``rates`` maps unit names (see ``UNITS`` and ``REQUEST_UNIT``) to US dollars per million. Raises ``ValueError``
    for an unknown unit or a rate that is negative or not finite.
    """

    __slots__ = ("_cached_discount", "_charges", "_exponent", "_input", "_output", "_rarer", "_request", "one", "ref")

    def __init__(
        self,
        rates: Mapping[str, Decimal],
        *,
        source: str,
        version: str,
        provider: str,
        model: str,
        tier: str = "",
    ) -> None:
        for name, rate in rates.items():
            if name != REQUEST_UNIT and name not in UNIT_NAMES:
                raise ValueError(f"unknown price unit {name!r} for {model}: use one of {', '.join(UNIT_NAMES)}")
            if not rate.is_finite() or rate < 0:
                raise ValueError(f"price of {name} for {model} is {rate}: it must be a number, 0 or more")
        ordered = [name for name in (*UNIT_NAMES, REQUEST_UNIT) if name in rates]
        self.ref = PriceRef(
            source=source,
            version=version,
            provider=provider,
            model=model,
            rates=tuple((name, format(rates[name].normalize(_EXACT), "f")) for name in ordered),
            tier=tier,
        )
        digits = max((-_exponent_of(rate) for rate in rates.values()), default=0)
        self._exponent = Decimal(-max(digits, 0) - 6)
        scale = 10 ** max(digits, 0)
        self.one = scale * _PER
        integers = {name: int(rate * scale) for name, rate in rates.items()}
        self._input = integers.get("input")
        self._output = integers.get("output")
        self._request = integers.get(REQUEST_UNIT, 0)
        # What a cached token costs beyond an input token: negative, 0 where the price makes no difference.
        self._cached_discount = integers.get("cache_read", self._input or 0) - (self._input or 0)
        self._charges = _compile(integers)
        # Of the rarer subsets, those with a rate of their own: others are paid for as what contains them.
        plain = {"input", "output", "cache_read"}
        self._rarer = tuple(index for name, _, index, _ in self._charges if name not in plain)

    def amount(self, usage: TokenUsage) -> Decimal | None:
        """Return the cost of ``usage`` in US dollars, exact.

        ``None`` when the price cannot answer: a subset larger than the whole, or tokens of a kind it has no rate
        for.
        """
        units = self.units(usage)
        return None if units is None else Decimal(units).scaleb(self._exponent, _EXACT)

    def units(self, usage: TokenUsage) -> int | None:
        """Return the cost in a unit of the price's own, of which a dollar holds ``one``.

        ``units / one`` is ``float(amount)``, without the way through a decimal number.
        """
        input_tokens, output_tokens, cache_read = usage[0], usage[1], usage[2]
        is_odd = cache_read and (self._input is None or not 0 < cache_read <= (input_tokens or 0))
        if is_odd or (self._rarer and any(map(usage.__getitem__, self._rarer))):
            return self._split(usage)
        # Nearly all calls: what ``_split`` would find, without taking the counts apart.
        units = self._request
        if input_tokens:
            if self._input is None:
                return None
            units += input_tokens * self._input
        if cache_read:
            units += cache_read * self._cached_discount
        if output_tokens:
            if self._output is None:
                return None
            units += output_tokens * self._output
        return units

    def lines(self, usage: TokenUsage) -> list[tuple[str, int, Decimal, Decimal]]:
        """Return the calculation as (unit, count, dollars per million, dollars), largest unit first.

        The dollars of all lines add up to ``amount``; empty when ``amount`` is ``None``.
        """
        if self.amount(usage) is None:
            return []
        rate_of = dict(self.ref.rates)
        counts = self._counts(usage)
        if REQUEST_UNIT in rate_of:
            counts[REQUEST_UNIT] = 1
        return [
            (name, counts[name], Decimal(rate), counts[name] * Decimal(rate) / _PER)
            for name, rate in self.ref.rates
            if counts.get(name)
        ]

    def _split(self, usage: TokenUsage) -> int | None:
        units = self._request
        counts = self._counts(usage)
        for name, integer, _, _ in self._charges:
            count = counts[name]
            if count < 0 or (count and integer is None):
                return None
            units += count * (integer or 0)
        return units

    def _counts(self, usage: TokenUsage) -> dict[str, int]:
        """Return what each unit pays for: its count less what its priced subsets pay for."""
        counts: dict[str, int] = {}
        for name, _, index, inside in self._charges:
            counts[name] = (usage[index] or 0) - sum([counts[part] for part in inside])
        return counts


_Charge = tuple[str, "int | None", int, tuple[str, ...]]


def _compile(integers: Mapping[str, int]) -> tuple[_Charge, ...]:
    from ai_usage.tokens import TokenUsage

    # Input and output always take part, priced or not, so that a token nobody charges for is noticed.
    taking_part = [unit for unit in UNITS if unit.name in integers or not unit.within]
    return tuple(
        (
            unit.name,
            integers.get(unit.name),
            TokenUsage._fields.index(unit.field),
            tuple(part.name for part in taking_part if unit.name in part.within),
        )
        for unit in taking_part
    )


def _exponent_of(rate: Decimal) -> int:
    exponent = rate.normalize(_EXACT).as_tuple().exponent
    if not isinstance(exponent, int):  # pragma: no cover - NaN and infinity were refused before
        raise TypeError(f"rate {rate} has no exponent")
    return exponent


class TieredRates:
    """Pick the rates by the size of the prompt: crossing a threshold changes the rate of every token."""

    __slots__ = ("_base", "_tiers")

    def __init__(self, base: Rates, tiers: Sequence[tuple[int, Rates]] = ()) -> None:
        """``tiers`` holds (input tokens above which it applies, rates)."""
        self._base = base
        self._tiers = tuple(sorted(tiers, key=lambda tier: -tier[0]))

    def of(self, usage: TokenUsage) -> Rates:
        """Return the rates that apply to a call of this size."""
        if self._tiers:
            input_tokens = usage[0] or 0
            for start, rates in self._tiers:
                if input_tokens > start:
                    return rates
        return self._base

    @property
    def sizes(self) -> list[tuple[int, Rates]]:
        """Return (input tokens above which they apply, rates), smallest size first; the first one is 0."""
        return [(0, self._base), *reversed(self._tiers)]
