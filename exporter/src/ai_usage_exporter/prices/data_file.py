"""Newer shipped prices from a file: the data of ``genai-prices`` without an upgrade, and without a network."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ai_usage.pricing.book import forget_prices
from ai_usage.pricing.catalog import use_price_data
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices import book

if TYPE_CHECKING:
    from pathlib import Path


def use_price_data_file(path: Path | None) -> None:
    """Let the prices of a file stand for the shipped ones in this process; ``None``: the shipped ones again.

    The file is the ``data.json`` that genai-prices publishes. Raises ``PermanentError`` for one that is not.
    """
    if path is None:
        use_price_data(None)
    else:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PermanentError(f"cannot read price data file {path}: {error.strerror or error}") from None
        use_price_data(_providers(path, content), f"{path.name} {hashlib.sha256(content).hexdigest()[:12]}")
    forget_prices()
    book.forget_names()


def _providers(path: Path, content: bytes) -> list[Any]:
    from genai_prices.types import _providers_from_raw  # what its own updater reads the same file with

    try:
        raw = json.loads(content, parse_float=Decimal)
        if not isinstance(raw, list) or not raw:
            raise ValueError("it is no list of providers")  # noqa: TRY301 - one message for all that is wrong
        return _providers_from_raw(raw)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # pydantic's errors are ValueErrors
        first_line = str(error).splitlines()[0]
        raise PermanentError(
            f"price data file {path} is not the data.json of genai-prices: {first_line}; own prices go into "
            "AI_USAGE_PRICES_FILE"
        ) from None
