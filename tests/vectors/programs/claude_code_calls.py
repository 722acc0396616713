"""Make the calls of the Claude Code vectors: its events, its spans, and both, exported by itself when it ends."""

from claude_agent import EVENTS, SPANS, ask
from session import case


def flush():
    """It was done when the program ended."""


for name in ("plain", "cached", "reasoning", "error"):
    with case(name, flush, fails=name == "error"):
        ask("Say something short.", environment=EVENTS)
for name in ("cached", "error"):
    with case(f"span-{name}", flush, fails=name == "error"):
        ask("Say something short.", environment=SPANS)
with case("span-and-event", flush):
    ask("Say something short.", environment=EVENTS | SPANS)
with case("span-and-event-cached", flush):
    ask("Say something short.", environment=EVENTS | SPANS)
with case("wrapper-agent-with-tool", flush):
    ask("When are you open?", environment=EVENTS | SPANS, with_tool=True)
