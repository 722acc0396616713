"""Make the calls of the vectors of Anthropic's native tracing, alone and under instrumentors."""

import anthropic
from openinference.instrumentation.anthropic import AnthropicInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from sdk_calls import anthropic_calls
from session import ANTHROPIC, ASK, CLAUDE, STAND_IN, case, provider

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
beta = {"max_tokens": 100, "messages": ASK}
compact = {
    "betas": ["compact-2026-01-12"],
    "context_management": {"edits": [{"type": "compact_20260112"}]},
    "model": CLAUDE,
    **beta,
}
with case("compaction", flush):
    client.beta.messages.create(**compact)
with case("stream-compaction", flush):
    list(client.beta.messages.create(**compact, stream=True))
with case("fallback", flush):
    client.beta.messages.create(
        model="claude-fable-5",
        betas=["server-side-fallback-2026-07-01"],
        fallbacks=[{"model": "claude-opus-4-8"}],
        **beta,
    )
with case("server-tool-search", flush):
    search = {"type": "web_search_20250305", "name": "web_search"}
    client.beta.messages.create(model=CLAUDE, tools=[search], **beta)
bedrock = anthropic.AnthropicBedrock(
    base_url=STAND_IN + "/bedrock", aws_access_key="none", aws_secret_key="none", aws_region="us-east-1", max_retries=0
)
vertex = anthropic.AnthropicVertex(
    base_url=STAND_IN + "/vertex", access_token="none", project_id="clinic", region="us-east5", max_retries=0
)
for platform, made, model in (
    ("bedrock", bedrock, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("vertex", vertex, "claude-sonnet-4-5@20250929"),
):
    for name in ("plain", "cached"):
        with case(f"{platform}-{name}", flush):
            made.messages.create(model=model, max_tokens=100, messages=ASK)
AnthropicInstrumentor().instrument(tracer_provider=traces)
client = anthropic.Anthropic(base_url=ANTHROPIC, api_key="none")
with case("wrapper-instrumentor", flush):
    client.messages.create(model=CLAUDE, max_tokens=100, messages=ASK)
OpenInference().instrument(tracer_provider=traces)
with case("wrapper-instrumentors-compaction", flush):
    client.beta.messages.create(**compact)
