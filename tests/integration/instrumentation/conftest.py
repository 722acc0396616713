"""Real SDKs against the stand-in provider, instrumented, with every span in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import ai_usage
from ai_usage import _guard
from ai_usage.anthropic import AnthropicInstrumentor
from ai_usage.google_genai import GoogleGenAIInstrumentor
from ai_usage.openai import OpenAIInstrumentor
from ai_usage_exporter.demo.provider import stand_in_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from ai_usage_exporter.demo.provider import StandInProvider

INSTRUMENTORS = (OpenAIInstrumentor, AnthropicInstrumentor, GoogleGenAIInstrumentor)


class Spans:
    """Give the finished spans and what is on them."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def only(self) -> ReadableSpan:
        (span,) = self.all()
        return span

    def attributes(self) -> dict[str, Any]:
        return dict(self.only().attributes or {})


@pytest.fixture(autouse=True)
def no_tracer_provider_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test elsewhere set for the whole process: Anthropic's SDK would trace itself."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def provider() -> Iterator[StandInProvider]:
    with stand_in_provider() as running:
        yield running


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Instrument every SDK for the length of a test; mistakes of ours fail it."""
    collected = Spans()
    before = _guard.set_strict(True)
    for instrumentor in INSTRUMENTORS:
        instrumentor().instrument(tracer_provider=collected.provider)
    yield collected
    ai_usage.uninstrument()  # those too that a test instrumented itself
    _guard.set_strict(before)


@pytest.fixture
def openai_client(provider: StandInProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=provider.base_url("openai"), max_retries=0) as client:
        yield client


@pytest.fixture
async def async_openai_client(provider: StandInProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=provider.base_url("openai"), max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(provider: StandInProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=provider.base_url("anthropic"), max_retries=0) as client:
        yield client


@pytest.fixture
async def async_anthropic_client(provider: StandInProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=provider.base_url("anthropic"), max_retries=0) as client:
        yield client


@pytest.fixture
async def gemini_client(provider: StandInProvider) -> AsyncIterator[genai.Client]:
    # Its optional aiohttp transport warns about itself; httpx2 is the SDK's own.
    with httpx2.Client() as sync_http:
        async with httpx2.AsyncClient() as async_http:
            yield genai.Client(
                api_key="k",
                http_options={
                    "base_url": provider.base_url("gemini"),
                    "httpx_client": sync_http,
                    "httpx_async_client": async_http,
                },
            )
