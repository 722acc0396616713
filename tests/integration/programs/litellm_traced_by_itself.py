"""LiteLLM with its own OpenTelemetry callback over the openai SDK under another instrumentation, ours not there."""

from __future__ import annotations

import asyncio

import litellm
import telemetry
from openinference.instrumentation.litellm import LiteLLMInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

HELLO = [{"role": "user", "content": "hello"}]


async def main() -> None:
    """Make calls and wait until LiteLLM has told its callback of them."""
    telemetry.start()
    LiteLLMInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    litellm.callbacks = ["otel"]
    await asyncio.gather(*(litellm.acompletion(model="openai/gpt-4o", messages=HELLO) for _ in range(4)))
    response = await litellm.acompletion(
        model="openai/gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    async for _ in response:
        pass
    await litellm.aembedding(model="openai/text-embedding-3-small", input=["hello"])
    await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
