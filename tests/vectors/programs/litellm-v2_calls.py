"""Make the calls of the vectors of LiteLLM's second tracing, alone and around an SDK that is traced too."""

import asyncio
import os

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_OTEL_V2": "true"}
import litellm
from litellm.integrations.otel.logger import OpenTelemetryV2
from openinference.instrumentation.openai import OpenAIInstrumentor
from session import ANTHROPIC, ASK, CHAT, CLAUDE, EMBEDDING, OPENAI, REASONING, case, provider

traces = provider()
flush = traces.force_flush
litellm.callbacks = [OpenTelemetryV2(tracer_provider=traces)]
openai = {"api_base": OPENAI, "api_key": "none", "max_retries": 0, "num_retries": 0}


async def main():
    with case("v2-plain", flush):
        await litellm.acompletion(
            model="openai/" + CHAT, messages=ASK, user="u-17", metadata={"team": "radiology"}, **openai
        )
        await asyncio.sleep(0.5)  # its callbacks are tasks nobody waits for
    with case("v2-stream", flush):
        wanted = {"include_usage": True}
        chunks = await litellm.acompletion(
            model="openai/" + CHAT, messages=ASK, stream=True, stream_options=wanted, **openai
        )
        async for _ in chunks:
            pass
        await asyncio.sleep(0.5)
    with case("v2-cached", flush):
        await litellm.acompletion(model="openai/" + CHAT, messages=ASK, **openai)
        await asyncio.sleep(0.5)
    with case("v2-reasoning", flush):
        await litellm.acompletion(model="openai/" + REASONING, messages=ASK, **openai)
        await asyncio.sleep(0.5)
    with case("v2-error", flush):
        try:
            await litellm.acompletion(model="openai/" + CHAT, messages=ASK, **openai)
        except litellm.RateLimitError:
            await asyncio.sleep(0.5)
    with case("v2-embedding", flush):
        await litellm.aembedding(model="openai/" + EMBEDDING, input=["words"], api_base=OPENAI, api_key="none")
        await asyncio.sleep(0.5)
    with case("v2-anthropic-cached", flush):
        await litellm.acompletion(model="anthropic/" + CLAUDE, messages=ASK, api_base=ANTHROPIC, api_key="none")
        await asyncio.sleep(0.5)
    OpenAIInstrumentor().instrument(tracer_provider=traces)
    with case("v2-wrapper-sdk", flush):
        await litellm.acompletion(model="openai/" + CHAT, messages=ASK, **openai)
        await asyncio.sleep(0.5)


asyncio.run(main())
os._exit(0)  # its worker threads would wait for work
