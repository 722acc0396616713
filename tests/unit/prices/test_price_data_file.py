"""The published price data can be updated by a file, as a whole, without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage.pricing import CostStatus, cost_of
from ai_usage.pricing.catalog import price_data_version
from ai_usage.tokens import TokenUsage
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.book import OwnPrice, PriceBook
from ai_usage_exporter.prices.data_file import use_price_data_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 11, 20, tzinfo=UTC)
MILLION = TokenUsage(1_000_000, 0)
DATA: list[dict[str, Any]] = [
    {
        "id": "openai",
        "name": "OpenAI",
        "api_pattern": "https://api\\.openai\\.com",
        "model_match": {"starts_with": "gpt-"},
        "models": [
            {
                "id": "gpt-9",
                "match": {"starts_with": "gpt-9"},
                "prices": {"input_mtok": 0.1, "output_mtok": {"base": 2, "tiers": [{"start": 1000, "price": 3.3}]}},
            }
        ],
    }
]


@pytest.fixture(autouse=True)
def shipped_data_again() -> Iterator[None]:
    yield
    use_price_data_file(None)


def write(path: Path, document: object) -> Path:
    file = path / "data.json"
    file.write_text(json.dumps(document))
    return file


def test_file_stands_for_the_shipped_data_and_is_named_with_the_price(tmp_path: Path) -> None:
    assert cost_of("openai", "gpt-9-mini", MILLION, at=AT).status is CostStatus.ESTIMATED
    shipped = price_data_version()
    use_price_data_file(write(tmp_path, DATA))
    cost = cost_of("openai", "gpt-9-mini", MILLION, at=AT)
    assert (cost.amount_usd, cost.status) == (Decimal("0.1"), CostStatus.PRICED)
    assert cost.price is not None
    assert cost.price.version.startswith("data.json ")
    assert cost.price.version == price_data_version()
    assert dict(cost.price.rates)["output"] == "3.3"
    assert cost_of("openai", "gpt-4o", MILLION, at=AT).status is CostStatus.ESTIMATED
    use_price_data_file(None)
    assert price_data_version() == shipped
    assert cost_of("openai", "gpt-4o", MILLION, at=AT).status is CostStatus.PRICED
    assert cost_of("openai", "gpt-9-mini", MILLION, at=AT).status is CostStatus.ESTIMATED


def test_own_discounts_and_names_follow_the_file(tmp_path: Path) -> None:
    use_price_data_file(write(tmp_path, DATA))
    book = PriceBook([OwnPrice("openai", "gpt-9", "contract", discount_percent=Decimal(50))])
    cost = book.cost_of("openai", "gpt-9-mini", MILLION, at=AT)
    assert cost is not None
    assert cost.amount_usd == Decimal("0.05")


@pytest.mark.parametrize(
    "document",
    [{}, [], [3], "x", [{"id": "openai"}], [{"provider": "openai", "model": "m", "input": 1}]],
    ids=["object", "empty", "number", "text", "no models", "own prices"],
)
def test_other_files_are_refused_and_change_nothing(tmp_path: Path, document: object) -> None:
    with pytest.raises(PermanentError, match=r"data\.json is not the data\.json of genai-prices"):
        use_price_data_file(write(tmp_path, document))
    assert cost_of("openai", "gpt-4o", MILLION, at=AT).status is CostStatus.PRICED


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(b"\xff{")
    with pytest.raises(PermanentError, match="is not the data"):
        use_price_data_file(tmp_path / "data.json")
    with pytest.raises(PermanentError, match=r"cannot read price data file .*: No such file"):
        use_price_data_file(tmp_path / "none.json")
