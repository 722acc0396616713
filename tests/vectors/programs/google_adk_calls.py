# ruff: noqa: E402 - the package reads the environment when it is imported
"""Make the calls of the Google ADK vectors."""

import asyncio
import os

from session import GEMINI, GEMINI_MODEL, case, provider

os.environ |= {"GOOGLE_API_KEY": "none", "GOOGLE_GENAI_USE_VERTEXAI": "0", "GOOGLE_GEMINI_BASE_URL": GEMINI}
traces = provider()
from google.adk.agents import Agent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.genai import types

ask = types.Content(role="user", parts=[types.Part(text="Say something short.")])


def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


async def main():
    for name in ("plain", "cached", "reasoning", "stream", "error", "wrapper-agent-with-tool"):
        clerk = Agent(
            name="clerk", model=GEMINI_MODEL, instruction="Answer.", tools=[opening_hours] if "tool" in name else []
        )
        runner = InMemoryRunner(clerk, app_name="app")
        mode = StreamingMode.SSE if name == "stream" else StreamingMode.NONE
        with case(name, traces.force_flush, fails=name == "error"):
            session = await runner.session_service.create_session(
                app_name="app", user_id="u-17", session_id=f"s-{name}"
            )
            async for _ in runner.run_async(
                user_id="u-17", session_id=session.id, new_message=ask, run_config=RunConfig(streaming_mode=mode)
            ):
                pass


asyncio.run(main())
