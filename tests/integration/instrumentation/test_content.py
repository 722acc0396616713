"""Prompts and answers stay off the span unless the official setting asks for them; keys and headers always do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

import ai_usage
from ai_usage import semconv
from ai_usage._content import CONTENT_SETTING
from ai_usage.anthropic import AnthropicInstrumentor
from ai_usage.google_genai import GoogleGenAIInstrumentor
from ai_usage.openai import OpenAIInstrumentor
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.conftest import Spans
from tests.integration.instrumentation.wire import Server, body, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-very-private"
HELLO: Any = [{"role": "user", "content": "secret question"}]
CONTENT = (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS)


def drain(stream: Any) -> None:
    for _ in stream:
        pass


def openai_of(answer: Any) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=KEY, http_client=Server(answer).client, default_headers={"X-Private": "very-private"}, max_retries=0
    )


def anthropic_of(answer: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key=KEY, http_client=Server(answer).client, default_headers={"X-Private": "very-private"}, max_retries=0
    )


def gemini_of(answer: Any) -> genai.Client:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(httpx_client=Server(answer).client))


def chat_chunks() -> list[dict[str, Any]]:
    def chunk(text: str) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": None, "delta": {"content": text}}
        return wire.chat(object="chat.completion.chunk", choices=[choice], usage=None)

    return [chunk("secret "), chunk("answer"), {**chunk(""), "choices": [], "usage": wire.CHAT_USAGE}]


INTERACTION = {
    "id": "i",
    "status": "completed",
    "steps": [{"type": "model_output", "content": [{"type": "text", "text": "secret answer"}]}],
}
ASKED: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 9, "system": "secret rules", "messages": HELLO}
CALLS: dict[str, Callable[[], Any]] = {
    "openai_chat": lambda: openai_of(body(wire.chat())).chat.completions.create(model="gpt-4o", messages=HELLO),
    "openai_chat_streamed": lambda: drain(
        openai_of(events(chat_chunks(), kind=None)).chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    ),
    "openai_responses": lambda: openai_of(body(wire.response())).responses.create(
        model="gpt-4o", input="secret question", instructions="secret rules"
    ),
    "openai_responses_streamed": lambda: drain(
        openai_of(events(wire.response_events())).responses.create(model="gpt-4o", input="secret question", stream=True)
    ),
    "openai_raw": lambda: (
        openai_of(body(wire.chat())).chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO).parse()
    ),
    "anthropic": lambda: anthropic_of(body(wire.message())).messages.create(**ASKED),
    "anthropic_streamed": lambda: drain(
        anthropic_of(events(wire.message_events())).messages.create(**ASKED, stream=True)
    ),
    "anthropic_raw_streamed": lambda: drain(
        anthropic_of(events(wire.message_events())).messages.with_raw_response.create(**ASKED, stream=True).parse()
    ),
    "gemini": lambda: gemini_of(body(wire.content())).models.generate_content(
        model="gemini-2.5-flash",
        contents="secret question",
        config=types.GenerateContentConfig(system_instruction="secret rules"),
    ),
    "gemini_streamed": lambda: drain(
        gemini_of(events([wire.content()], kind=None)).models.generate_content_stream(
            model="gemini-2.5-flash", contents=["secret question"]
        )
    ),
    "gemini_interaction": lambda: gemini_of(body(INTERACTION)).interactions.create(
        model="gemini-2.5-flash", input="secret question"
    ),
}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Spans]:
    """Instrument with the content setting of the test."""
    monkeypatch.setenv(CONTENT_SETTING, request.param)
    collected = Spans()
    for instrumentor in (OpenAIInstrumentor, AnthropicInstrumentor, GoogleGenAIInstrumentor):
        instrumentor().instrument(tracer_provider=collected.provider)
    yield collected
    ai_usage.uninstrument()


@pytest.mark.parametrize("captured", ["", "NO_CONTENT", "EVENT_ONLY", "false"], indirect=True)
@pytest.mark.parametrize("name", CALLS)
def test_nothing_that_was_said_is_on_the_span_by_default(name: str, captured: Spans) -> None:
    CALLS[name]()
    span = captured.only()
    assert "secret" not in repr((dict(span.attributes or {}), span.events, span.status, span.name))


@pytest.mark.parametrize("captured", ["SPAN_ONLY", "span_and_event", "true"], indirect=True)
@pytest.mark.parametrize("name", CALLS)
def test_who_opts_in_finds_question_and_answer_and_no_key(name: str, captured: Spans) -> None:
    CALLS[name]()
    attributes = captured.attributes()
    (asked,) = json.loads(attributes[semconv.INPUT_MESSAGES])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "secret question"}]}
    (answered,) = json.loads(attributes[semconv.OUTPUT_MESSAGES])
    assert answered["role"] == "assistant"
    assert answered["parts"] == [{"type": "text", "content": "secret answer"}]
    assert "private" not in repr(attributes)


@pytest.mark.parametrize("captured", ["SPAN_ONLY"], indirect=True)
@pytest.mark.parametrize("name", ["openai_responses", "anthropic", "gemini"])
def test_instructions_are_told_apart_from_the_conversation(name: str, captured: Spans) -> None:
    CALLS[name]()
    instructions = json.loads(captured.attributes()[semconv.SYSTEM_INSTRUCTIONS])
    assert instructions == [{"type": "text", "content": "secret rules"}]


@pytest.mark.parametrize("captured", ["SPAN_ONLY"], indirect=True)
def test_tools_are_told_and_files_are_only_named(captured: Spans) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    openai_of(body(wire.chat())).chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "user", "content": [
                {"type": "text", "text": "what is it"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            ]},
            {"role": "assistant", "tool_calls": [call]},  # type: ignore[typeddict-item,list-item]
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ],
    )  # fmt: skip
    said = captured.attributes()[semconv.INPUT_MESSAGES]
    assert json.loads(said) == [
        {"role": "user", "parts": [{"type": "text", "content": "what is it"}, {"type": "image_url"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"at": 1}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
    ]
    assert "QUJD" not in said


@pytest.mark.parametrize("captured", ["SPAN_ONLY"], indirect=True)
def test_a_failed_call_keeps_its_question_and_its_error_apart(captured: Spans) -> None:
    with pytest.raises(openai.BadRequestError):
        openai_of(wire.httpx2.Response(400, json={"error": {"message": "secret"}})).chat.completions.create(
            model="gpt-4o", messages=HELLO
        )
    assert semconv.INPUT_MESSAGES in captured.attributes()
    assert semconv.OUTPUT_MESSAGES not in captured.attributes()
    assert "secret" not in (captured.only().status.description or "")
