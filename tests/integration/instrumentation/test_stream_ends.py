"""However a stream ends, its call ends once, keeps what is known and never says zero for what is not."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from opentelemetry.trace import StatusCode

import ai_usage
from ai_usage import semconv
from tests.integration.instrumentation import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.integration.instrumentation.conftest import Spans

STREAMS = 5
HELLO: Any = [{"role": "user", "content": "x"}]


def chat_chunks() -> list[dict[str, Any]]:
    delta = {"index": 0, "finish_reason": None, "delta": {"content": "x"}}
    chunk = wire.chat(object="chat.completion.chunk", choices=[delta], usage=None)
    return [chunk, chunk, chunk, {**chunk, "choices": [], "usage": wire.CHAT_USAGE}]


def gemini_chunks() -> list[dict[str, Any]]:
    part = {"content": {"role": "model", "parts": [{"text": "x"}]}}
    so_far = {"promptTokenCount": 100, "candidatesTokenCount": 3, "totalTokenCount": 103}
    return [wire.content(candidates=[part], usageMetadata=so_far)] * 3 + [wire.content()]


BODIES = {
    "openai_chat": wire.events(chat_chunks(), kind=None),
    "openai_responses": wire.events(wire.response_events()),
    "anthropic": wire.events(wire.message_events()),
    "google_genai": wire.events(gemini_chunks(), kind=None),
}
# What the first events say: OpenAI nothing, Anthropic the input, Gemini both so far.
KNOWN_EARLY: dict[str, dict[str, int]] = {
    "openai_chat": {},
    "openai_responses": {},
    "anthropic": {semconv.USAGE_INPUT_TOKENS: 1210},
    "google_genai": {semconv.USAGE_INPUT_TOKENS: 100, semconv.USAGE_OUTPUT_TOKENS: 3},
}
# One event of each SDK's body, so that something is read before the stream ends.
FIRST_PIECE = {name: answer.content.index(b"\n\n") + 2 for name, answer in BODIES.items()}


class Broken(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Give the first event and then fail, or wait for ever."""

    def __init__(self, first: bytes, *, hangs: bool = False) -> None:
        self._first, self._hangs = first, hangs

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        raise httpx2.ReadError("connection lost")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        if self._hangs:
            await asyncio.Event().wait()
        raise httpx2.ReadError("connection lost")


def transport(name: str, body: Any = None) -> httpx2.MockTransport:
    headers = {"content-type": "text/event-stream"}
    return httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers=headers, stream=body or wire._Pieces(BODIES[name].content))
    )


def asking(name: str, body: Any = None) -> Callable[[], Any]:
    """Return what asks for a stream."""
    http = httpx2.Client(transport=transport(name, body))
    match name:
        case "openai_chat":
            chat = openai.OpenAI(api_key="k", http_client=http, max_retries=0).chat.completions
            return partial(chat.create, model="gpt-4o", messages=HELLO, stream=True)
        case "openai_responses":
            responses = openai.OpenAI(api_key="k", http_client=http, max_retries=0).responses
            return partial(responses.create, model="gpt-4o", input="x", stream=True)
        case "anthropic":
            messages = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0).messages
            return partial(messages.create, model="claude-haiku-4-5", max_tokens=9, messages=HELLO, stream=True)
        case _:
            gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=http))
            return lambda: gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="x")


def asking_async(name: str, body: Any = None) -> Callable[[], Awaitable[Any]]:
    """Return what asks for an async stream."""
    http = httpx2.AsyncClient(transport=transport(name, body))
    match name:
        case "openai_chat":
            chat = openai.AsyncOpenAI(api_key="k", http_client=http, max_retries=0).chat.completions
            return partial(chat.create, model="gpt-4o", messages=HELLO, stream=True)
        case "openai_responses":
            responses = openai.AsyncOpenAI(api_key="k", http_client=http, max_retries=0).responses
            return partial(responses.create, model="gpt-4o", input="x", stream=True)
        case "anthropic":
            messages = anthropic.AsyncAnthropic(api_key="k", http_client=http, max_retries=0).messages
            return partial(messages.create, model="claude-haiku-4-5", max_tokens=9, messages=HELLO, stream=True)
        case _:
            gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_async_client=http))
            return lambda: gemini.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="x")


def stream_of(name: str, body: Any = None) -> Any:
    return asking(name, body)()


async def async_stream_of(name: str, body: Any = None) -> Any:
    return await asking_async(name, body)()


def check_partial(name: str, spans: Spans) -> None:
    attributes = spans.attributes()
    assert {key: count for key, count in attributes.items() if key in _COUNTS} == KNOWN_EARLY[name]
    assert spans.only().status.status_code is StatusCode.UNSET
    assert attributes[semconv.USAGE_PARTIAL] is True


_COUNTS = frozenset({semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS})


@pytest.fixture(autouse=True)
def quick_collection() -> Iterator[None]:
    """Have the garbage collector look at the objects of the test only."""
    gc.freeze()
    yield
    gc.unfreeze()


async def settle(spans: Spans) -> None:
    """Have the loop close generators that nobody holds any more, one after the other."""
    for _ in range(20):
        if spans.all():
            break
        gc.collect()
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", BODIES)
def test_left_early(name: str, spans: Spans) -> None:
    stream = stream_of(name)
    next(iter(stream))
    stream.close()
    stream.close()
    check_partial(name, spans)


@pytest.mark.parametrize("name", BODIES)
def test_dropped_after_the_first_chunk(name: str, spans: Spans) -> None:
    stream = stream_of(name)
    next(iter(stream))
    del stream
    gc.collect()
    check_partial(name, spans)


@pytest.mark.parametrize("name", BODIES)
def test_failing_half_way(name: str, spans: Spans) -> None:
    body = Broken(BODIES[name].content[: FIRST_PIECE[name]])
    # OpenAI's SDK raises its own error here; what the caller sees is what the SDK raises, in all of them.
    error = openai.APIConnectionError if name.startswith("openai") else httpx2.ReadError
    with pytest.raises(error) as caught:
        for _ in stream_of(name, body):
            pass
    assert type(caught.value) is error
    check_failed(name, spans, f"{error.__module__.partition('.')[0]}.{error.__name__}")


def check_failed(name: str, spans: Spans, kind: str) -> None:
    attributes = spans.attributes()
    assert spans.only().status.status_code is StatusCode.ERROR
    assert attributes[semconv.ERROR_TYPE] == kind
    assert attributes[semconv.USAGE_PARTIAL] is True
    assert {key: count for key, count in attributes.items() if key in _COUNTS} == KNOWN_EARLY[name]


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_whose_task_is_cancelled(name: str, spans: Spans) -> None:
    has_begun = asyncio.Event()

    async def read() -> None:
        body = Broken(BODIES[name].content[: FIRST_PIECE[name]], hangs=True)
        async for _ in await async_stream_of(name, body):
            has_begun.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(has_begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    check_failed(name, spans, "asyncio.CancelledError")


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_dropped_after_the_first_chunk(name: str, spans: Spans) -> None:
    stream = await async_stream_of(name)
    await anext(aiter(stream))
    del stream
    await settle(spans)
    check_partial(name, spans)


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_read_to_its_end(name: str, spans: Spans) -> None:
    async for _ in await async_stream_of(name):
        pass
    assert semconv.USAGE_PARTIAL not in spans.attributes()
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] > 0


@pytest.mark.parametrize("name", BODIES)
def test_read_to_its_end(name: str, spans: Spans) -> None:
    for _ in stream_of(name):
        pass
    gc.collect()
    assert semconv.USAGE_PARTIAL not in spans.attributes()
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] > 0


@pytest.mark.parametrize("name", [name for name in BODIES if name != "google_genai"])
def test_left_by_a_break_out_of_its_with_block(name: str, spans: Spans) -> None:
    with stream_of(name) as stream:
        for _ in stream:
            break
    check_partial(name, spans)


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_closed_early(name: str, spans: Spans) -> None:
    stream = await async_stream_of(name)
    await anext(aiter(stream))
    close = getattr(stream, "close", None) or stream.aclose
    await close()
    await close()
    await settle(spans)
    check_partial(name, spans)


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_failing_half_way(name: str, spans: Spans) -> None:
    body = Broken(BODIES[name].content[: FIRST_PIECE[name]])
    error = openai.APIConnectionError if name.startswith("openai") else httpx2.ReadError
    with pytest.raises(error) as caught:
        async for _ in await async_stream_of(name, body):
            pass
    assert type(caught.value) is error
    check_failed(name, spans, f"{error.__module__.partition('.')[0]}.{error.__name__}")


@pytest.mark.parametrize("name", BODIES)
def test_never_read(name: str, spans: Spans) -> None:
    stream = stream_of(name)
    del stream
    gc.collect()
    if name == "google_genai":  # its request is made when the first chunk is asked for
        assert spans.all() == ()
    else:
        check_unread(spans)


@pytest.mark.parametrize("name", BODIES)
async def test_an_async_stream_never_read(name: str, spans: Spans) -> None:
    stream = await async_stream_of(name)
    del stream
    await settle(spans)
    if name == "google_genai":  # as above
        assert spans.all() == ()
    else:
        check_unread(spans)


def check_unread(spans: Spans) -> None:
    assert not _COUNTS & spans.attributes().keys()
    assert spans.attributes()[semconv.USAGE_PARTIAL] is True


@pytest.mark.parametrize("kind", ["raw", "streaming"])
def test_a_raw_body_left_early_is_partial(kind: str, spans: Spans) -> None:
    http = httpx2.Client(transport=transport("anthropic"))
    messages = anthropic.Anthropic(api_key="k", http_client=http).messages
    asked: Any = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO, "stream": True}
    if kind == "raw":
        raw = messages.with_raw_response.create(**asked)
        next(iter(raw.parse()))
        raw.http_response.close()
    else:
        with messages.with_streaming_response.create(**asked) as response:
            head = b""
            for piece in response.iter_bytes():
                head += piece
                if b"message_start" in head and b"\n\n" in head:
                    break
    check_partial("anthropic", spans)


async def read_whole(name: str) -> AsyncIterator[None]:
    ask, ask_async = asking(name), asking_async(name)
    while True:
        for _ in ask():
            pass
        async for _ in await ask_async():
            pass
        yield


async def leave_early(name: str) -> AsyncIterator[None]:
    ask = asking(name)
    while True:
        stream = ask()
        next(iter(stream))
        stream.close()
        del stream
        yield


async def read_raw(name: str) -> AsyncIterator[None]:
    http = httpx2.Client(transport=transport(name))
    responses = openai.OpenAI(api_key="k", http_client=http).responses.with_raw_response
    while True:
        responses.create(model="gpt-4o", input="x", stream=True).http_response.read()
        yield


async def garbage_of(use: Callable[[str], AsyncIterator[None]], name: str) -> int:
    """Return how many objects streams leave to the garbage collector; the first one of a client fills caches."""
    streams = use(name)
    await anext(streams)
    gc.collect()
    gc.disable()
    try:
        for _ in range(STREAMS):
            await anext(streams)
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize(("use", "name"), [*product((read_whole, leave_early), BODIES), (read_raw, "openai_responses")])
async def test_nothing_is_left_to_the_garbage_collector(
    use: Callable[[str], AsyncIterator[None]], name: str, spans: Spans
) -> None:
    ours = await garbage_of(use, name)
    assert len(spans.all()) > STREAMS
    ai_usage.uninstrument()
    assert ours <= await garbage_of(use, name)
