"""Make the calls of the vectors of the conventions' older names, as the package before the split writes them."""

import openai
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from session import ASK, CHAT, OPENAI, case, provider

traces = provider()
flush = traces.force_flush
OpenAIInstrumentor().instrument(tracer_provider=traces)
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
with case("older-plain", flush):
    client.chat.completions.create(model=CHAT, messages=ASK)
with case("older-stream", flush):
    list(client.chat.completions.create(model=CHAT, messages=ASK, stream=True, stream_options={"include_usage": True}))
with case("older-error", flush, fails=True):
    client.chat.completions.create(model=CHAT, messages=ASK)
