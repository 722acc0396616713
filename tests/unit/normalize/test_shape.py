"""What a span says does not depend on which spans were read before, though shapes are remembered."""

from __future__ import annotations

import pytest

from ai_usage_exporter.normalize import normalize, shape
from tests.factories import make_span

BASE = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
OF_ONE_KEYS = [
    {**BASE, "user.id": user, "enduser.id": older, "gen_ai.usage.input_tokens": tokens, "ai_usage.metadata.team": team}
    for user in ("ada", "", 7, None, ["ada"])
    for older in ("bob", "", 8.5, None)
    for tokens in (12, "12", 12.0, True, "", None)
    for team in ("red", "", 3)
]


def test_spans_with_the_same_keys_are_read_as_if_each_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [make_span(attributes=attributes) for attributes in OF_ONE_KEYS]
    alone = []
    for span in spans:
        monkeypatch.setattr(shape, "_memo", {})
        alone.append(normalize(span))
    monkeypatch.setattr(shape, "_memo", {})
    assert [normalize(span) for span in spans] == alone
    assert [normalize(span) for span in reversed(spans)] == alone[::-1]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"user.id": "ada", "enduser.id": "bob"}, "ada"),
        ({"enduser.id": "bob", "user.id": "ada"}, "ada"),
        ({"user.id": "", "enduser.id": "bob"}, "bob"),
        ({"user.id": ["ada"], "enduser.id": 7}, "7"),
        ({"user.id": None}, None),
    ],
)
def test_the_most_trusted_key_that_says_something_counts(attributes: dict[str, object], expected: str | None) -> None:
    for _ in range(2):
        record = normalize(make_span(attributes={**BASE, **attributes}))
        assert record is not None
        assert record.user == expected


def test_shapes_without_end_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: dict[tuple[object, ...], shape.Shape] = {}
    monkeypatch.setattr(shape, "_memo", remembered)
    for number in range(3_000):
        normalize(make_span(attributes={**BASE, f"ai_usage.metadata.{number}": "x"}))
    normalize(make_span(attributes={**BASE, "k" * 10_000: "x"}))
    normalize(make_span(attributes=BASE | {f"k{number}": "x" for number in range(100)}))
    assert 0 < len(remembered) <= 1_024
    assert max(map(len, remembered)) < 100
