"""Make the calls of the vectors of OpenInference that writes the conventions' keys beside its own."""

import os

os.environ["OPENINFERENCE_ENABLE_GENAI_SEMCONV"] = "true"
import anthropic
import openai
from openinference.instrumentation.anthropic import AnthropicInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from session import ANTHROPIC, ASK, CHAT, CLAUDE, EMBEDDING, OPENAI, case, provider

traces = provider()
flush = traces.force_flush
OpenAIInstrumentor().instrument(tracer_provider=traces)
AnthropicInstrumentor().instrument(tracer_provider=traces)
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
for name in ("plain", "cached", "reasoning"):
    with case(f"both-families-{name}", flush):
        client.chat.completions.create(model=CHAT, messages=ASK)
with case("both-families-embedding", flush):
    client.embeddings.create(model=EMBEDDING, input="words")
quiet = anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0)
with case("both-families-anthropic-cached", flush):
    quiet.messages.create(model=CLAUDE, max_tokens=100, messages=ASK)
