"""L14: instrumenting and taking it back, in any order, from any thread, any number of times; back is really back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ai_usage
from tests.integration.instrumentation import wire

if TYPE_CHECKING:
    from tests.integration.instrumentation.conftest import Spans

HELLO: Any = [{"role": "user", "content": "x"}]
CLAUDE: Any = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
GEMINI: Any = {"model": "gemini-2.5-flash", "contents": "x"}


def calls() -> dict[str, Any]:
    """Return calls on clients, methods and cached raw properties that exist from now on."""
    chat = openai.OpenAI(api_key="k", http_client=wire.Server(wire.body(wire.chat())).client).chat.completions
    claude = anthropic.Anthropic(api_key="k", http_client=wire.Server(wire.body(wire.message())).client).messages
    http = wire.Server(wire.body(wire.content())).client
    gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=http)).models
    chat_create, raw_chat, streaming_chat = chat.create, chat.with_raw_response, chat.with_streaming_response
    raw_claude, generate = claude.with_raw_response, gemini.generate_content

    def streamed() -> None:
        with streaming_chat.create(model="gpt-4o", messages=HELLO) as response:
            response.read()

    return {
        "openai": lambda: chat_create(model="gpt-4o", messages=HELLO),
        "openai raw": lambda: raw_chat.create(model="gpt-4o", messages=HELLO).parse(),
        "openai raw streamed": streamed,
        "anthropic": lambda: claude.create(**CLAUDE),
        "anthropic raw": lambda: raw_claude.create(**CLAUDE).parse(),
        "google_genai": lambda: generate(**GEMINI),
    }


def test_clients_methods_and_raw_properties_made_while_instrumented_are_silent_afterwards(spans: Spans) -> None:
    made = calls()
    for call in made.values():
        call()
    assert len(spans.all()) == len(made)
    ai_usage.uninstrument()
    for call in made.values():
        call()
    assert len(spans.all()) == len(made)
    ai_usage.instrument(tracer_provider=spans.provider)
    for call in made.values():
        call()
    assert len(spans.all()) == 2 * len(made)


def test_what_was_wrapped_is_what_it_was(spans: Spans) -> None:
    from anthropic._base_client import AsyncAPIClient as AsyncClaude
    from anthropic._base_client import SyncAPIClient as Claude
    from google.genai.models import AsyncModels, Models
    from openai._base_client import AsyncAPIClient, SyncAPIClient

    def held() -> list[Any]:
        owners = (SyncAPIClient, AsyncAPIClient, Claude, AsyncClaude)
        return [owner.request for owner in owners] + [
            getattr(owner, name)
            for owner in (Models, AsyncModels)
            for name in ("_generate_content", "_generate_content_stream", "_embed_content")
        ]

    wrapped = held()
    ai_usage.uninstrument()
    plain = held()
    assert not set(map(id, plain)) & set(map(id, wrapped))
    ai_usage.instrument(tracer_provider=spans.provider)
    ai_usage.uninstrument()
    assert held() == plain


@pytest.fixture(scope="module")
def one_call() -> Any:
    return calls()["openai"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["on", "on for openai", "off"]), max_size=6))
def test_in_any_order_the_last_word_counts(steps: list[str], spans: Spans, one_call: Any) -> None:
    ai_usage.uninstrument()
    is_on = False
    for step in steps:
        if step == "off":
            ai_usage.uninstrument()
        else:
            ai_usage.instrument(sdks=("openai",) if step == "on for openai" else None, tracer_provider=spans.provider)
        is_on = step != "off"
        spans.exporter.clear()
        one_call()
        assert len(spans.all()) == is_on, steps


def test_from_many_threads_at_once_one_call_is_one_span(spans: Spans, one_call: Any) -> None:
    def toggle(number: int) -> None:
        ai_usage.instrument(tracer_provider=spans.provider)
        if number % 3 == 0:
            ai_usage.uninstrument()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(toggle, range(48)))
    ai_usage.instrument(tracer_provider=spans.provider)
    spans.exporter.clear()
    one_call()
    assert len(spans.all()) == 1
    ai_usage.uninstrument()
    one_call()
    assert len(spans.all()) == 1
