"""The openai SDK under three instrumentations at once: plain, streamed, parallel, embedding and refused calls."""

from __future__ import annotations

import asyncio
import contextlib

import openai
import telemetry
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as Official

import ai_usage

HELLO = [{"role": "user", "content": "hello"}]


async def parallel() -> None:
    """Make calls that look exactly alike at the same time."""
    async with openai.AsyncOpenAI() as client:
        await asyncio.gather(*(client.chat.completions.create(model="gpt-4o", messages=HELLO) for _ in range(8)))


def main() -> None:
    """Make every kind of call."""
    provider = telemetry.start()
    ai_usage.instrument(sdks=["openai"])
    Official().instrument()
    OpenInference().instrument()
    tracer = provider.get_tracer("app")
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        with tracer.start_as_current_span("request"):
            client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
            stream = client.chat.completions.create(
                model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
            for _ in stream:
                pass
            client.embeddings.create(model="text-embedding-3-small", input="hello")
        with contextlib.suppress(openai.RateLimitError):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "[fail]"}])
    asyncio.run(parallel())
    with tracer.start_as_current_span("fan out"):
        asyncio.run(parallel())


if __name__ == "__main__":
    main()
