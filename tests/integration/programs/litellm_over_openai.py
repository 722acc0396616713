"""LiteLLM over the openai SDK, both instrumented: its own spans repeat those of the SDK inside it."""

from __future__ import annotations

import asyncio

import litellm
import telemetry
from openinference.instrumentation.litellm import LiteLLMInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

import ai_usage

HELLO = [{"role": "user", "content": "hello"}]


async def main() -> None:
    """Make every kind of call."""
    telemetry.start()
    ai_usage.instrument(sdks=["openai", "litellm"])
    LiteLLMInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    litellm.completion(model="openai/gpt-4o-mini", messages=HELLO)
    for _ in litellm.completion(
        model="openai/gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ):
        pass
    await asyncio.gather(*(litellm.acompletion(model="openai/gpt-4o", messages=HELLO) for _ in range(4)))
    litellm.embedding(model="openai/text-embedding-3-small", input=["hello"])


if __name__ == "__main__":
    asyncio.run(main())
