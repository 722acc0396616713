"""Run the Claude Agent SDK, and so Claude Code, against the stand-in: nothing of the user's own is read or written."""

import asyncio
import os
import tempfile

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, create_sdk_mcp_server, tool
from session import ANTHROPIC, CLAUDE

_HOME = tempfile.mkdtemp()
_ENVIRONMENT = {
    "HOME": _HOME,
    "TERM": "dumb",
    "ANTHROPIC_BASE_URL": ANTHROPIC,
    "ANTHROPIC_API_KEY": "none",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
}
TELEMETRY = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "OTEL_SERVICE_NAME": "claude-code",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_BLRP_SCHEDULE_DELAY": "100",
}
EVENTS = {**TELEMETRY, "OTEL_LOGS_EXPORTER": "otlp"}
SPANS = {**TELEMETRY, "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1", "OTEL_TRACES_EXPORTER": "otlp"}


@tool("opening_hours", "Tell when the clinic is open.", {})
async def opening_hours(arguments):
    return {"content": [{"type": "text", "text": "8 to 17"}]}


def ask(*questions, environment=None, with_tool=False):
    """Put questions to one session. A refused one raises ``RuntimeError``."""
    options = ClaudeAgentOptions(
        model=CLAUDE,
        max_turns=4,
        tools=[],
        setting_sources=[],
        cwd=_HOME,
        env={key: "" for key in os.environ if key.startswith("OTEL_")} | _ENVIRONMENT | (environment or {}),
        mcp_servers={"clinic": create_sdk_mcp_server("clinic", tools=[opening_hours])} if with_tool else {},
        allowed_tools=["mcp__clinic__opening_hours"] if with_tool else [],
    )
    if environment:
        options.env |= {key: os.environ[key] for key in os.environ if key.startswith("OTEL_EXPORTER_")}
    asyncio.run(_ask(options, questions))


async def _ask(options, questions):
    async with ClaudeSDKClient(options) as client:
        for question in questions:
            await client.query(question)
            async for message in client.receive_response():
                if getattr(message, "is_error", False):
                    raise RuntimeError(message.result)
