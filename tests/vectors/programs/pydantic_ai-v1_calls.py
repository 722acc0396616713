"""Make the calls of the vectors of pydantic-ai 1, whose agents total under the names that calls have."""

import openai
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from session import CHAT, OPENAI, case, provider

traces = provider()
sdk = OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=OPENAI, api_key="none", max_retries=0))
Agent.instrument_all()
agent = Agent(OpenAIChatModel(CHAT, provider=sdk))


@agent.tool_plain
def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


with case("v1-wrapper-agent-with-tool", traces.force_flush):
    agent.run_sync("When are you open?")
