"""Suppression, foreign spans, faults of our own: the app and other libraries are never in our way nor we in theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from ai_usage import _guard, semconv
from ai_usage.attribution import usage_context
from ai_usage.openai import reply
from ai_usage.setup import ensure_processor

if TYPE_CHECKING:
    import openai

    from tests.integration.instrumentation.conftest import Spans

HELLO: Any = [{"role": "user", "content": "hello"}]


def test_a_suppressed_call_leaves_no_span(openai_client: openai.OpenAI, spans: Spans) -> None:
    with suppress_instrumentation():
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert spans.all() == ()


def test_the_callers_context_is_the_same_after_a_call_and_while_a_stream_is_read(
    openai_client: openai.OpenAI, spans: Spans
) -> None:
    before = context.get_current()
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    for _ in stream:
        assert context.get_current() is before
    assert context.get_current() is before
    assert not trace.get_current_span().is_recording()


def test_foreign_genai_spans_get_owner_and_cost(spans: Spans) -> None:
    ensure_processor(spans.provider)
    tracer = spans.provider.get_tracer("opentelemetry.instrumentation.openai.v1")
    with usage_context(user_id="7", service_name="chatbot"), tracer.start_as_current_span("openai.chat") as span:
        span.set_attributes(
            {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1_000_000}
        )
    attributes = spans.attributes()
    assert attributes[semconv.USER_ID] == "7"
    assert attributes[semconv.SERVICE_NAME] == "chatbot"
    assert attributes[semconv.COST_AMOUNT] == 2.5


def test_spans_that_are_no_genai_are_left_as_they_are(spans: Spans) -> None:
    with usage_context(user_id="7"), spans.provider.get_tracer("app").start_as_current_span("work"):
        pass
    assert spans.attributes() == {}


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_fault_of_ours_costs_usage_and_never_the_call(
    is_stream: bool, openai_client: openai.OpenAI, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    _guard.set_strict(False)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(reply, "read_usage", broken)
    failures = _guard.failures.total()
    answer: Any = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=is_stream)
    if is_stream:
        assert len(list(answer)) == 15
    else:
        assert answer.choices[0].message.content
    assert _guard.failures.total() == failures + 1
    assert spans.attributes()[semconv.USAGE_PARTIAL] is True


def test_instrumenting_twice_counts_once(openai_client: openai.OpenAI, spans: Spans) -> None:
    from ai_usage import instrument

    instrument(tracer_provider=spans.provider)
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert len(spans.all()) == 1


def test_an_unknown_sdk_name_is_refused_by_name() -> None:
    from ai_usage import instrument

    with pytest.raises(ValueError, match=r"unknown SDK 'opnai': choose from openai"):
        instrument(sdks=["opnai"])
