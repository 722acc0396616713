"""A pydantic-ai agent with a tool over the openai SDK, both instrumented: totals on the agent, calls below it twice."""

from __future__ import annotations

import telemetry
from openinference.instrumentation.openai import OpenAIInstrumentor
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

import ai_usage


def main() -> None:
    """Run agents: with a tool, without, and twice in one trace."""
    provider = telemetry.start()
    ai_usage.instrument(sdks=["openai"])
    OpenAIInstrumentor().instrument()
    Agent.instrument_all()
    agent = Agent(OpenAIChatModel("gpt-4o-mini"))

    @agent.tool_plain
    def opening_hours() -> str:
        """Tell when the clinic is open."""
        return "8 to 17"

    agent.run_sync("When are you open?")
    Agent(OpenAIChatModel("gpt-4o")).run_sync("Hello")
    with provider.get_tracer("app").start_as_current_span("request"):
        agent.run_sync("When are you open?")
        agent.run_sync("And when do you close?")


if __name__ == "__main__":
    main()
