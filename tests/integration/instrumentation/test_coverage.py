"""Every way of calling openai, anthropic and google-genai: one span a call, tokens by the one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from opentelemetry.trace import StatusCode

from ai_usage import semconv
from ai_usage.attribution import usage_context
from ai_usage.pricing import cost_of
from ai_usage.tokens import TokenUsage
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.receiver_side import rows_of
from tests.integration.instrumentation.wire import Server, body, events

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.integration.instrumentation.conftest import Spans

HELLO: Any = [{"role": "user", "content": "secret question"}]
OPENAI = TokenUsage(100, 50, cache_read_tokens=40, cache_write_tokens=10, reasoning_tokens=20)
ANTHROPIC = TokenUsage(1210, 30, cache_read_tokens=1000, cache_write_tokens=200, cache_write_1h_tokens=50)
GEMINI = TokenUsage(107, 50, cache_read_tokens=40, reasoning_tokens=20)
UNKNOWN = TokenUsage()
IMAGE_USAGE = {
    "input_tokens": 60,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
    "output_tokens": 1000,
    "total_tokens": 1060,
}
IMAGE = TokenUsage(60, 1000, input_image_tokens=50)
SPEECH_USAGE = {
    "type": "tokens",
    "input_tokens": 80,
    "input_token_details": {"audio_tokens": 70, "text_tokens": 10},
    "output_tokens": 9,
    "total_tokens": 89,
}
SPEECH = TokenUsage(80, 9, input_audio_tokens=70)
WAV = ("x.wav", b"x")
COUNTS = (
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ_TOKENS,
    semconv.USAGE_CACHE_WRITE_TOKENS,
    semconv.USAGE_CACHE_WRITE_1H_TOKENS,
    semconv.USAGE_REASONING_TOKENS,
    semconv.USAGE_INPUT_AUDIO_TOKENS,
    semconv.USAGE_OUTPUT_AUDIO_TOKENS,
    semconv.USAGE_CACHE_READ_AUDIO_TOKENS,
    semconv.USAGE_INPUT_IMAGE_TOKENS,
    semconv.USAGE_OUTPUT_IMAGE_TOKENS,
)


class Case(NamedTuple):
    """Hold one way of calling: what the server answers, the call, and what its span must say."""

    answer: httpx2.Response
    call: Callable[[Any], Any]
    usage: TokenUsage
    operation: str = "chat"
    provider: str = "openai"


def usage_of(span: Any) -> TokenUsage:
    return TokenUsage(*(span.attributes.get(name) for name in COUNTS))


def drain(stream: Any) -> None:
    for _ in stream:
        pass


def drain_in(manager: Any) -> None:
    with manager as stream:
        drain(stream)


def read_in(manager: Any) -> None:
    with manager as raw:
        drain(raw.iter_bytes())


OPENAI_CASES = {
    "responses_create": Case(body(wire.response()), lambda c: c.responses.create(model="gpt-4o", input="x"), OPENAI),
    "responses_parse": Case(body(wire.response()), lambda c: c.responses.parse(model="gpt-4o", input="x"), OPENAI),
    "responses_streamed": Case(
        events(wire.response_events()),
        lambda c: drain(c.responses.create(model="gpt-4o", input="x", stream=True)),
        OPENAI,
    ),
    "responses_stream_helper": Case(
        events(wire.response_events()), lambda c: drain_in(c.responses.stream(model="gpt-4o", input="x")), OPENAI
    ),
    "responses_compact": Case(
        body(
            {"id": "cmp_1", "object": "response.compaction", "created_at": 1, "output": [], "usage": wire.OPENAI_USAGE}
        ),
        lambda c: c.responses.compact(model="gpt-4o", input="x"),
        OPENAI,
    ),
    "responses_raw": Case(
        body(wire.response()),
        lambda c: c.responses.with_raw_response.create(model="gpt-4o", input="x").parse(),
        OPENAI,
    ),
    "responses_streaming_response": Case(
        events(wire.response_events()),
        lambda c: read_in(c.responses.with_streaming_response.create(model="gpt-4o", input="x", stream=True)),
        OPENAI,
    ),
    "responses_beta": Case(body(wire.response()), lambda c: c.beta.responses.create(model="gpt-4o", input="x"), OPENAI),
    "chat_parse": Case(body(wire.chat()), lambda c: c.chat.completions.parse(model="gpt-4o", messages=HELLO), OPENAI),
    "completions": Case(
        body({**wire.chat(object="text_completion"), "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]}),
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="x"),
        OPENAI,
        "text_completion",
    ),
    "decisions": Case(
        body({"model": "gpt-5", "answers": [], "usage": wire.OPENAI_USAGE}),
        lambda c: c.decisions.create(model="gpt-5", input="x", questions=[]),
        OPENAI,
    ),
    "embeddings": Case(
        body(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
                "model": "text-embedding-3-small",
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        ),
        lambda c: c.embeddings.create(model="text-embedding-3-small", input="x"),
        TokenUsage(8, None),
        "embeddings",
    ),
    "images_generate": Case(
        body({"created": 1, "data": [], "usage": IMAGE_USAGE}),
        lambda c: c.images.generate(model="gpt-image-1", prompt="x"),
        IMAGE,
        "image_generation",
    ),
    "images_edit": Case(
        body({"created": 1, "data": [], "usage": IMAGE_USAGE}),
        lambda c: c.images.edit(model="gpt-image-1", prompt="x", image=("x.png", b"x")),
        IMAGE,
        "image_generation",
    ),
    "images_streamed": Case(
        events(
            [
                {"type": "image_generation.partial_image", "b64_json": "x"},
                {"type": "image_generation.completed", "usage": IMAGE_USAGE},
            ]
        ),
        lambda c: drain(c.images.generate(model="gpt-image-1", prompt="x", stream=True)),
        IMAGE,
        "image_generation",
    ),
    "transcription_by_tokens": Case(
        body({"text": "x", "usage": SPEECH_USAGE}),
        lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=WAV),
        SPEECH,
        "transcription",
    ),
    "transcription_streamed": Case(
        events(
            [
                {"type": "transcript.text.delta", "delta": "x"},
                {"type": "transcript.text.done", "text": "x", "usage": SPEECH_USAGE},
            ]
        ),
        lambda c: drain(c.audio.transcriptions.create(model="gpt-4o-transcribe", file=WAV, stream=True)),
        SPEECH,
        "transcription",
    ),
    "transcription_by_seconds_reports_no_tokens": Case(
        body({"text": "x", "usage": {"type": "duration", "seconds": 3}}),
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=WAV),
        UNKNOWN,
        "transcription",
    ),
    "transcription_as_text_reports_no_tokens": Case(
        wire.httpx2.Response(200, text="x"),
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=WAV, response_format="text"),
        UNKNOWN,
        "transcription",
    ),
    "translation_reports_no_tokens": Case(
        body({"text": "x"}), lambda c: c.audio.translations.create(model="whisper-1", file=WAV), UNKNOWN, "translation"
    ),
    "speech_reports_no_tokens": Case(
        wire.httpx2.Response(200, headers={"content-type": "audio/mpeg"}, content=b"\x00\x01"),
        lambda c: c.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="x").read(),
        UNKNOWN,
        "speech",
    ),
    "speech_as_events": Case(
        events(
            [
                {"type": "speech.audio.delta", "audio": "x"},
                {"type": "speech.audio.done", "usage": {"input_tokens": 5, "output_tokens": 70, "total_tokens": 75}},
            ]
        ),
        lambda c: read_in(
            c.audio.speech.with_streaming_response.create(
                model="gpt-4o-mini-tts", voice="alloy", input="x", stream_format="sse"
            )
        ),
        TokenUsage(5, 70),
        "speech",
    ),
}


@pytest.mark.parametrize("name", OPENAI_CASES)
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_openai(name: str, spans: Spans) -> None:
    case = OPENAI_CASES[name]
    server = Server(case.answer)
    case.call(openai.OpenAI(api_key="k", http_client=server.client))
    check(case, server, spans)


def check(case: Case, server: Server, spans: Spans) -> None:
    span = spans.only()
    assert len(server.requests) == 1
    assert span.status.status_code is StatusCode.UNSET
    assert usage_of(span) == case.usage
    assert spans.attributes()[semconv.OPERATION_NAME] == case.operation
    assert spans.attributes()[semconv.PROVIDER_NAME] == case.provider
    assert spans.attributes()[semconv.REQUEST_MODEL]
    assert semconv.USAGE_PARTIAL not in spans.attributes()
    assert "secret" not in repr(dict(span.attributes or {}))


@pytest.mark.parametrize("arguments", [{}, {"azure_deployment": "mine"}], ids=["by_model", "by_deployment"])
def test_azure(arguments: dict[str, Any], spans: Spans) -> None:
    server = Server(body(wire.chat()))
    client = openai.AzureOpenAI(
        api_key="k", api_version="2024-10-21", azure_endpoint="https://r.openai.azure.com", http_client=server.client,
        **arguments,
    )  # fmt: skip
    client.chat.completions.create(model="mine", messages=HELLO)
    assert "/deployments/mine/chat/completions" in str(server.requests[0].url)
    check(Case(body({}), print, OPENAI, provider="azure.ai.openai"), server, spans)
    assert spans.attributes()[semconv.SERVER_ADDRESS] == "r.openai.azure.com"


async def test_azure_async_and_streamed(spans: Spans) -> None:
    server = Server(events([wire.chat(object="chat.completion.chunk", choices=[])], kind=None))
    client = openai.AsyncAzureOpenAI(
        api_key="k", api_version="2024-10-21", azure_endpoint="https://r.openai.azure.com",
        http_client=server.async_client,
    )  # fmt: skip
    async for _ in await client.chat.completions.create(model="mine", messages=HELLO, stream=True):
        pass
    check(Case(body({}), print, OPENAI, provider="azure.ai.openai"), server, spans)


def test_a_client_whose_url_is_changed(spans: Spans) -> None:
    client = openai.OpenAI(api_key="k", http_client=Server(body(wire.chat())).client)
    for url in ("https://one.example/v1", "https://two.example/v1", "https://one.example/v1"):
        client.base_url = url
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert servers(spans) == ["one.example", "two.example", "one.example"]


def test_the_sdk_as_a_module_whose_url_is_changed(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "api_key", "k")
    monkeypatch.setattr(openai, "http_client", Server(body(wire.chat())).client)
    monkeypatch.setattr(openai, "_client", None)
    for url in (None, "https://two.example/v1", None):
        monkeypatch.setattr(openai, "base_url", url)
        openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert servers(spans) == ["api.openai.com", "two.example", "api.openai.com"]


def servers(spans: Spans) -> list[Any]:
    return [(span.attributes or {})[semconv.SERVER_ADDRESS] for span in spans.all()]


ASKED: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
ANTHROPIC_CASES = {
    "create": Case(body(wire.message()), lambda c: c.messages.create(**ASKED), ANTHROPIC),
    "parse": Case(body(wire.message()), lambda c: c.messages.parse(**ASKED), ANTHROPIC),
    "streamed": Case(
        events(wire.message_events()), lambda c: drain(c.messages.create(**ASKED, stream=True)), ANTHROPIC
    ),
    "stream_helper": Case(events(wire.message_events()), lambda c: drain_in(c.messages.stream(**ASKED)), ANTHROPIC),
    "raw": Case(body(wire.message()), lambda c: c.messages.with_raw_response.create(**ASKED).parse(), ANTHROPIC),
    "raw_streamed": Case(
        events(wire.message_events()),
        lambda c: drain(c.messages.with_raw_response.create(**ASKED, stream=True).parse()),
        ANTHROPIC,
    ),
    "streaming_response": Case(
        events(wire.message_events()),
        lambda c: read_in(c.messages.with_streaming_response.create(**ASKED, stream=True)),
        ANTHROPIC,
    ),
    "beta_create": Case(body(wire.message()), lambda c: c.beta.messages.create(**ASKED), ANTHROPIC),
    "beta_parse": Case(body(wire.message()), lambda c: c.beta.messages.parse(**ASKED), ANTHROPIC),
    "beta_stream_helper": Case(
        events(wire.message_events()), lambda c: drain_in(c.beta.messages.stream(**ASKED)), ANTHROPIC
    ),
    "beta_iterations": Case(
        body(wire.message(usage=wire.COMPACTED_USAGE)),
        lambda c: c.beta.messages.create(**ASKED),
        ANTHROPIC._replace(input_tokens=1710, output_tokens=90),
    ),
    # Its own counts are those of the model that answered in the end.
    "beta_fallback": Case(
        body(wire.message(usage=wire.FALLBACK_USAGE)), lambda c: c.beta.messages.create(**ASKED), ANTHROPIC
    ),
}


@pytest.mark.parametrize("name", ANTHROPIC_CASES)
def test_anthropic(name: str, spans: Spans) -> None:
    case = ANTHROPIC_CASES[name]._replace(provider="anthropic")
    server = Server(case.answer)
    case.call(anthropic.Anthropic(api_key="k", http_client=server.client))
    check(case, server, spans)
    assert spans.attributes()[semconv.SERVICE_TIER] == "standard"


@pytest.mark.parametrize("usage", [wire.ADVISED_USAGE, wire.DECLINED_USAGE], ids=["advisor", "declined"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_what_another_model_did_for_an_answer_is_a_call_at_its_own_price(
    is_stream: bool, usage: dict[str, Any], spans: Spans
) -> None:
    answer = events(wire.message_events(usage)) if is_stream else body(wire.message(usage=usage))
    client = anthropic.Anthropic(api_key="k", http_client=Server(answer).client)
    with usage_context(user_id="u-17"):
        result = client.beta.messages.create(**ASKED, stream=is_stream)
    if is_stream:
        drain(result)
    call, other = sorted(spans.all(), key=lambda span: span.parent is not None)
    assert (usage_of(call), usage_of(other)[:2]) == (ANTHROPIC, (800, 70))
    assert semconv.USAGE_COMPACTION_ADDED not in (call.attributes or {})
    assert other.parent is not None
    assert other.parent.span_id == call.context.span_id
    assert other.attributes[semconv.USER_ID] == "u-17"
    cost = cost_of("anthropic", "claude-opus-4-5", TokenUsage(800, 70)).amount_usd
    assert other.attributes[semconv.COST_AMOUNT] == float(cost or 0)
    assert [(row.model, row.usage[:2]) for row in rows_of([call, other])] == [
        ("claude-sonnet-4-5-20250929", (1210, 30)), ("claude-opus-4-5", (800, 70)),
    ]  # fmt: skip


@pytest.mark.parametrize("is_stream", [False, True])
def test_anthropic_on_bedrock(is_stream: bool, spans: Spans) -> None:
    server = Server(wire.bedrock_events() if is_stream else body(wire.message()))
    client = anthropic.AnthropicBedrock(
        aws_region="us-east-1", aws_access_key="k", aws_secret_key="s", http_client=server.client
    )
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    result = client.messages.create(model=model, max_tokens=9, messages=HELLO, stream=is_stream)
    if is_stream:
        drain(result)
    check(Case(body({}), print, ANTHROPIC, provider="aws.bedrock"), server, spans)
    assert spans.attributes()[semconv.REQUEST_MODEL] == model


async def test_anthropic_on_bedrock_async(spans: Spans) -> None:
    server = Server(wire.bedrock_events())
    client = anthropic.AsyncAnthropicBedrock(
        aws_region="us-east-1", aws_access_key="k", aws_secret_key="s", http_client=server.async_client
    )
    async with client.messages.stream(model="anthropic.claude", max_tokens=9, messages=HELLO) as stream:
        async for _ in stream:
            pass
    check(Case(body({}), print, ANTHROPIC, provider="aws.bedrock"), server, spans)


@pytest.mark.parametrize("is_stream", [False, True])
def test_anthropic_on_vertex(is_stream: bool, spans: Spans) -> None:
    server = Server(events(wire.message_events()) if is_stream else body(wire.message()))
    client = anthropic.AnthropicVertex(
        region="europe-west1", project_id="p", access_token="t", http_client=server.client
    )
    result = client.messages.create(model="claude-sonnet-4-5@20250929", max_tokens=9, messages=HELLO, stream=is_stream)
    if is_stream:
        drain(result)
    check(Case(body({}), print, ANTHROPIC, provider="gcp.vertex_ai"), server, spans)


CLOUDS: dict[str, tuple[Callable[[httpx2.Client], Any], str]] = {
    "bedrock_mantle": (
        lambda http: anthropic.AnthropicBedrockMantle(aws_region="us-east-1", api_key="k", http_client=http),
        "aws.bedrock",
    ),
    "foundry": (
        lambda http: anthropic.AnthropicFoundry(api_key="k", resource="r", http_client=http),
        "anthropic",
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_anthropic_on_other_clouds(cloud: str, spans: Spans) -> None:
    make, provider = CLOUDS[cloud]
    server = Server(body(wire.message()))
    make(server.client).messages.create(**ASKED)
    check(Case(body({}), print, ANTHROPIC, provider=provider), server, spans)


def test_counting_tokens_is_no_call(spans: Spans) -> None:
    server = Server(body({"input_tokens": 10, "totalTokens": 10, "object": "response.input_tokens"}))
    anthropic.Anthropic(api_key="k", http_client=server.client).messages.count_tokens(
        model="claude-haiku-4-5", messages=HELLO
    )
    openai.OpenAI(api_key="k", http_client=server.client).responses.input_tokens.count(model="gpt-4o", input="x")
    gemini(server).models.count_tokens(model="gemini-2.5-flash", contents="x")
    assert len(server.requests) == 3
    assert [span.name for span in spans.all() if (span.attributes or {}).get(semconv.USAGE_INPUT_TOKENS)] == []
    assert [s for s in spans.all() if s.instrumentation_scope and s.instrumentation_scope.name[:8] == "ai_usage"] == []


def gemini(server: Server, **more: Any) -> genai.Client:
    options = types.HttpOptions(httpx_client=server.client, httpx_async_client=server.async_client)
    return genai.Client(http_options=options, **(more or {"api_key": "k"}))


def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


INTERACTION = {
    "id": "int_1",
    "status": "completed",
    "model": "gemini-2.5-flash",
    "steps": [],
    "usage": {
        "total_input_tokens": 100,
        "total_cached_tokens": 40,
        "total_tool_use_tokens": 7,
        "total_output_tokens": 30,
        "total_thought_tokens": 20,
        "total_tokens": 157,
    },
}
INTERACTION_EVENTS = [
    {"event_type": "interaction.created", "interaction": {**INTERACTION, "status": "in_progress", "usage": None}},
    {"event_type": "interaction.completed", "interaction": INTERACTION},
]
GEMINI_MODEL: dict[str, Any] = {"model": "gemini-2.5-flash"}
GEMINI_CASES = {
    "generate": Case(body(wire.content()), lambda c: c.models.generate_content(**GEMINI_MODEL, contents="x"), GEMINI),
    "streamed": Case(
        events([wire.content(), wire.content()], kind=None),
        lambda c: drain(c.models.generate_content_stream(**GEMINI_MODEL, contents="x")),
        GEMINI,
    ),
    "chat": Case(body(wire.content()), lambda c: c.chats.create(**GEMINI_MODEL).send_message("x"), GEMINI),
    "embed": Case(
        body({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}),
        lambda c: c.models.embed_content(model="gemini-embedding-001", contents="x"),
        TokenUsage(5, 0),
        "embeddings",
    ),
    "interaction": Case(body(INTERACTION), lambda c: c.interactions.create(**GEMINI_MODEL, input="x"), GEMINI),
    "interaction_streamed": Case(
        events(INTERACTION_EVENTS, kind="event_type"),
        lambda c: drain(c.interactions.create(**GEMINI_MODEL, input="x", stream=True)),
        GEMINI,
    ),
    "interaction_raw": Case(
        body(INTERACTION),
        lambda c: c.interactions.with_raw_response.create(**GEMINI_MODEL, input="x").parse(),
        GEMINI,
    ),
}


@pytest.mark.parametrize("name", GEMINI_CASES)
def test_google_genai(name: str, spans: Spans) -> None:
    case = GEMINI_CASES[name]
    operation = "generate_content" if case.operation == "chat" else case.operation
    server = Server(case.answer)
    case.call(gemini(server))
    check(case._replace(provider="gcp.gemini", operation=operation), server, spans)


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
def test_images_on_vertex_are_calls_without_tokens(spans: Spans) -> None:
    server = Server(body({"predictions": []}))
    client = gemini(server, vertexai=True, project="p", location="europe-west1", credentials=Credentials(token="t"))
    client.models.generate_images(model="imagen-4.0-generate-001", prompt="x")
    check(Case(body({}), print, UNKNOWN, "image_generation", "gcp.vertex_ai"), server, spans)


async def test_google_genai_async(spans: Spans) -> None:
    server = Server(body({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 5}}))
    await gemini(server).aio.models.embed_content(model="gemini-embedding-001", contents="x")
    check(Case(body({}), print, TokenUsage(5, 0), "embeddings", "gcp.gemini"), server, spans)


async def test_an_async_interaction_stream(spans: Spans) -> None:
    server = Server(events(INTERACTION_EVENTS, kind="event_type"))
    async for _ in await gemini(server).aio.interactions.create(**GEMINI_MODEL, input="x", stream=True):
        pass
    check(Case(body({}), print, GEMINI, "generate_content", "gcp.gemini"), server, spans)


def asks_for_a_tool_once(request: httpx2.Request) -> httpx2.Response:
    if b"functionResponse" in request.content:
        return body(wire.content())
    return body(wire.content([{"functionCall": {"name": "add", "args": {"left": 1, "right": 2}}}]))


def test_automatic_function_calling_counts_every_http_call(spans: Spans) -> None:
    server = Server(asks_for_a_tool_once)
    gemini(server).models.generate_content(
        **GEMINI_MODEL, contents="x", config=types.GenerateContentConfig(tools=[add])
    )
    assert len(server.requests) == 2
    assert [usage_of(span) for span in spans.all()] == [GEMINI, GEMINI]


async def test_automatic_function_calling_counts_every_http_call_async(spans: Spans) -> None:
    server = Server(asks_for_a_tool_once)
    await gemini(server).aio.models.generate_content(
        **GEMINI_MODEL, contents="x", config=types.GenerateContentConfig(tools=[add])
    )
    assert len(server.requests) == 2
    assert [usage_of(span) for span in spans.all()] == [GEMINI, GEMINI]
