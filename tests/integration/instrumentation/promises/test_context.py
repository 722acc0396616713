"""L6: whoever leaves a stream, wherever, finds the context as it was, and nobody logs an error about it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace

from ai_usage import AIUsageTracker, tracker, usage_context
from ai_usage._telemetry import Telemetry
from ai_usage.attribution import current_attributes
from tests.integration.instrumentation.test_stream_ends import BODIES, async_stream_of, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.integration.instrumentation.conftest import Spans


@pytest.fixture(autouse=True)
def no_noise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


@pytest.mark.parametrize("name", BODIES)
async def test_leaving_an_async_stream_leaves_the_context_alone(name: str, spans: Spans) -> None:
    with spans.provider.get_tracer("app").start_as_current_span("request") as request:
        before = context.get_current()
        async for _ in await async_stream_of(name):
            assert context.get_current() is before
            break
        assert context.get_current() is before
        assert trace.get_current_span() is request
    await settle(spans, 2)


@pytest.mark.parametrize("name", BODIES)
async def test_a_stream_may_be_read_here_and_closed_in_another_task(name: str, spans: Spans) -> None:
    before = context.get_current()
    stream = await async_stream_of(name)
    await anext(aiter(stream))
    await asyncio.create_task((getattr(stream, "close", None) or stream.aclose)())
    assert context.get_current() is before
    await settle(spans, 1)


@pytest.mark.parametrize("name", BODIES)
def test_while_reading_and_after_leaving_a_stream_the_context_is_the_callers(name: str, spans: Spans) -> None:
    before = context.get_current()
    stream = stream_of(name)
    for _ in stream:
        assert context.get_current() is before
        break
    del stream
    gc.collect()
    assert context.get_current() is before
    assert len(spans.all()) == 1


@pytest.mark.parametrize(
    "make", [lambda: usage_context(user_id="7"), lambda: AIUsageTracker("7")], ids=["context", "tracker"]
)
async def test_a_generator_that_says_who_pays_may_be_closed_in_another_task(
    make: Any, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "_telemetry", Telemetry("ai_usage.manual", "0", tracer_provider=spans.provider))

    async def pieces() -> AsyncIterator[int]:
        with make():
            yield 1
            yield 2

    generator = pieces()

    async def begin() -> None:
        assert await anext(generator) == 1

    await asyncio.create_task(begin())
    await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    assert current_attributes() == {}


async def settle(spans: Spans, expected: int) -> None:
    for _ in range(50):
        if len(spans.all()) == expected:
            break
        gc.collect()
        await asyncio.sleep(0)
    assert len(spans.all()) == expected
