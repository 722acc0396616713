"""Background responses: the create call knows no usage, the first finished retrieve tells it, later ones repeat it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from opentelemetry.trace import StatusCode

from ai_usage import semconv
from ai_usage.attribution import usage_context
from ai_usage.openai import OpenAIInstrumentor
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.receiver_side import rows_of
from tests.integration.instrumentation.wire import Server, body, events

if TYPE_CHECKING:
    from tests.integration.instrumentation.conftest import Spans

QUEUED = {"status": "queued", "usage": None, "output": [], "completed_at": None, "background": True}


class Provider:
    """Answer a create call at once and be finished when told."""

    def __init__(self, **final: Any) -> None:
        self.is_finished = False
        self.created_at = int(time.time())
        self.final = {"background": True, "created_at": self.created_at, **final}
        self.server = Server(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("stream") == "true":
            return events(wire.response_events(**self.final))
        return body(wire.response(**(self.final if self.is_finished else {**self.final, **QUEUED})))

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(api_key="k", http_client=self.server.client, max_retries=0)


def with_usage(spans: Spans) -> list[Any]:
    return [span for span in spans.all() if semconv.USAGE_INPUT_TOKENS in (span.attributes or {})]


def test_the_first_finished_retrieve_tells_the_usage_and_only_the_first(spans: Spans) -> None:
    provider = Provider()
    client = provider.client
    with usage_context(user_id="asker"):
        client.responses.create(model="gpt-4o", input="x", background=True)
    (created,) = spans.all()
    assert created.attributes is not None
    assert created.attributes[semconv.USAGE_PARTIAL] is True
    assert created.attributes[semconv.RESPONSE_ID] == "resp_1"
    client.responses.retrieve("resp_1")
    assert spans.all() == (created,)
    provider.is_finished = True
    with usage_context(user_id="poller"):
        client.responses.retrieve("resp_1")
        client.responses.retrieve("resp_1")
        client.responses.with_raw_response.retrieve("resp_1").parse()
    (told,) = with_usage(spans)
    assert told.attributes[semconv.USAGE_INPUT_TOKENS] == 100
    assert told.attributes[semconv.RESPONSE_ID] == "resp_1"
    assert told.attributes[semconv.USER_ID] == "asker"
    assert told.attributes[semconv.COST_AMOUNT] > 0
    assert told.start_time / 1e9 == pytest.approx(provider.created_at, abs=1)
    (row,) = rows_of([created, told])
    assert (row.usage.input_tokens, row.usage.output_tokens, row.user) == (100, 50, "asker")
    assert len(spans.all()) == 2


def test_two_processes_that_read_one_background_response_make_one_row(spans: Spans) -> None:
    provider = Provider()
    provider.client.responses.create(model="gpt-4o", input="x", background=True)
    provider.is_finished = True
    for _ in range(2):
        # Another process knows nothing of what this one counted.
        OpenAIInstrumentor().uninstrument()
        OpenAIInstrumentor().instrument(tracer_provider=spans.provider)
        provider.client.responses.retrieve("resp_1")
    assert len(spans.all()) == 3
    (row,) = rows_of(spans.all())
    assert row.usage.input_tokens == 100


def test_a_background_response_of_another_process_is_told_by_its_retrieve(spans: Spans) -> None:
    provider = Provider()
    provider.is_finished = True
    with usage_context(user_id="poller"):
        provider.client.responses.retrieve("resp_1")
    assert spans.attributes()[semconv.USER_ID] == "poller"
    assert spans.attributes()[semconv.USAGE_OUTPUT_TOKENS] == 50


def test_reading_a_background_response_as_a_stream_tells_its_usage_once(spans: Spans) -> None:
    provider = Provider()
    client = provider.client
    with client.responses.retrieve("resp_1", stream=True) as left_early:
        next(iter(left_early))
    assert spans.all() == ()
    for _ in range(2):
        for _event in client.responses.retrieve("resp_1", stream=True):
            pass
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] == 100


def test_a_background_stream_read_to_its_end_leaves_nothing_for_a_retrieve_to_tell(spans: Spans) -> None:
    provider = Provider()
    client = openai.OpenAI(api_key="k", http_client=Server(events(wire.response_events(background=True))).client)
    for _ in client.responses.create(model="gpt-4o", input="x", background=True, stream=True):
        pass
    provider.is_finished = True
    provider.client.responses.retrieve("resp_1")
    assert len(with_usage(spans)) == len(spans.all()) == 1


async def test_the_async_client_does_the_same(spans: Spans) -> None:
    provider = Provider()
    client = openai.AsyncOpenAI(api_key="k", http_client=provider.server.async_client)
    await client.responses.create(model="gpt-4o", input="x", background=True)
    provider.is_finished = True
    await client.responses.retrieve("resp_1")
    await client.responses.retrieve("resp_1")
    assert len(with_usage(spans)) == 1


def test_a_failed_background_response_is_a_failed_call_with_its_usage(spans: Spans) -> None:
    provider = Provider(status="failed", error={"code": "server_error", "message": "secret"})
    provider.is_finished = True
    provider.client.responses.retrieve("resp_1")
    span = spans.only()
    assert span.status.status_code is StatusCode.ERROR
    assert spans.attributes()[semconv.ERROR_TYPE] == "server_error"
    assert spans.attributes()[semconv.USAGE_INPUT_TOKENS] == 100
    assert "secret" not in repr((span.attributes, span.status.description))


def test_reading_a_foreground_response_again_and_cancelling_are_no_calls(spans: Spans) -> None:
    provider = Provider(background=False)
    provider.is_finished = True
    provider.client.responses.retrieve("resp_1")
    provider.client.responses.cancel("resp_1")
    assert spans.all() == ()


def test_an_unknown_response_is_the_apps_error_and_no_call(spans: Spans) -> None:
    client = openai.OpenAI(
        api_key="k", http_client=Server(httpx2.Response(404, json={"error": {}})).client, max_retries=0
    )
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_2")
    assert spans.all() == ()
