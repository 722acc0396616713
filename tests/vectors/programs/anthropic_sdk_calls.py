"""Make the calls of the vectors of Anthropic's native tracing, alone and under an instrumentor."""

import anthropic
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from sdk_calls import anthropic_calls
from session import ANTHROPIC, ASK, CLAUDE, case, provider

traces = provider()
flush = traces.force_flush
client = anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0)
anthropic_calls(client, flush, "")


@anthropic.beta_tool
def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


with case("wrapper-tool-runner", flush):
    runner = client.beta.messages.tool_runner(model=CLAUDE, max_tokens=100, messages=ASK, tools=[opening_hours])
    runner.until_done()
AnthropicInstrumentor().instrument(tracer_provider=traces)
with case("wrapper-instrumentor", flush):
    anthropic.Anthropic(base_url=ANTHROPIC, api_key="none").messages.create(model=CLAUDE, max_tokens=100, messages=ASK)
