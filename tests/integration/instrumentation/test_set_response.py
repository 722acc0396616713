"""``AIUsageTracker.set_response`` takes whatever the four SDKs return, and the same as plain dicts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_usage import tracker
from ai_usage._invocation import Telemetry
from ai_usage.tokens import TokenUsage
from ai_usage.tracker import AIUsageTracker
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.test_coverage import (
    ANTHROPIC,
    GEMINI,
    IMAGE,
    IMAGE_USAGE,
    INTERACTION,
    OPENAI,
    SPEECH,
    SPEECH_USAGE,
    usage_of,
)
from tests.integration.instrumentation.wire import Server, body

if TYPE_CHECKING:
    from collections.abc import Callable

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
HELLO: Any = [{"role": "user", "content": "x"}]
EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def of_openai(answer: Any) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", http_client=Server(body(answer)).client)


def of_anthropic(answer: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", http_client=Server(answer).client)


def of_gemini(answer: Any) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=Server(body(answer)).client))


def final_message() -> Any:
    client = of_anthropic(wire.events(wire.message_events()))
    with client.messages.stream(model="claude-haiku-4-5", max_tokens=9, messages=HELLO) as stream:
        return stream.get_final_message()


def of_litellm() -> Any:
    usage = litellm.Usage(
        prompt_tokens=1210, completion_tokens=30, cache_creation_input_tokens=200, cache_read_input_tokens=1000
    )
    answer = litellm.ModelResponse(model="claude-haiku-4-5", usage=usage)
    answer._hidden_params = {"custom_llm_provider": "anthropic"}
    return answer


def gemini_embedding() -> Any:
    answer = {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}
    return of_gemini(answer).models.embed_content(model="gemini-embedding-001", contents="x")


ANSWERS: dict[str, tuple[Callable[[], Any], str, TokenUsage]] = {
    "chat": (
        lambda: of_openai(wire.chat()).chat.completions.create(model="gpt-4o", messages=HELLO), "openai", OPENAI,
    ),
    "chat_dict": (wire.chat, "openai", OPENAI),
    "chat_raw": (
        lambda: of_openai(wire.chat()).chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO),
        "openai", OPENAI,
    ),
    "response": (lambda: of_openai(wire.response()).responses.create(model="gpt-4o", input="x"), "openai", OPENAI),
    "response_dict": (wire.response, "openai", OPENAI),
    "embedding": (
        lambda: of_openai(EMBEDDING).embeddings.create(model="text-embedding-3-small", input="x"), "openai",
        TokenUsage(8, None),
    ),
    "images": (
        lambda: of_openai({"created": 1, "usage": IMAGE_USAGE}).images.generate(model="gpt-image-1", prompt="x"),
        "openai", IMAGE,
    ),
    "transcription": (
        lambda: of_openai({"text": "x", "usage": SPEECH_USAGE}).audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("x.wav", b"x")
        ),
        "openai", SPEECH,
    ),
    "message": (
        lambda: of_anthropic(body(wire.message())).messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=HELLO
        ),
        "anthropic", ANTHROPIC,
    ),
    "message_dict": (wire.message, "anthropic", ANTHROPIC),
    "message_of_a_stream": (final_message, "anthropic", ANTHROPIC),
    "content": (
        lambda: of_gemini(wire.content()).models.generate_content(model="gemini-2.5-flash", contents="x"),
        "gcp.gemini", GEMINI,
    ),
    "content_dict": (wire.content, "gcp.gemini", GEMINI),
    "gemini_embedding": (gemini_embedding, "gcp.gemini", TokenUsage(5, 0)),
    "interaction": (
        lambda: of_gemini(INTERACTION).interactions.create(model="gemini-2.5-flash", input="x"), "gcp.gemini", GEMINI,
    ),
    "interaction_dict": (lambda: INTERACTION, "gcp.gemini", GEMINI),
    "litellm": (
        of_litellm, "anthropic", TokenUsage(1210, 30, cache_read_tokens=1000, cache_write_tokens=200),
    ),
}  # fmt: skip


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Send what the tracker records to memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=provider))
    return exporter


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_of_every_sdk_is_read(name: str, exporter: InMemorySpanExporter) -> None:
    make, provider, usage = ANSWERS[name]
    with AIUsageTracker("7") as tracked:
        tracked.set_response(make())
    (span,) = exporter.get_finished_spans()
    assert usage_of(span) == usage
    assert span.attributes is not None
    assert span.attributes["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    "odd", [None, "text", 7, {}, [], {"usage": "many"}, object()], ids=lambda odd: type(odd).__name__
)
def test_what_is_no_answer_leaves_the_usage_unknown(odd: Any, exporter: InMemorySpanExporter) -> None:
    with AIUsageTracker("7", provider="mine", model="own") as tracked:
        tracked.set_response(odd)
    (span,) = exporter.get_finished_spans()
    assert usage_of(span) == TokenUsage()
    assert span.attributes is not None
    assert (span.attributes["gen_ai.provider.name"], span.attributes["gen_ai.request.model"]) == ("mine", "own")
