# ruff: noqa: E402 - the package reads the environment when it is imported
"""Make the calls of the vectors of Langfuse's OpenAI wrapper around an SDK that is traced too."""

import os

from session import ASK, CHAT, OPENAI, STAND_IN, case, provider

os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-1", "LANGFUSE_BASE_URL": STAND_IN}
traces = provider()
from langfuse import Langfuse
from langfuse.openai import OpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor

Langfuse(tracer_provider=traces, should_export_span=lambda span: True)
OpenAIInstrumentor().instrument(tracer_provider=traces)
client = OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
call = {"model": CHAT, "messages": ASK}
with case("wrapper-sdk", traces.force_flush):
    client.chat.completions.create(**call)
with case("wrapper-sdk-stream", traces.force_flush):
    list(client.chat.completions.create(**call, stream=True, stream_options={"include_usage": True}))
