"""The anthropic SDK summing up a long conversation: its own tracing and three instrumentations, then ours too."""

from __future__ import annotations

import anthropic
import telemetry
from openinference.instrumentation.anthropic import AnthropicInstrumentor as OpenInference
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as OpenLLMetry
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor as Official

import ai_usage

CALL = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hello"}],
    "betas": ["compact-2026-01-12"],
    "context_management": {"edits": [{"type": "compact_20260112"}]},
}


ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-5"}


def calls() -> None:
    """Make a call of each kind."""
    with anthropic.Anthropic(max_retries=0) as client:
        client.beta.messages.create(**CALL)
        client.beta.messages.create(**CALL)
        for _ in client.beta.messages.create(**CALL, stream=True):
            pass


def main() -> None:
    """Make the calls twice."""
    telemetry.start()
    for instrumentor in (Official, OpenInference, OpenLLMetry):
        instrumentor().instrument()
    calls()
    ai_usage.instrument(sdks=["anthropic"])
    calls()
    # Nobody else tells of the advisor.
    with anthropic.Anthropic(max_retries=0) as client:
        client.beta.messages.create(**CALL | {"tools": [ADVISOR], "betas": ["advisor-tool-2026-03-01"]})


if __name__ == "__main__":
    main()
