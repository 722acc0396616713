"""Chat streams report usage though the caller did not ask: asked for on the way, and hidden on the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

import ai_usage
from ai_usage import semconv
from ai_usage.openai import STREAM_USAGE_SETTING, OpenAIInstrumentor
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.conftest import Spans
from tests.integration.instrumentation.wire import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO: Any = [{"role": "user", "content": "x"}]


def chunks(*, with_usage: bool) -> list[dict[str, Any]]:
    def chunk(text: str, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": reason, "delta": {"content": text}}
        return wire.chat(object="chat.completion.chunk", choices=[choice], usage=None)

    shown = [chunk("a"), chunk("ü"), chunk("", "stop")]
    return [*shown, {**chunk(""), "choices": [], "usage": wire.CHAT_USAGE}] if with_usage else shown


def as_provider(request: httpx2.Request) -> httpx2.Response:
    """Report usage only when asked, as OpenAI does."""
    asked = (json.loads(request.content).get("stream_options") or {}).get("include_usage") is True
    return wire.events(chunks(with_usage=asked), kind=None)


def as_gateway(request: httpx2.Request) -> httpx2.Response:
    """Refuse the option, as some compatible servers do."""
    if "stream_options" in json.loads(request.content):
        return httpx2.Response(400, json={"error": {"message": "Unknown parameter: stream_options"}})
    return wire.events(chunks(with_usage=False), kind=None)


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", http_client=server.client, max_retries=0)


def texts(stream: Any) -> list[str | None]:
    return [chunk.choices[0].delta.content for chunk in stream]


@pytest.mark.parametrize("kind", ["plain", "raw"])
def test_the_usage_is_on_the_span_and_its_chunk_is_hidden(kind: str, spans: Spans) -> None:
    server = Server(as_provider)
    completions = client_of(server).chat.completions
    if kind == "plain":
        stream: Any = completions.create(model="gpt-4o", messages=HELLO, stream=True)
    else:
        stream = completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True).parse()
    assert texts(stream) == ["a", "ü", ""]
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] == 100
    assert semconv.USAGE_PARTIAL not in spans.attributes()


@pytest.mark.parametrize("kind", ["plain", "raw"])
async def test_the_async_client_does_the_same(kind: str, spans: Spans) -> None:
    server = Server(as_provider)
    completions = openai.AsyncOpenAI(api_key="k", http_client=server.async_client).chat.completions
    if kind == "plain":
        stream: Any = await completions.create(model="gpt-4o", messages=HELLO, stream=True)
    else:
        raw = await completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True)
        stream = raw.parse()
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["a", "ü", ""]
    assert spans.attributes()[semconv.USAGE_OUTPUT_TOKENS] == 50


def test_who_reads_the_bytes_themselves_gets_the_request_they_made(spans: Spans) -> None:
    server = Server(as_provider)
    completions = client_of(server).chat.completions
    with completions.with_streaming_response.create(model="gpt-4o", messages=HELLO, stream=True) as response:
        received = b"".join(response.iter_bytes())
    assert "stream_options" not in json.loads(server.requests[0].content)
    assert received == wire.events(chunks(with_usage=False), kind=None).content
    assert semconv.USAGE_INPUT_TOKENS not in spans.attributes()


@pytest.mark.parametrize("kind", ["plain", "raw"])
def test_a_server_that_refuses_the_option_is_asked_without_it_and_not_again(kind: str, spans: Spans) -> None:
    server = Server(as_gateway)
    completions = client_of(server).chat.completions
    for _ in range(2):
        if kind == "plain":
            stream: Any = completions.create(model="gpt-4o", messages=HELLO, stream=True)
        else:
            stream = completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True).parse()
        assert texts(stream) == ["a", "ü", ""]
    assert ["stream_options" in json.loads(request.content) for request in server.requests] == [True, False, False]
    assert len(spans.all()) == 2
    assert not [span for span in spans.all() if semconv.USAGE_INPUT_TOKENS in (span.attributes or {})]


def test_another_bad_request_is_the_callers_own(spans: Spans) -> None:
    server = Server(httpx2.Response(400, json={"error": {"message": "no such model"}}))
    with pytest.raises(openai.BadRequestError, match="no such model"):
        client_of(server).chat.completions.create(model="x", messages=HELLO, stream=True)
    assert len(server.requests) == 1


def test_azure_asked_a_second_time_goes_to_the_same_deployment(spans: Spans) -> None:
    server = Server(as_gateway)
    client = openai.AzureOpenAI(
        api_key="k", api_version="2024-10-21", azure_endpoint="https://r.openai.azure.com", http_client=server.client
    )
    assert texts(client.chat.completions.create(model="mine", messages=HELLO, stream=True)) == ["a", "ü", ""]
    assert len({str(request.url) for request in server.requests}) == 1


@pytest.fixture
def opted_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    monkeypatch.setenv(STREAM_USAGE_SETTING, "false")
    collected = Spans()
    OpenAIInstrumentor().instrument(tracer_provider=collected.provider)
    yield collected
    ai_usage.uninstrument()


def test_who_opts_out_gets_the_request_they_made(opted_out: Spans) -> None:
    server = Server(as_provider)
    assert texts(client_of(server).chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    assert "stream_options" not in json.loads(server.requests[0].content)
    assert semconv.USAGE_INPUT_TOKENS not in opted_out.attributes()
