"""Every recorded reply with usage, replayed through the real SDKs: the span's tokens are the recorded body's."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_usage import _guard, semconv
from ai_usage.anthropic import AnthropicInstrumentor
from ai_usage.google_genai import GoogleGenAIInstrumentor
from ai_usage.openai import OpenAIInstrumentor
from tests.integration.recordings.cassettes import Tokens, recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.recordings.cassettes import Recording

INSTRUMENTORS: dict[str, Callable[[], Any]] = {
    "openai": OpenAIInstrumentor,
    "anthropic": AnthropicInstrumentor,
    "google_genai": GoogleGenAIInstrumentor,
}
UNREADABLE = "AttributeError: 'int' object has no attribute 'upper'"
"""Replies the vertexai SDK asked for with enums as numbers, which google-genai itself cannot read."""


class Pieces(httpx2.SyncByteStream):
    """Give a body in pieces cut at arbitrary byte boundaries."""

    def __init__(self, body: bytes, seed: int) -> None:
        self._body, self._random = body, random.Random(seed)

    def __iter__(self) -> Iterator[bytes]:
        rest = self._body
        while rest:
            size = self._random.choice((1, 2, 3, 7, 61, 997, 4096))
            yield rest[:size]
            rest = rest[size:]


def transport(recording: Recording, seed: int) -> httpx2.MockTransport:
    kind = "text/event-stream" if recording.is_stream else "application/json"
    if recording.path.endswith("/invoke-with-response-stream"):
        kind = "application/vnd.amazon.eventstream"
    return httpx2.MockTransport(
        lambda _request: httpx2.Response(200, headers={"content-type": kind}, stream=Pieces(recording.reply, seed))
    )


def replay_openai(recording: Recording, seed: int) -> None:
    http = httpx2.Client(transport=transport(recording, seed))
    if ".azure.com" in recording.uri:
        client: openai.OpenAI = openai.AzureOpenAI(
            api_key="k", api_version="2024-10-21", azure_endpoint="https://r.openai.azure.com", http_client=http
        )
    else:
        client = openai.OpenAI(api_key="k", http_client=http)
    sent = recording.request
    model = sent.get("model") or "deployment"
    rest: dict[str, Any] = {
        "extra_body": {k: v for k, v in sent.items() if k not in {"model", "stream", "messages", "input"}}
    }
    if recording.is_stream:
        rest["stream"] = True
    match recording.path.rpartition("/")[2]:
        case "completions" if "/chat/" in recording.path:
            result: Any = client.chat.completions.create(model=model, messages=sent.get("messages", []), **rest)
        case "completions":
            result = client.completions.create(model=model, prompt="p", **rest)
        case "embeddings":
            result = client.embeddings.create(model=model, input="i", **rest)
        case _:
            result = client.responses.create(model=model, input=sent.get("input", "i"), **rest)
    if recording.is_stream:
        for _ in result:
            pass


def replay_anthropic(recording: Recording, seed: int) -> None:
    http = httpx2.Client(transport=transport(recording, seed))
    sent = recording.request
    if recording.is_anthropic_on_bedrock:
        client: Any = anthropic.AnthropicBedrock(
            aws_region="us-east-1", aws_access_key="k", aws_secret_key="s", http_client=http
        )
        model = unquote(recording.path.split("/")[2])
    else:
        client, model = anthropic.Anthropic(api_key="k", http_client=http), sent["model"]
    hello = [{"role": "user", "content": "x"}]
    arguments = {"model": model, "max_tokens": sent.get("max_tokens", 1), "messages": sent.get("messages", hello)}
    if recording.is_stream:
        for _ in client.messages.create(**arguments, stream=True):
            pass
    else:
        client.messages.create(**arguments)


def replay_google_genai(recording: Recording, seed: int) -> None:
    options = types.HttpOptions(httpx_client=httpx2.Client(transport=transport(recording, seed)))
    client = genai.Client(api_key="k", http_options=options)
    model = recording.path.rpartition("/")[2].partition(":")[0]
    if recording.is_stream:
        for _ in client.models.generate_content_stream(model=model, contents="c"):
            pass
    else:
        client.models.generate_content(model=model, contents="c")


REPLAY = {"openai": replay_openai, "anthropic": replay_anthropic, "google_genai": replay_google_genai}


@pytest.fixture
def strict() -> Iterator[None]:
    before = _guard.set_strict(True)
    yield
    _guard.set_strict(before)


@pytest.mark.parametrize("sdk", sorted(REPLAY))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
def test_tokens_on_the_span_equal_the_tokens_in_the_recorded_body(
    sdk: str, strict: None, capsys: pytest.CaptureFixture[str]
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = INSTRUMENTORS[sdk]()
    instrumentor.instrument(tracer_provider=provider)
    wrong: list[str] = []
    impossible: list[str] = []
    own = [recording for recording in recordings() if recording.sdk == sdk]
    try:
        for seed, recording in enumerate(own):
            exporter.clear()
            try:
                REPLAY[sdk](recording, seed)
            except Exception as error:
                impossible.append(f"{recording.name}: {type(error).__name__}: {error}")
                continue
            spans = exporter.get_finished_spans()
            found = [
                Tokens(
                    (span.attributes or {}).get(semconv.USAGE_INPUT_TOKENS),  # type: ignore[arg-type]
                    (span.attributes or {}).get(semconv.USAGE_OUTPUT_TOKENS),  # type: ignore[arg-type]
                )
                for span in spans
            ]
            if found != [recording.expected()]:
                wrong.append(f"{recording.name}: {found} instead of {recording.expected()}")
    finally:
        instrumentor.uninstrument()
    with capsys.disabled():
        print(f"\n{sdk}: {len(own) - len(impossible)} of {len(own)} recordings replayed")
        for line in impossible:
            print("  not replayable:", line)
    assert wrong == []
    assert len(own) > len(impossible)
    assert [line for line in impossible if not line.endswith(UNREADABLE)] == []


def test_recordings_of_other_sdks_are_listed_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    others = Counter(recording.why_not for recording in recordings() if not recording.sdk)
    with capsys.disabled():
        print(f"\nnot replayed: {others.total()} of {len(recordings())} recordings")
        for reason, count in others.items():
            print(f"  {count}: {reason}")
    assert not [reason for reason in others if "openai.com" in reason or "anthropic.com" in reason]
