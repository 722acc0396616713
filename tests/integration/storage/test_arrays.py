"""What is sent as the text of an array arrives as the values it was made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from ai_usage_exporter.storage.arrays import array_of, array_of_moments, array_of_texts, joined

MOMENT = datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_", "written", "values"),
    [
        ("bigint", array_of([]), []),
        ("bigint", array_of([0, -1, 2**62]), [0, -1, 2**62]),
        ("numeric", array_of([Decimal("0.000000000001"), Decimal("1E-7")]), [Decimal("1E-12"), Decimal("1E-7")]),
        ("timestamptz", array_of_moments([MOMENT]), [MOMENT]),
        ("timestamptz", array_of_moments([MOMENT.astimezone(timezone(timedelta(hours=5.75)))]), [MOMENT]),
        ("text", array_of_texts([]), []),
        ("text", array_of_texts(["gpt-4o"]), ["gpt-4o"]),
        ("text", array_of_texts(["a", "", "c"]), ["a", "", "c"]),
        ("text", array_of_texts(['a"b', "c"]), ['a"b', "c"]),
        ("text", array_of_texts(["a\\", "c"]), ["a\\", "c"]),
        ("text", array_of_texts(["", "NULL", " a b ", "{}", 'a","b', "\\", '\\"', "\n\t", "ж😀"]), None),
    ],
)
async def test_values_arrive(connection: Any, type_: str, written: str, values: list[Any] | None) -> None:
    expected = ["", "NULL", " a b ", "{}", 'a","b', "\\", '\\"', "\n\t", "ж😀"] if values is None else values
    assert await connection.fetchval(f"SELECT $1::text::{type_}[]", written) == expected


def test_joined_ids_have_one_size() -> None:
    assert joined([b"12345678", b"abcdefgh"], 8) == b"12345678abcdefgh"
    with pytest.raises(ValueError, match="8 bytes"):
        joined([b"1234567", b"abcdefghi"], 8)
