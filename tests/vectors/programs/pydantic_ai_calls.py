"""Make the calls of the pydantic-ai vectors: models by themselves, agents around them."""

import asyncio

import openai
from pydantic_ai import Agent, Embedder
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from session import CHAT, EMBEDDING, OPENAI, REASONING, case, provider

traces = provider()
flush = traces.force_flush
sdk = OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=OPENAI, api_key="none", max_retries=0))
chat = OpenAIChatModel(CHAT, provider=sdk)
ask = [ModelRequest.user_text_prompt("Say something short.")]
Agent.instrument_all()


async def main():
    for name in ("plain", "cached"):
        with case(name, flush):
            await model_request(chat, ask, instrument=True)
    with case("stream", flush):
        async with model_request_stream(chat, ask, instrument=True) as stream:
            async for _ in stream:
                pass
    with case("reasoning", flush):
        await model_request(OpenAIChatModel(REASONING, provider=sdk), ask, instrument=True)
    with case("error", flush, fails=True):
        await model_request(chat, ask, instrument=True)
    with case("embedding", flush):
        await Embedder(OpenAIEmbeddingModel(EMBEDDING, provider=sdk), instrument=True).embed_query("words")
    with case("wrapper-agent", flush):
        await Agent(chat).run("Say something short.")
    with case("wrapper-agent-with-tool", flush):
        agent = Agent(chat)

        @agent.tool_plain
        def opening_hours() -> str:
            """Tell when the clinic is open."""
            return "8 to 17"

        await agent.run("When are you open?")


asyncio.run(main())
