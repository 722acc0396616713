"""The anthropic SDK with its native tracing, under two instrumentations more."""

from __future__ import annotations

import asyncio

import anthropic
import telemetry
from openinference.instrumentation.anthropic import AnthropicInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor as Official

CALL = {"model": "claude-3-5-sonnet-20241022", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}


async def parallel() -> None:
    """Make calls that look exactly alike at the same time."""
    async with anthropic.AsyncAnthropic() as client:
        await asyncio.gather(*(client.messages.create(**CALL) for _ in range(4)))


def main() -> None:
    """Make every kind of call."""
    telemetry.start()
    Official().instrument()
    OpenInference().instrument()
    with anthropic.Anthropic(max_retries=0) as client:
        client.messages.create(**CALL)
        client.messages.create(**CALL)
        for _ in client.messages.create(**CALL, stream=True):
            pass
        with client.messages.stream(**CALL) as stream:
            for _ in stream.text_stream:
                pass
    asyncio.run(parallel())


if __name__ == "__main__":
    main()
