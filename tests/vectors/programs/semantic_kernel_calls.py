"""Make the calls of the Semantic Kernel vectors."""

import asyncio
import os

os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS"] = "true"
import openai
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.contents import ChatHistory
from semantic_kernel.functions import kernel_function
from session import CHAT, OPENAI, REASONING, case, provider

traces = provider()
flush = traces.force_flush
client = openai.AsyncOpenAI(base_url=OPENAI, api_key="none", max_retries=0)
history = ChatHistory()
history.add_user_message("Say something short.")
settings = OpenAIChatPromptExecutionSettings()


class Clinic:
    @kernel_function(description="Tell when the clinic is open.")
    def opening_hours(self) -> str:
        return "8 to 17"


async def main():
    for name, model in (("plain", CHAT), ("cached", CHAT), ("reasoning", REASONING), ("error", CHAT)):
        with case(name, flush, fails=name == "error"):
            await OpenAIChatCompletion(model, async_client=client).get_chat_message_contents(history, settings)
    with case("stream", flush):
        async for _ in OpenAIChatCompletion(CHAT, async_client=client).get_streaming_chat_message_contents(
            history, settings
        ):
            pass
    with case("wrapper-agent-with-tool", flush):
        service = OpenAIChatCompletion(CHAT, async_client=client)
        clerk = ChatCompletionAgent(service=service, name="clerk", instructions="Answer.", plugins=[Clinic()])
        await clerk.get_response("When are you open?")


asyncio.run(main())
