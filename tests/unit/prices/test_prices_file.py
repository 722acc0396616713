"""A prices file is taken as a whole or refused with every mistake named."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.prices.file import read_prices_file

TOML = """
[[price]]                # negotiated, contract 17
provider = "openai"
model = "gpt-4o"
effective_from = 2026-01-01
effective_to = 2026-07-01T00:00:00+02:00
input = 2.10
output = 8
cache_read = "1.05"
request = 0.001
note = "contract 17"

[[price.above]]
input_tokens = 200_000
input = 4.2

[[price]]
provider = "azure"
model = "*"
service_tier = "batch"
discount_percent = 12.5
"""


def write(path: Path, content: str, name: str = "prices.toml") -> Path:
    file = path / name
    file.write_text(content, encoding="utf-8")
    return file


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    base, above, discount = read_prices_file(write(tmp_path, TOML))
    assert base.rates == {
        "input": Decimal("2.10"),
        "output": 8,
        "cache_read": Decimal("1.05"),
        "request": 1000,
    }
    assert (base.provider, base.model, base.service_tier) == ("openai", "gpt-4o", "")
    assert base.effective_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert base.effective_to == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert (above.above_input_tokens, above.rates) == (200_000, {"input": Decimal("4.2")})
    assert above.effective_to == base.effective_to
    assert (discount.discount_percent, discount.service_tier) == (Decimal("12.5"), "batch")
    same = [
        {
            "provider": "openai", "model": "gpt-4o", "effective_from": "2026-01-01",
            "effective_to": "2026-07-01T00:00:00+02:00", "input": 2.1, "output": 8, "cache_read": "1.05",
            "request": 0.001, "above": [{"input_tokens": 200_000, "input": 4.2}],
        },
        {"provider": "azure", "model": "*", "service_tier": "batch", "discount_percent": 12.5},
    ]  # fmt: skip
    for document in (same, {"price": same}):
        read = read_prices_file(write(tmp_path, json.dumps(document), "prices.json"))
        assert [price._replace(origin="") for price in read] == [
            price._replace(origin="") for price in (base, above, discount)
        ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('provider = "openai"', "model is None: write a text"),
        ('provider = "x"\nmodel = "m"', "it has no price: write discount_percent or one of input, output"),
        ('provider = "x"\nmodel = "m"\ninput = -1', "input is -1: write dollars per million tokens"),
        ('provider = "x"\nmodel = "m"\ninput = 0.0000001', "with at most 6 decimals"),
        ('provider = "x"\nmodel = "m"\ninput = "1,5"', "input is '1,5': write a number"),
        ('provider = "x"\nmodel = "m"\ninput = nan', "write a finite number"),
        ('provider = "x"\nmodel = "m"\ninput = true', "input is True: write a number"),
        ('provider = "x"\nmodel = "m"\ninput = 1e400', "input is 1E"),
        ('provider = "x"\nmodel = "m"\ninptu = 1', "unknown key inptu: use above, cache_read"),
        ('provider = "x"\nmodel = "m"\ndiscount_percent = 101', "discount_percent is 101: write at most 100"),
        ('provider = "x"\nmodel = "m"\ndiscount_percent = 1\ninput = 1', "write one of the two"),
        ('provider = "x"\nmodel = "m"\ninput = 1\neffective_from = "soon"', "effective_from is 'soon': write 2026-11"),
        ('provider = "x"\nmodel = "m"\ninput = 1\neffective_to = 1969-01-01', "it must be after effective_from"),
        ('provider = "x"\nmodel = "m"\ninput = 1\nabove = [{input_tokens = 0, input = 1}]', "input_tokens is 0"),
        ('provider = "x"\nmodel = "m"\ninput = 1\nabove = [{input_tokens = 9}]', "write at least one rate"),
        ('provider = "x"\nmodel = "m"\ninput = 1\nabove = 3', "above: write"),
    ],
)
def test_mistake_is_named_with_its_place(tmp_path: Path, entry: str, message: str) -> None:
    file = write(tmp_path, f'[[price]]\nprovider = "y"\nmodel = "m"\ninput = 1\n\n[[price]]\n{entry}\n')
    with pytest.raises(PermanentError) as refused:
        read_prices_file(file)
    assert str(refused.value).startswith(f"prices file {file}, price 2: ")
    assert message in str(refused.value)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, '[[price]]\nmodel = "a"\n[[price]]\nprovider = "b"\n')
    with pytest.raises(PermanentError) as refused:
        read_prices_file(file)
    assert len(str(refused.value).splitlines()) == 2


def test_two_prices_of_one_time_are_refused(tmp_path: Path) -> None:
    one = '[[price]]\nprovider = "azure"\nmodel = "gpt-4o"\ninput = 1\n'
    other = '[[price]]\nprovider = "azure.ai.openai"\nmodel = "GPT-4o"\ninput = 1\neffective_from = 2026-01-01\n'
    with pytest.raises(PermanentError, match=r"two prices from 2026-01-01 00:00 UTC \(price 1 and price 2\)"):
        read_prices_file(write(tmp_path, one + other))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices.toml", "[[price]"),
        ("prices.json", "{"),
        ("prices.json", "3"),
        ("prices.json", '{"prices": []}'),
        ("prices.toml", "price = 3"),
        ("prices.json", "[" * 100_000),
    ],
    ids=["broken toml", "broken json", "number", "other key", "no list", "deep"],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(PermanentError, match=name):
        read_prices_file(write(tmp_path, content, name))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"cannot read prices file .*none.toml: No such file"):
        read_prices_file(tmp_path / "none.toml")


def test_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "howto" / "own-prices.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    base, above, discount = read_prices_file(write(tmp_path, example))
    assert (base.rates["cache_read"], above.rates, discount.discount_percent) == (
        Decimal("1.05"),
        {"input": Decimal("4.20")},
        12,
    )
