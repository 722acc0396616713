"""anthropic traces itself: inside our calls it does not, anywhere else it goes on as the SDK's users set it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from opentelemetry import trace

from ai_usage import semconv
from ai_usage.anthropic import AnthropicInstrumentor
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.receiver_side import rows_of
from tests.integration.instrumentation.wire import Server, body, events

if TYPE_CHECKING:
    from tests.integration.instrumentation.conftest import Spans

ASKED: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "x"}],
}


@pytest.fixture
def traced(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Spans:
    """Have the SDK's own tracing write to the same place."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans.provider)
    return spans


def client_of(answer: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", http_client=Server(answer).client)


def scopes(traced: Spans) -> list[str]:
    return [span.instrumentation_scope.name for span in traced.all() if span.instrumentation_scope]


@pytest.mark.parametrize("kind", ["create", "streamed", "stream_helper", "raw", "beta"])
def test_a_call_is_one_span_and_it_is_ours(kind: str, traced: Spans) -> None:
    is_stream = kind.startswith("stream")
    client = client_of(events(wire.message_events()) if is_stream else body(wire.message()))
    match kind:
        case "create":
            client.messages.create(**ASKED)
        case "streamed":
            for _ in client.messages.create(**ASKED, stream=True):
                pass
        case "stream_helper":
            with client.messages.stream(**ASKED) as stream:
                stream.until_done()
        case "raw":
            client.messages.with_raw_response.create(**ASKED).parse()
        case _:
            client.beta.messages.create(**ASKED)
    assert scopes(traced) == ["ai_usage.anthropic"]


def test_without_us_the_sdk_traces_itself_and_the_receiver_would_count_that(traced: Spans) -> None:
    AnthropicInstrumentor().uninstrument()
    client_of(body(wire.message())).messages.create(**ASKED)
    (scope,) = scopes(traced)
    assert scope.startswith("com.anthropic.sdk.python")
    (row,) = rows_of(traced.all())
    assert row.usage[:2] == (1210, 30)


def test_requests_that_are_no_calls_keep_the_sdks_own_spans(traced: Spans) -> None:
    client_of(body({"input_tokens": 10})).messages.count_tokens(model="claude-haiku-4-5", messages=ASKED["messages"])
    assert [scope.startswith("com.anthropic") for scope in scopes(traced)] == [True]
    assert rows_of(traced.all()) == []


def test_each_turn_of_the_tool_runner_is_a_call(traced: Spans) -> None:
    @anthropic.beta_tool
    def add(left: int, right: int) -> str:
        """Add two numbers."""
        return str(left + right)

    answers = [
        wire.message(
            content=[{"type": "tool_use", "id": "t1", "name": "add", "input": {"left": 1, "right": 2}}],
            stop_reason="tool_use",
        ),
        wire.message(id="msg_2"),
    ]
    client = client_of(lambda _request: body(answers.pop(0)))
    client.beta.messages.tool_runner(**ASKED, tools=[add]).until_done()
    assert scopes(traced).count("ai_usage.anthropic") == 2
    rows = rows_of(traced.all())
    assert [row.usage[:2] for row in rows] == [(1210, 30), (1210, 30)]
    assert {row.response_id for row in rows} == {"msg_1", "msg_2"}
    assert all(span.attributes and semconv.COST_AMOUNT in span.attributes for span in traced.all()[:1])
