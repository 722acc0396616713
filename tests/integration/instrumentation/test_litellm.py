"""LiteLLM, by its callback: one span a call, whoever makes it and however it ends; the SDK inside counts nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

import ai_usage
from ai_usage import semconv
from ai_usage.attribution import usage_context
from ai_usage.litellm import LiteLLMInstrumentor
from ai_usage.tracker import AIUsageTracker
from tests.integration.instrumentation.receiver_side import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

    from ai_usage_exporter.demo.provider import StandInProvider
    from tests.integration.instrumentation.conftest import Spans

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its price map from the package, not from the network
import litellm

HELLO: Any = [{"role": "user", "content": "secret question"}]
FAILING: Any = [{"role": "user", "content": "[fail]"}]
# LiteLLM warns about its own types and dependencies, in whatever call loads them first.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


class Arrivals(SpanProcessor):
    """Wait for spans: LiteLLM tells its callbacks from a thread or a task of its own."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self._changed = threading.Condition()
        spans.provider.add_span_processor(self)

    def on_end(self, span: Any) -> None:
        with self._changed:
            self._changed.notify_all()

    def of(self, count: int) -> list[Any]:
        """Return the spans once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans.all()) >= count, timeout=20)
        assert len(self.spans.all()) == count
        return list(self.spans.all())

    def of_dropped(self, count: int) -> list[Any]:
        """Return the spans once what was dropped is collected: LiteLLM's threads hold it for a moment."""
        deadline = time.monotonic() + 20
        with self._changed:
            while len(self.spans.all()) < count and time.monotonic() < deadline:
                gc.collect()
                self._changed.wait(0.05)
        return self.of(count)

    async def of_async(self, count: int) -> list[Any]:
        return await asyncio.to_thread(self.of, count)


@pytest.fixture
def arrivals(spans: Spans) -> Iterator[Arrivals]:
    LiteLLMInstrumentor().instrument(tracer_provider=spans.provider)
    yield Arrivals(spans)
    LiteLLMInstrumentor().uninstrument()
    litellm.cache = None


@pytest.fixture
def to_openai(provider: StandInProvider) -> dict[str, Any]:
    return {"model": "openai/gpt-4o", "api_key": "k", "api_base": provider.base_url("openai"), "max_retries": 0}


def check(span: Any, provider: StandInProvider) -> None:
    """Compare a span with what the provider handed out last."""
    handed_out = provider.ledger[-1]
    attributes = span.attributes
    assert attributes[semconv.USAGE_INPUT_TOKENS] == handed_out.tokens.input
    assert attributes[semconv.USAGE_OUTPUT_TOKENS] == handed_out.tokens.output
    assert (attributes.get(semconv.USAGE_CACHE_READ_TOKENS) or 0) == handed_out.tokens.cached
    assert attributes[semconv.REQUEST_MODEL] == handed_out.model
    assert attributes[semconv.COST_AMOUNT] > 0
    assert attributes[semconv.SERVER_ADDRESS] == "127.0.0.1"
    assert span.instrumentation_scope.name == "ai_usage.litellm"
    assert semconv.USAGE_PARTIAL not in attributes
    assert "secret" not in repr(dict(attributes))


def test_completion(arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]) -> None:
    with usage_context(user_id="7", service_name="chatbot"):
        answer = litellm.completion(messages=HELLO, **to_openai)
    (span,) = arrivals.of(1)
    check(span, provider)
    assert span.name == "chat gpt-4o"
    assert span.attributes[semconv.PROVIDER_NAME] == "openai"
    assert span.attributes[semconv.RESPONSE_ID] == answer.id
    assert span.attributes[semconv.USER_ID] == "7"
    assert span.attributes["litellm.cost.total"] > 0


async def test_acompletion(arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]) -> None:
    with usage_context(user_id="7"):
        await litellm.acompletion(messages=HELLO, **to_openai)
    (span,) = await arrivals.of_async(1)
    check(span, provider)
    assert span.attributes[semconv.USER_ID] == "7"


def test_a_stream_reports_the_providers_numbers_and_not_guesses(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    chunks = list(litellm.completion(messages=HELLO, stream=True, **to_openai))
    assert all(getattr(chunk, "usage", None) is None for chunk in chunks)
    (span,) = arrivals.of(1)
    check(span, provider)
    assert span.attributes[semconv.REQUEST_STREAM] is True


async def test_an_async_stream_reports_the_providers_numbers(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    chunks = [chunk async for chunk in await litellm.acompletion(messages=HELLO, stream=True, **to_openai)]
    assert all(getattr(chunk, "usage", None) is None for chunk in chunks)
    (span,) = await arrivals.of_async(1)
    check(span, provider)


def test_a_stream_left_early_is_partial(arrivals: Arrivals, to_openai: dict[str, Any]) -> None:
    stream = litellm.completion(messages=HELLO, stream=True, **to_openai)
    next(iter(stream))
    del stream
    (span,) = arrivals.of_dropped(1)
    assert span.attributes[semconv.USAGE_PARTIAL] is True
    assert semconv.USAGE_INPUT_TOKENS not in span.attributes


def test_embedding(arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]) -> None:
    litellm.embedding(input=["x"], **{**to_openai, "model": "openai/text-embedding-3-small"})
    (span,) = arrivals.of(1)
    assert span.attributes[semconv.USAGE_INPUT_TOKENS] == provider.ledger[-1].tokens.input
    assert span.attributes[semconv.OPERATION_NAME] == "embeddings"


async def test_aembedding(arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]) -> None:
    await litellm.aembedding(input=["x"], **{**to_openai, "model": "openai/text-embedding-3-small"})
    (span,) = await arrivals.of_async(1)
    assert span.attributes[semconv.USAGE_INPUT_TOKENS] == provider.ledger[-1].tokens.input


@pytest.mark.parametrize("is_stream", [False, True])
def test_anthropic_over_its_own_http(is_stream: bool, arrivals: Arrivals, provider: StandInProvider) -> None:
    answer = litellm.completion(
        model="anthropic/claude-3-haiku-20240307", messages=HELLO, api_key="k", stream=is_stream,
        api_base=provider.base_url("anthropic"),
    )  # fmt: skip
    if is_stream:
        for _ in answer:
            pass
    (span,) = arrivals.of(1)
    check(span, provider)
    assert span.attributes[semconv.PROVIDER_NAME] == "anthropic"


def test_a_failure_is_a_failed_call(arrivals: Arrivals, to_openai: dict[str, Any]) -> None:
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(messages=FAILING, **to_openai)
    (span,) = arrivals.of(1)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes[semconv.ERROR_TYPE] == "litellm.RateLimitError"
    assert "secret" not in (span.status.description or "")


async def test_an_async_failure_with_a_retry_is_one_failed_call(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    with pytest.raises(litellm.RateLimitError):
        await litellm.acompletion(messages=FAILING, num_retries=1, **to_openai)
    assert len(provider.ledger) > 1
    gc.collect()
    (span,) = await arrivals.of_async(1)
    assert span.attributes[semconv.ERROR_TYPE] == "litellm.RateLimitError"


async def test_a_router_counts_each_attempt_and_the_fallback(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    broken = {**to_openai, "api_base": provider.base_url("openai").replace("/openai", "/nowhere")}
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": broken},
            {"model_name": "second", "litellm_params": {**to_openai, "model": "openai/gpt-4o-mini"}},
        ],
        fallbacks=[{"first": ["second"]}],
        num_retries=0,
    )
    with usage_context(service_name="chatbot"):
        await router.acompletion(model="first", messages=HELLO)
    failed, answered = await arrivals.of_async(2)
    assert failed.status.status_code is StatusCode.ERROR
    check(answered, provider)
    assert {span.attributes[semconv.SERVICE_NAME] for span in (failed, answered)} == {"chatbot"}


async def test_a_cache_hit_is_free(arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]) -> None:
    litellm.cache = litellm.Cache(type="local")
    for expected in (1, 2):
        await litellm.acompletion(messages=HELLO, caching=True, **to_openai)
        paid, *hits = await arrivals.of_async(expected)
    assert len(provider.ledger) == 1
    check(paid, provider)
    (hit,) = hits
    assert hit.attributes["litellm.cache_hit"] is True
    assert hit.attributes[semconv.COST_AMOUNT] == 0
    assert hit.attributes[semconv.COST_STATUS] == "free"


def test_a_cache_hit_of_a_sync_call_is_free(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    litellm.cache = litellm.Cache(type="local")
    for expected in (1, 2):
        litellm.completion(messages=HELLO, caching=True, **to_openai)
        hit = arrivals.of(expected)[-1]
    assert hit.attributes[semconv.REQUEST_MODEL] == "gpt-4o"
    assert hit.attributes[semconv.COST_STATUS] == "free"


def test_a_mocked_answer_is_no_call(arrivals: Arrivals, to_openai: dict[str, Any]) -> None:
    told = threading.Event()

    class Told(litellm.integrations.custom_logger.CustomLogger):
        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            told.set()

    callback = Told()  # comes after ours
    litellm.logging_callback_manager.add_litellm_callback(callback)
    try:
        litellm.completion(messages=HELLO, mock_response="x", **to_openai)
        assert told.wait(20)
    finally:
        litellm.logging_callback_manager.remove_callback_from_all_lists(callback)
    assert arrivals.spans.all() == ()


def test_the_end_user_given_to_litellm_is_the_user_when_the_app_names_none(
    arrivals: Arrivals, to_openai: dict[str, Any]
) -> None:
    litellm.completion(messages=HELLO, user="alice", **to_openai)
    with usage_context(user_id="7"):
        litellm.completion(messages=HELLO, user="alice", **to_openai)
    assert sorted(span.attributes[semconv.USER_ID] for span in arrivals.of(2)) == ["7", "alice"]


def test_the_apps_own_call_of_the_sdk_is_counted_beside_litellms(
    arrivals: Arrivals, openai_client: openai.OpenAI, to_openai: dict[str, Any]
) -> None:
    litellm.completion(messages=HELLO, **to_openai)
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    scopes = sorted(span.instrumentation_scope.name for span in arrivals.of(2))
    assert scopes == ["ai_usage.litellm", "ai_usage.openai"]


def test_inside_a_tracked_call_litellm_counts_nothing(
    arrivals: Arrivals, spans: Spans, to_openai: dict[str, Any]
) -> None:
    with AIUsageTracker(service_name="chatbot") as tracker:
        tracker.set_response(litellm.completion(messages=HELLO, **to_openai))
    litellm.completion(messages=HELLO, **to_openai)
    (counted,) = arrivals.of(1)  # the tracker's own span goes to the app's provider
    assert counted.instrumentation_scope.name == "ai_usage.litellm"


def test_after_uninstrument_litellm_is_left_alone_and_the_sdk_inside_counts(
    arrivals: Arrivals, spans: Spans, to_openai: dict[str, Any]
) -> None:
    LiteLLMInstrumentor().uninstrument()
    litellm.completion(messages=HELLO, **to_openai)
    assert spans.only().instrumentation_scope.name == "ai_usage.openai"  # type: ignore[union-attr]
    LiteLLMInstrumentor().instrument(tracer_provider=spans.provider)
    litellm.completion(messages=HELLO, **to_openai)
    assert arrivals.of(2)[-1].instrumentation_scope.name == "ai_usage.litellm"


def test_litellms_own_tracing_beside_ours_is_one_row(
    arrivals: Arrivals, provider: StandInProvider, to_openai: dict[str, Any]
) -> None:
    from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig

    own = arrivals.spans
    tracing = OpenTelemetry(config=OpenTelemetryConfig(exporter=own.exporter), tracer_provider=own.provider)
    litellm.logging_callback_manager.add_litellm_callback(tracing)
    try:
        litellm.completion(messages=HELLO, **to_openai)
        spans = arrivals.of(3)
    finally:
        litellm.logging_callback_manager.remove_callback_from_all_lists(tracing)
    assert Counter(span.instrumentation_scope.name for span in spans) == {"litellm": 2, "ai_usage.litellm": 1}
    (row,) = rows_of(spans)
    assert (row.scope, row.usage.input_tokens) == ("ai_usage.litellm", provider.ledger[-1].tokens.input)


def test_instrumenting_leaves_the_import_of_litellm_to_the_app() -> None:
    program = "import ai_usage, sys; ai_usage.instrument(); print('litellm' in sys.modules)"
    environment = {**os.environ, "OTEL_SDK_DISABLED": "true"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


def test_uninstrumented_it_is_silent_and_instrumented_again_counts_once(
    arrivals: Arrivals, spans: Spans, to_openai: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_told = threading.Event()
    monkeypatch.setattr(litellm, "success_callback", [lambda *_: is_told.set()])
    litellm.completion(messages=HELLO, **to_openai)
    arrivals.of(1)
    ai_usage.uninstrument()
    is_told.clear()
    litellm.completion(messages=HELLO, **to_openai)
    assert is_told.wait(20), "LiteLLM tells its callbacks all the same"
    arrivals.of(1)
    LiteLLMInstrumentor().instrument(tracer_provider=spans.provider)
    litellm.completion(messages=HELLO, **to_openai)
    arrivals.of(2)
