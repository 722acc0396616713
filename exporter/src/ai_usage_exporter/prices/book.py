"""Own and negotiated prices: which one holds for a call, compiled for the receiver's hot path. Pure."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage.pricing import Cost, CostStatus, Rates
from ai_usage.pricing.catalog import find_rates, model_id
from ai_usage.pricing.rates import REQUEST_UNIT
from ai_usage_exporter.normalize.providers import UNKNOWN, canonical_provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ai_usage.tokens import TokenUsage

SOURCE: Final = "own"
"""``PriceRef.source`` of everything priced here."""
ANY_TIER: Final = ""
RATE_STEP: Final = Decimal("0.000001")
"""A discounted rate is rounded to this, in dollars per million: any count times it fits 12 decimals."""
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MEMO_SIZE: Final = 4096
_NO_DISCOUNT: Final = Decimal(100)

_log = logging.getLogger(__name__)


class OwnPrice(NamedTuple):
    """Hold one own price: ``rates`` (unit → dollars per million) or a discount on the shipped price.

    ``model`` is a name, or a beginning of names with ``*`` at its end. It holds from ``effective_from`` (inclusive)
    to ``effective_to`` (exclusive, ``None``: open) for calls with more than ``above_input_tokens``.
    """

    provider: str
    model: str
    origin: str
    """Where it stands: the ``version`` of what is priced with it."""
    service_tier: str = ANY_TIER
    above_input_tokens: int = 0
    effective_from: datetime = ALWAYS
    effective_to: datetime | None = None
    discount_percent: Decimal | None = None
    rates: Mapping[str, Decimal] = {}

    def holds_at(self, moment: datetime) -> bool:
        """Tell whether it holds for a call that started then."""
        return self.effective_from <= moment and (self.effective_to is None or moment < self.effective_to)


Sizes = tuple[tuple[int, Rates], ...]
"""(input tokens above which they apply, rates), largest first."""


class PriceBook:
    """Find own prices. Never changes: new prices make a new book.

    ``layers`` are sources of prices, the one that wins first. Within a layer the most specific name wins: the model
    itself, the name the shipped data files it under, then the longest beginning; of these a price for the call's
    service tier before one for any.
    """

    def __init__(self, *layers: Iterable[OwnPrice]) -> None:
        self._layers = [_Layer(prices) for prices in layers]
        self.prices = tuple(price for layer in self._layers for price in layer.prices)
        self._days_of_change = {
            moment.astimezone(UTC).toordinal()
            for price in self.prices
            for moment in (price.effective_from, price.effective_to)
            if moment is not None and moment.astimezone(UTC).time() != ALWAYS.time()
        }
        self._memo: dict[tuple[str, str, str | None, int], Sizes | None] = {}

    def cost_of(
        self, provider: str, model: str, usage: TokenUsage, *, at: datetime, service_tier: str | None = None
    ) -> Cost | None:
        """Return what a call costs at own prices, ``None`` when none holds for it.

        Parameters are those of ``ai_usage.pricing.cost_of``; ``at`` is the start of the call.
        """
        if not self.prices:
            return None
        rates = self.rates_of(provider, model, usage, at=at, service_tier=service_tier)
        if rates is None:
            return None
        if not usage.is_reported and not _is_per_request(rates):
            return None
        amount = rates.amount(usage)
        return Cost(amount, CostStatus.UNPRICED if amount is None else CostStatus.PRICED, rates.ref)

    def rates_of(
        self, provider: str, model: str, usage: TokenUsage, *, at: datetime, service_tier: str | None = None
    ) -> Rates | None:
        """Return the own rates that hold for a call, or ``None``."""
        day = at.astimezone(UTC).toordinal()
        key = (provider, model, service_tier, day)
        try:
            sizes = self._memo[key]
        except KeyError:
            sizes = self.sizes_of(provider, model, at=at, service_tier=service_tier)
            if day not in self._days_of_change:
                if len(self._memo) >= _MEMO_SIZE:
                    self._memo.clear()
                self._memo[key] = sizes
        if sizes is not None:
            input_tokens = usage[0] or 0
            for above, rates in sizes:
                if input_tokens > above or above == 0:
                    return rates
        return None

    def sizes_of(self, provider: str, model: str, *, at: datetime, service_tier: str | None = None) -> Sizes | None:
        """Return the own rates that hold for a model by context size, largest first, or ``None``."""
        for layer in self._layers:
            for prices in layer.candidates(provider, model, service_tier):
                if holding := [price for price in prices if price.holds_at(at)]:
                    return _compile(holding, provider, model, service_tier, at)
        return None


class _Layer:
    """Index the prices of one source by name and service tier."""

    def __init__(self, prices: Iterable[OwnPrice]) -> None:
        self.prices = tuple(prices)
        self._named: defaultdict[tuple[str, str, str], list[OwnPrice]] = defaultdict(list)
        beginnings: defaultdict[str, set[str]] = defaultdict(set)
        for price in self.prices:
            provider, model = price_provider(price.provider), price.model.lower()
            if model.endswith("*"):
                beginnings[provider].add(model[:-1])
            self._named[provider, model, price.service_tier.lower()].append(price)
        self._beginnings = {name: sorted(found, key=len, reverse=True) for name, found in beginnings.items()}

    def candidates(self, provider: str, model: str, service_tier: str | None) -> Iterator[list[OwnPrice]]:
        """Yield the prices filed under each name and tier that fit, most specific first, whenever they hold."""
        model = model.lower()
        names = [model]
        if self.prices and (filed := _model_id(provider, model)) is not None:
            names.append(filed.lower())
        names += [f"{start}*" for start in self._beginnings.get(provider, ()) if model.startswith(start)]
        tiers = [service_tier.lower()] if service_tier else []
        for name in dict.fromkeys(names):
            for tier in (*tiers, ANY_TIER):
                if found := self._named.get((provider, name, tier)):
                    yield found


def price_provider(name: str) -> str:
    """Return a provider as rows name it; a gateway, which is no vendor, keeps its own name."""
    canonical = canonical_provider(name)
    return name.strip().lower() if canonical == UNKNOWN else canonical


def discounted(rate: Decimal, discount_percent: Decimal) -> Decimal:
    """Return a rate less its discount, rounded to ``RATE_STEP``."""
    return (rate * (_NO_DISCOUNT - discount_percent) / _NO_DISCOUNT).quantize(RATE_STEP, ROUND_HALF_UP)


def _compile(
    holding: Sequence[OwnPrice], provider: str, model: str, service_tier: str | None, at: datetime
) -> Sizes | None:
    # Names that differ only in spelling may leave two of a size: the newer one counts.
    by_size = {price.above_input_tokens: price for price in sorted(holding, key=lambda price: price.effective_from)}
    discounts = [price for price in by_size.values() if price.discount_percent is not None]
    if discounts:
        return _discount(discounts[0], provider, model, service_tier, at)
    sizes: list[tuple[int, Rates]] = []
    rates: dict[str, Decimal] = {}
    for above in sorted(by_size):
        price = by_size[above]
        rates = rates | dict(price.rates)
        tier = ", ".join(part for part in (price.service_tier.lower(), _over(above)) if part)
        made = Rates(rates, source=SOURCE, version=price.origin, provider=price.provider, model=price.model, tier=tier)
        sizes.append((above, made))
    return tuple(reversed(sizes))


def _discount(price: OwnPrice, provider: str, model: str, service_tier: str | None, at: datetime) -> Sizes | None:
    percent = price.discount_percent or Decimal(0)
    try:
        shipped, _ = find_rates(provider, model, at, service_tier)
    except Exception:
        # Price data is maintained by others; a flaw in it must cost a price, never a call or a row.
        _log.exception("price look-up failed for provider %r, model %r", provider, model)
        return None
    if shipped is None:
        return None
    sizes = []
    for above, standard in shipped.sizes:
        ref = standard.ref
        words = f"{abs(percent.normalize()):f} % {'off' if percent >= 0 else 'on top'}"
        made = Rates(
            {unit: discounted(Decimal(rate), percent) for unit, rate in ref.rates},
            source=SOURCE,
            version=f"{price.origin}, {ref.source} {ref.version}",
            provider=ref.provider,
            model=ref.model,
            tier=", ".join(part for part in (ref.tier, words) if part),
        )
        sizes.append((above, made))
    return tuple(reversed(sizes))


def _is_per_request(rates: Rates) -> bool:
    return [unit for unit, _ in rates.ref.rates] == [REQUEST_UNIT]


def _over(above: int) -> str:
    return f"over {above} input tokens" if above else ""


@lru_cache(maxsize=4096)
def _model_id(provider: str, model: str) -> str | None:
    try:
        return model_id(provider, model)
    except Exception:
        _log.exception("price look-up failed for provider %r, model %r", provider, model)
        return None


def forget_names() -> None:
    """Look up again what models are filed under, after the price data was replaced."""
    _model_id.cache_clear()


NO_PRICES: Final = PriceBook()
"""The book without a single own price."""
