"""L11: whatever an app or a provider says, what is written can be encoded, alone and in a batch."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_usage import _guard, tracker, usage_context
from ai_usage._fields import whole, word
from ai_usage._invocation import Telemetry
from ai_usage._text import LONGEST, as_attribute, as_text, encodable, valid
from ai_usage.tracker import AIUsageTracker, log_ai_usage

BAD = ("\ud800", "a\udfffb", "nul\0", b"\xff\xfebytes", "x" * 10_000_000, object(), 1 << 70, "\ud83d\ude00")


@given(st.text(st.characters(), max_size=50))
def test_valid_text_stays_as_it_is_and_any_text_becomes_valid(text: str) -> None:
    found = valid(text)
    found.encode()
    assert "\0" not in found
    assert found == text or "\0" in text or not _is_encodable(text)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_pairs_of_surrogates_are_the_character_they_stand_for() -> None:
    assert encodable(json.loads('"\\ud83d\\ude00"') + "\ud83d\ude00 \ud800") == "😀😀 \ufffd"


def test_length_is_bounded_and_bytes_are_read() -> None:
    assert len(as_text("x" * 10_000_000)) == LONGEST
    assert as_text("é".encode()) == "é"
    assert as_attribute(1 << 70) == str(1 << 70)
    assert [as_attribute(value) for value in (True, 3, 1.5, "s")] == [True, 3, 1.5, "s"]


def test_providers_numbers_and_words_are_valid_too() -> None:
    assert whole(1 << 63) is None
    assert whole(float(1 << 40)) == 1 << 40
    assert word("gpt\ud800") == "gpt\ufffd"


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[:20])
def test_one_bad_value_anywhere_does_not_cost_the_batch(bad: object, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=provider))
    before = _guard.set_strict(True)
    text: str = bad  # type: ignore[assignment]
    try:
        with usage_context(user_id=bad, user_email=text, service_name=text, metadata={text: bad}):
            with AIUsageTracker(bad, text, text, text, provider="openai", model=text) as tracked:
                tracked.add_metadata(text, bad)
                tracked.set_error(bad, text)
                tracked.set_response({"model": bad, "id": bad, "usage": {"prompt_tokens": bad, "completion_tokens": 5}})
        assert log_ai_usage(bad, text, text, text, "openai", text, 1, 2, error_message=text, error_code=text)
    finally:
        _guard.set_strict(before)
    assert len(memory.get_finished_spans()) == 2
    assert len(encode_spans(memory.get_finished_spans()).SerializeToString()) < 20 * LONGEST * 4
