"""Make the calls of the vectors of the Claude Agent SDK under Logfire."""

import logfire
from claude_agent import SPANS, ask
from session import case

logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
logfire.instrument_claude_agent_sdk()
for name in ("plain", "cached", "reasoning", "error"):
    with case(f"claude-agent-{name}", logfire.force_flush, fails=name == "error"):
        ask("Say something short.")
with case("claude-agent-two-questions", logfire.force_flush):
    ask("Say something short.", "And something else.")
with case("wrapper-claude-agent-with-tool", logfire.force_flush):
    ask("When are you open?", with_tool=True)
with case("wrapper-claude-agent-over-claude-code", logfire.force_flush), logfire.span("request"):
    ask("When are you open?", environment=SPANS, with_tool=True)
