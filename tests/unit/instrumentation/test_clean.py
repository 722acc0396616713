"""Writing results at once is the same as ``set_attributes``, and leaves to it whatever is not as known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import Span, SpanLimits, TracerProvider
from opentelemetry.trace import INVALID_SPAN

from ai_usage import _clean

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

RESULTS: dict[str, AttributeValue] = {
    "tokens": 12,
    "cost": 0.25,
    "model": "gpt-4o",
    "partial": True,
    "reasons": ("stop", "length"),
    "start": "replaced",
}


def span_of(**limits: int) -> Any:
    tracer = TracerProvider(span_limits=SpanLimits(**limits)).get_tracer("t")
    return tracer.start_span("s", attributes={"start": "given", "other": 1})


@pytest.mark.parametrize("limits", [{}, {"max_span_attributes": 4}, {"max_span_attribute_length": 3}], ids=str)
def test_it_writes_what_set_attributes_writes(limits: dict[str, int]) -> None:
    ours, theirs = span_of(**limits), span_of(**limits)
    _clean.set_attributes(ours, RESULTS)
    theirs.set_attributes(RESULTS)
    assert dict(ours.attributes) == dict(theirs.attributes)
    assert ours.dropped_attributes == theirs.dropped_attributes


def test_plain_values_take_the_short_way_and_others_the_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    public: list[dict[str, AttributeValue]] = []
    monkeypatch.setattr(Span, "set_attributes", lambda _span, attributes: public.append(attributes))
    span = span_of()
    _clean.set_attributes(span, RESULTS)
    assert span.attributes["tokens"] == 12
    assert public == []
    unknown: dict[str, Any] = {"list": ["a"]}
    _clean.set_attributes(span, unknown)
    assert public == [unknown]


def test_an_ended_span_is_not_written_to() -> None:
    span = span_of()
    span.end()
    _clean.set_attributes(span, RESULTS)
    assert dict(span.attributes) == {"start": "given", "other": 1}


def test_a_later_sdk_and_another_tracer_take_the_public_way(monkeypatch: pytest.MonkeyPatch) -> None:
    _clean.set_attributes(INVALID_SPAN, RESULTS)  # has nothing to write to, and nothing breaks
    span = span_of()
    monkeypatch.delattr(span._attributes, "_lock")
    public: list[dict[str, AttributeValue]] = []
    monkeypatch.setattr(Span, "set_attributes", lambda _span, attributes: public.append(attributes))
    _clean.set_attributes(span, RESULTS)
    assert public == [RESULTS]
