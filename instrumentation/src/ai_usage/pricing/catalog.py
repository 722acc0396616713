"""Find the price of a model in the maintained price data of ``genai-prices``.

The data is loaded at the first question, never from the network. Look-ups are slow (up to 100 µs) and their results
memoised by the caller, so this module may take its time to find the best match.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from ai_usage.pricing.rates import REQUEST_UNIT, Rates, TieredRates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from genai_prices import types

SOURCE: Final = "genai-prices"

# gen_ai.provider.name (and common spellings of it) → provider id of the price data. Its own matching does not know
# some of these and takes azure.ai.openai for openai.
_PROVIDER_IDS: Final = {
    "azure": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "google_genai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "xai": "x-ai",
}

# Servers people run themselves: another vendor's price for a model of the same name would be wrong.
_SELF_HOSTED: Final = frozenset({"ollama", "vllm", "llamacpp", "llama.cpp", "lm_studio", "lmstudio", "tgi", "localai"})

# Path-like prefixes in front of a model name: "models/gemini-2.0-flash", Vertex resource names.
_PATH_PREFIXES: Final = ("models/", "tunedmodels/")

# Unit of the price data → our unit. Units that no SDK reports per call (pages, pixels, searches) are left out: what
# they cost is not in these amounts.
_UNIT_OF_PRICE_KEY: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "output_reasoning_mtok": "reasoning",
}
_REQUESTS_PER_THOUSAND: Final = "requests_kcount"


def find_rates(provider: str, model: str, at: datetime, service_tier: str | None) -> tuple[TieredRates | None, bool]:
    """Return the rates valid at ``at``, and whether they may change within that UTC day.

    ``provider`` is a gen_ai.provider.name, ``service_tier`` the tier as served (batch, flex, priority, fast, …) or
    ``None``. Rates are ``None`` when the model has no price for tokens.
    """
    found = _find_model(provider.lower(), model.lower())
    if found is None:
        return None, False
    vendor, info = found
    standard = info.get_prices(at)
    # A model borrowed from its vendor (Azure and OpenAI, say) has the vendor's prices, not its service tiers.
    is_own = any(info is offered for offered in vendor.models)
    prices = info.get_prices(at, _price_context(service_tier)) if is_own else standard
    tier = "" if prices.__dict__ == standard.__dict__ else str(service_tier).lower()
    return _compile(prices, vendor.id, info.id, tier), _changes_within_a_day(info)


def model_id(provider: str, model: str) -> str | None:
    """Return the name the price data files a model under (``gpt-4o`` for ``gpt-4o-2024-08-06``), else ``None``."""
    found = _find_model(provider.lower(), model.lower())
    return None if found is None else found[1].id


def use_price_data(providers: list[types.Provider] | None, data_version: str = "") -> None:
    """Look prices up in other data of the same form from now on, in the whole process; ``None``: in the package's."""
    from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

    set_custom_snapshot(None if providers is None else DataSnapshot(providers, from_auto_update=False))
    _providers.cache_clear()
    _other_version[:] = [] if providers is None else [data_version]


def price_data_version() -> str:
    """Return the version of the price data, e.g. ``0.2.3``."""
    return _other_version[0] if _other_version else _package_version()


_other_version: list[str] = []
"""The version of the data in use instead of the package's, if any."""


@cache
def _package_version() -> str:
    return version("genai-prices")


@cache
def _providers() -> list[types.Provider]:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


def _find_model(provider: str, model: str) -> tuple[types.Provider, types.ModelInfo] | None:
    if provider in _SELF_HOSTED:
        return None
    vendors = list(_vendors(provider, model))
    for name in _spellings(model):
        for vendor in vendors:
            info = vendor.find_model(name, all_providers=_providers())
            if info is not None:
                return vendor, info
    # Some models are filed under a name that their own matching does not know.
    return next(((vendor, info) for vendor in vendors for info in vendor.models if info.id.lower() == model), None)


def _vendors(provider: str, model: str) -> Iterator[types.Provider]:
    from genai_prices.data_snapshot import find_provider_by_id

    named = find_provider_by_id(_providers(), _PROVIDER_IDS.get(provider, provider))
    if named is not None:
        yield named
        return
    # An unknown or gateway name: a "vendor/model" prefix says who answered, else the model name does.
    prefix, slash, _ = model.partition("/")
    if slash:
        prefixed = find_provider_by_id(_providers(), _PROVIDER_IDS.get(prefix, prefix))
        if prefixed is not None:
            yield prefixed
    for vendor in _providers():
        if vendor.model_match is not None and vendor.model_match.is_match(model.rpartition("/")[2]):
            yield vendor


def _spellings(model: str) -> Iterator[str]:
    """Yield the ways to write a model name, most literal first."""
    yield model
    for prefix in _PATH_PREFIXES:
        if model.startswith(prefix):
            yield model.removeprefix(prefix)
    if "/" in model:
        yield model.partition("/")[2]
        yield model.rpartition("/")[2]


def _price_context(service_tier: str | None) -> Mapping[str, str]:
    """Translate a service tier as served into the context keys of the price data."""
    if service_tier is None:
        return {}
    tier = service_tier.lower()
    if tier == "batch":
        return {"processing": "batch"}
    # Anthropic sells the fast lane as a speed, OpenAI and Google as a service tier.
    return {"service_tier": tier, "speed": tier}


def _changes_within_a_day(info: types.ModelInfo) -> bool:
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    conditional = [] if isinstance(info.prices, ModelPrice) else list(info.prices)
    return any(
        isinstance(part.constraint, TimeOfDateConstraint) for part in (*conditional, *(info.price_variants or ()))
    )


def _compile(prices: types.ModelPrice, provider: str, model: str, tier: str) -> TieredRates | None:
    from genai_prices.types import TieredPrices

    by_unit: dict[str, Decimal | TieredPrices] = {
        unit: value for key, unit in _UNIT_OF_PRICE_KEY.items() if (value := getattr(prices, key)) is not None
    }
    if not by_unit:
        return None
    per_thousand_requests = getattr(prices, _REQUESTS_PER_THOUSAND)
    if isinstance(per_thousand_requests, Decimal):
        by_unit[REQUEST_UNIT] = per_thousand_requests * 1000
    starts = sorted({t.start for value in by_unit.values() if isinstance(value, TieredPrices) for t in value.tiers})

    def rates(above: int | None) -> Rates:
        size = "" if above is None else f"over {above} input tokens"
        return Rates(
            {unit: _rate_above(value, above) for unit, value in by_unit.items()},
            source=SOURCE,
            version=price_data_version(),
            provider=provider,
            model=model,
            tier=", ".join(part for part in (tier, size) if part),
        )

    return TieredRates(rates(None), [(start, rates(start)) for start in starts])


def _rate_above(value: Decimal | types.TieredPrices, above: int | None) -> Decimal:
    if isinstance(value, Decimal):
        return value
    applicable = value.base
    for tier in value.tiers:
        if above is not None and tier.start <= above:
            applicable = tier.price
    return applicable
