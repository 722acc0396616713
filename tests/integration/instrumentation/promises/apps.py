"""What an app does with the SDKs, each way once, and all that it can notice of it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types

from ai_usage import AIUsageTracker, log_ai_usage, usage_context
from tests.integration.instrumentation import wire
from tests.integration.instrumentation.test_stream_ends import BODIES, chat_chunks

HELLO: Any = [{"role": "user", "content": "x"}]
CLAUDE: Any = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
GEMINI: Any = {"model": "gemini-2.5-flash", "contents": "x"}
REFUSED = httpx2.Response(429, json={"error": {"message": "secret", "code": 429, "type": "rate_limit_error"}})

Run = Callable[[], Any]


CHUNKS = chat_chunks()


def chat_stream(request: httpx2.Request) -> httpx2.Response:
    """Report usage at the end when asked to, as OpenAI does."""
    return wire.events(CHUNKS if b"include_usage" in request.content else CHUNKS[:-1], kind=None)


def refusing_stream_options(request: httpx2.Request) -> httpx2.Response:
    if b"stream_options" in request.content:
        return httpx2.Response(400, json={"error": {"message": "unknown parameter stream_options"}})
    return chat_stream(request)


def sync_app(name: str) -> Run:
    """Return a run whose clients exist already."""
    http = wire.Server(_answer(name)).client
    api = openai.OpenAI(api_key="k", http_client=http, max_retries=0)
    claude = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)
    gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=http)).models
    raw_messages = claude.messages.with_raw_response
    runs: dict[str, Run] = {
        "openai": lambda: api.chat.completions.create(model="gpt-4o", messages=HELLO).to_json(),
        "openai failing": lambda: api.chat.completions.create(model="gpt-4o", messages=HELLO),
        "openai streamed": lambda: dump(api.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)),
        "openai streamed without usage": lambda: dump(
            api.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        ),
        "openai left early": lambda: leave(api.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)),
        "openai responses": lambda: api.responses.create(model="gpt-4o", input="x").to_json(),
        "openai raw": lambda: (
            api.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO).parse().to_json()
        ),
        "anthropic": lambda: claude.messages.create(**CLAUDE).to_json(),
        "anthropic failing": lambda: claude.messages.create(**CLAUDE),
        "anthropic streamed": lambda: dump(claude.messages.create(**CLAUDE, stream=True)),
        "anthropic raw streamed": lambda: dump(raw_messages.create(**CLAUDE, stream=True).parse()),
        "google_genai": lambda: gemini.generate_content(**GEMINI).text,
        "google_genai failing": lambda: gemini.generate_content(**GEMINI),
        "google_genai streamed": lambda: dump(gemini.generate_content_stream(**GEMINI)),
        "by hand": by_hand,
        "by hand failing": by_hand_failing,
        "logged": lambda: isinstance(log_ai_usage("7", "a@x", "s", "a", "openai", "gpt-4o", 10, 5), bool),
    }
    return runs[name]


def async_app(name: str) -> Run:
    """Return the same for the async clients: each run a loop of its own."""
    http = wire.Server(_answer(name)).async_client
    api = openai.AsyncOpenAI(api_key="k", http_client=http, max_retries=0)
    claude = anthropic.AsyncAnthropic(api_key="k", http_client=http, max_retries=0)
    gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_async_client=http)).aio.models

    async def run() -> Any:
        match name:
            case "openai" | "openai failing":
                return (await api.chat.completions.create(model="gpt-4o", messages=HELLO)).to_json()
            case "openai streamed" | "openai streamed without usage":
                return await adump(await api.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
            case "anthropic" | "anthropic failing":
                return (await claude.messages.create(**CLAUDE)).to_json()
            case "anthropic streamed":
                return await adump(await claude.messages.create(**CLAUDE, stream=True))
            case "google_genai" | "google_genai failing":
                return (await gemini.generate_content(**GEMINI)).text
            case "google_genai streamed":
                return await adump(await gemini.generate_content_stream(**GEMINI))
        raise NotImplementedError(name)

    return lambda: asyncio.run(run())


SYNC = (
    "openai", "openai failing", "openai streamed", "openai streamed without usage", "openai left early",
    "openai responses", "openai raw", "anthropic", "anthropic failing", "anthropic streamed",
    "anthropic raw streamed", "google_genai", "google_genai failing", "google_genai streamed",
    "by hand", "by hand failing", "logged",
)  # fmt: skip
ASYNC = (
    "openai", "openai failing", "openai streamed", "openai streamed without usage", "anthropic", "anthropic failing",
    "anthropic streamed", "google_genai", "google_genai failing", "google_genai streamed",
)  # fmt: skip


def outcome(run: Run) -> tuple[Any, ...]:
    """Return all that the app notices: the result, or the exception with its chain and the frames it came through."""
    try:
        return ("returned", run())
    except Exception as error:
        frames = [
            (frame.filename, frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if "/ai_usage/" not in frame.filename and "/promises/" not in frame.filename
        ]
        return ("raised", type(error), str(error), _chain(error), frames)


def _chain(error: BaseException) -> list[type[BaseException]]:
    chain = []
    while (inner := error.__cause__ or error.__context__) is not None:
        chain.append(type(inner))
        error = inner
    return chain


def _answer(name: str) -> Any:
    if name.endswith("failing"):
        return REFUSED
    sdk = name.split()[0]
    if "without usage" in name:
        return refusing_stream_options
    if "streamed" in name or "left early" in name:
        return chat_stream if sdk == "openai" else BODIES[sdk]
    if name == "openai responses":
        return wire.body(wire.response())
    return wire.body(
        {"openai": wire.chat, "anthropic": wire.message, "google_genai": wire.content}.get(sdk, wire.chat)()
    )


def by_hand() -> Any:
    with usage_context(user_id="7", user_email="a@x", metadata={"n": 1}):
        with AIUsageTracker("8", service_name="s", provider="openai", model="gpt-4o") as tracked:
            tracked.set_response(wire.chat())
            tracked.add_metadata("pages", 3)
            tracked.set_tokens(10, 5)
            return "done"


def by_hand_failing() -> Any:
    with AIUsageTracker("8", provider="openai", model="gpt-4o") as tracked:
        tracked.set_error("no", "429")
        raise KeyError("mine")


def dump(stream: Any) -> list[str]:
    return [chunk.model_dump_json() for chunk in stream]


async def adump(stream: Any) -> list[str]:
    return [chunk.model_dump_json() async for chunk in stream]


def leave(stream: Any) -> str:
    first = next(iter(stream)).model_dump_json()
    stream.close()
    return str(first)
