"""One span a provider call, with the provider's own tokens, whichever way the call is made."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from google.genai import errors
from opentelemetry.trace import SpanKind, StatusCode

from ai_usage import semconv

if TYPE_CHECKING:
    from google import genai

    from ai_usage_exporter.demo.provider import StandInProvider
    from tests.integration.instrumentation.conftest import Spans

HELLO: Any = [{"role": "user", "content": "hello"}]


async def openai_plain(clients: Clients) -> None:
    clients.openai.chat.completions.create(model="gpt-4o", messages=HELLO)


async def openai_async(clients: Clients) -> None:
    await clients.async_openai.chat.completions.create(model="gpt-4o", messages=HELLO)


async def openai_stream(clients: Clients) -> None:
    for _ in clients.openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True):
        pass


async def openai_async_stream(clients: Clients) -> None:
    async for _ in await clients.async_openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True):
        pass


async def openai_stream_helper(clients: Clients) -> None:
    with clients.openai.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        stream.until_done()


async def openai_parse(clients: Clients) -> None:
    clients.openai.chat.completions.parse(model="gpt-4o", messages=HELLO)


async def openai_raw(clients: Clients) -> None:
    raw = clients.openai.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.parse().usage is not None


async def openai_raw_stream(clients: Clients) -> None:
    raw = clients.openai.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    for _ in raw.parse():
        pass


async def openai_streaming_response(clients: Clients) -> None:
    with clients.openai.chat.completions.with_streaming_response.create(model="gpt-4o", messages=HELLO) as response:
        assert json.loads(response.read())["usage"]


async def openai_async_streaming_response(clients: Clients) -> None:
    completions = clients.async_openai.chat.completions
    async with completions.with_streaming_response.create(model="gpt-4o", messages=HELLO) as response:
        async for _ in response.iter_bytes():
            pass


async def openai_embeddings(clients: Clients) -> None:
    clients.openai.embeddings.create(model="text-embedding-3-small", input="x")


async def anthropic_plain(clients: Clients) -> None:
    clients.anthropic.messages.create(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO)


async def anthropic_async(clients: Clients) -> None:
    await clients.async_anthropic.messages.create(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO)


async def anthropic_stream(clients: Clients) -> None:
    for _ in clients.anthropic.messages.create(
        model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO, stream=True
    ):
        pass


async def anthropic_stream_helper(clients: Clients) -> None:
    with clients.anthropic.messages.stream(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO) as stream:
        stream.until_done()


async def anthropic_async_stream_helper(clients: Clients) -> None:
    async with clients.async_anthropic.messages.stream(
        model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO
    ) as stream:
        await stream.until_done()


async def anthropic_raw(clients: Clients) -> None:
    raw = clients.anthropic.messages.with_raw_response.create(
        model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO
    )
    assert raw.parse().usage.output_tokens


async def anthropic_beta(clients: Clients) -> None:
    clients.anthropic.beta.messages.create(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO)


async def gemini_plain(clients: Clients) -> None:
    clients.gemini.models.generate_content(model="gemini-2.0-flash", contents="hello")


async def gemini_async(clients: Clients) -> None:
    await clients.gemini.aio.models.generate_content(model="gemini-2.0-flash", contents="hello")


async def gemini_stream(clients: Clients) -> None:
    for _ in clients.gemini.models.generate_content_stream(model="gemini-2.0-flash", contents="hello"):
        pass


async def gemini_async_stream(clients: Clients) -> None:
    async for _ in await clients.gemini.aio.models.generate_content_stream(model="gemini-2.0-flash", contents="hello"):
        pass


async def gemini_chat(clients: Clients) -> None:
    clients.gemini.chats.create(model="gemini-2.0-flash").send_message("hello")


CALLS = [
    openai_plain, openai_async, openai_stream, openai_async_stream, openai_stream_helper, openai_parse, openai_raw,
    openai_raw_stream, openai_streaming_response, openai_async_streaming_response, openai_embeddings,
    anthropic_plain, anthropic_async, anthropic_stream, anthropic_stream_helper, anthropic_async_stream_helper,
    anthropic_raw, anthropic_beta,
    gemini_plain, gemini_async, gemini_stream, gemini_async_stream, gemini_chat,
]  # fmt: skip


class Clients:
    """Hold one client of each kind."""

    def __init__(
        self,
        openai_client: openai.OpenAI,
        async_openai_client: openai.AsyncOpenAI,
        anthropic_client: anthropic.Anthropic,
        async_anthropic_client: anthropic.AsyncAnthropic,
        gemini_client: genai.Client,
    ) -> None:
        self.openai = openai_client
        self.async_openai = async_openai_client
        self.anthropic = anthropic_client
        self.async_anthropic = async_anthropic_client
        self.gemini = gemini_client


@pytest.fixture
def clients(
    openai_client: openai.OpenAI,
    async_openai_client: openai.AsyncOpenAI,
    anthropic_client: anthropic.Anthropic,
    async_anthropic_client: anthropic.AsyncAnthropic,
    gemini_client: genai.Client,
) -> Clients:
    return Clients(openai_client, async_openai_client, anthropic_client, async_anthropic_client, gemini_client)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_a_call_is_one_span_with_the_tokens_the_provider_handed_out(
    call: Any, clients: Clients, provider: StandInProvider, spans: Spans
) -> None:
    await call(clients)
    (handed_out,) = provider.ledger
    span, attributes = spans.only(), spans.attributes()
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert attributes[semconv.USAGE_INPUT_TOKENS] == handed_out.tokens.input
    assert attributes.get(semconv.USAGE_OUTPUT_TOKENS, 0) == handed_out.tokens.output
    assert attributes.get(semconv.USAGE_CACHE_READ_TOKENS, 0) == handed_out.tokens.cached
    assert attributes[semconv.REQUEST_MODEL] == handed_out.model
    assert attributes[semconv.COST_AMOUNT] > 0
    assert attributes[semconv.COST_CURRENCY] == "USD"
    assert attributes[semconv.SERVER_ADDRESS] == "127.0.0.1"
    assert semconv.USAGE_PARTIAL not in attributes
    assert attributes.get(semconv.REQUEST_STREAM, False) == handed_out.is_stream


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_after_uninstrument_a_call_leaves_no_span(call: Any, clients: Clients, spans: Spans) -> None:
    from tests.integration.instrumentation.conftest import INSTRUMENTORS

    for instrumentor in INSTRUMENTORS:
        instrumentor().uninstrument()
    await call(clients)
    assert [
        s for s in spans.all() if s.instrumentation_scope and s.instrumentation_scope.name.startswith("ai_usage")
    ] == []


def test_a_failed_call_is_an_error_span_and_the_apps_exception_is_its_own(clients: Clients, spans: Spans) -> None:
    failing: Any = [{"role": "user", "content": "[fail]"}]
    with pytest.raises(openai.RateLimitError) as caught:
        clients.openai.chat.completions.create(model="gpt-4o", messages=failing)
    assert caught.value.status_code == 429
    assert caught.value.__cause__ is None
    assert str(caught.value).startswith("Error code: 429")
    span = spans.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "429 rate_limit_exceeded"
    assert spans.attributes()[semconv.ERROR_TYPE] == "openai.RateLimitError"
    assert not [key for key in spans.attributes() if key.startswith("gen_ai.usage")]


def test_failures_of_the_other_sdks_are_error_spans_too(clients: Clients, spans: Spans) -> None:
    with pytest.raises(anthropic.RateLimitError):
        clients.anthropic.messages.create(
            model="claude-3-haiku-20240307", max_tokens=9, messages=[{"role": "user", "content": "[fail]"}]
        )
    with pytest.raises(errors.ClientError):
        clients.gemini.models.generate_content(model="gemini-2.0-flash", contents="[fail]")
    assert [(s.status.description, (s.attributes or {})[semconv.ERROR_TYPE]) for s in spans.all()] == [
        ("429 rate_limit_error", "anthropic.RateLimitError"),
        ("429 RESOURCE_EXHAUSTED", "google.ClientError"),
    ]


def test_the_caller_of_a_stream_sees_the_same_chunks_as_without_instrumentation(clients: Clients, spans: Spans) -> None:
    from tests.integration.instrumentation.conftest import INSTRUMENTORS

    def chunks() -> list[str]:
        stream = clients.openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        return [chunk.model_dump_json(exclude={"id"}) for chunk in stream]

    watched = chunks()
    for instrumentor in INSTRUMENTORS:
        instrumentor().uninstrument()
    assert watched == chunks()
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] > 0


def test_a_caller_who_decided_about_stream_usage_is_left_alone(clients: Clients, spans: Spans) -> None:
    stream = clients.openai.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": False}
    )
    assert all(chunk.choices for chunk in stream)
    attributes = spans.attributes()
    assert semconv.USAGE_INPUT_TOKENS not in attributes
    assert semconv.COST_AMOUNT not in attributes
    with_usage = clients.openai.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk for chunk in with_usage if not chunk.choices]


def test_a_stream_left_early_ends_its_span_once_and_says_the_usage_is_partial(clients: Clients, spans: Spans) -> None:
    with clients.openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True) as stream:
        next(iter(stream))
    assert spans.attributes()[semconv.USAGE_PARTIAL] is True
    assert semconv.USAGE_INPUT_TOKENS not in spans.attributes()


def test_a_stream_dropped_unread_ends_its_span_once(clients: Clients, spans: Spans) -> None:
    clients.openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    gc.collect()
    assert spans.attributes()[semconv.USAGE_PARTIAL] is True


def test_an_anthropic_stream_left_early_keeps_the_input_it_was_told(clients: Clients, spans: Spans) -> None:
    with clients.anthropic.messages.stream(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO) as stream:
        next(iter(stream))
    attributes = spans.attributes()
    assert attributes[semconv.USAGE_PARTIAL] is True
    assert attributes[semconv.USAGE_INPUT_TOKENS] > 0
    assert semconv.USAGE_OUTPUT_TOKENS not in attributes


async def test_an_async_stream_left_early_ends_its_span_once(clients: Clients, spans: Spans) -> None:
    stream = await clients.async_openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    async with stream:
        await anext(aiter(stream))
    assert spans.attributes()[semconv.USAGE_PARTIAL] is True


def test_the_anthropic_sdk_reports_no_second_span_of_its_own(
    clients: Clients, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients.anthropic.with_options(open_telemetry={"tracer_provider": spans.provider})
    client.messages.create(model="claude-3-haiku-20240307", max_tokens=9, messages=HELLO)
    span = spans.only()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "ai_usage.anthropic"


def test_no_prompt_answer_or_key_is_ever_on_a_span(provider: StandInProvider, spans: Spans) -> None:
    client = openai.OpenAI(api_key="sk-marker", base_url=provider.base_url("openai"))
    client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "prompt-marker"}], extra_headers={"x-h": "header-marker"}
    )
    assert "marker" not in spans.only().to_json()
    assert "made up" not in spans.only().to_json()
