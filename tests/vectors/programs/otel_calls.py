"""Make the calls of the vectors of the official split packages."""

import anthropic
import openai
from google import genai
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor
from sdk_calls import anthropic_calls, gemini_calls, openai_calls, retrieve
from session import ANTHROPIC, GEMINI, OPENAI, provider

traces = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
# The SDK's own tracing would tell of each call a second time: its vectors are in anthropic_sdk.
AnthropicInstrumentor().instrument(tracer_provider=traces)
# This release checks for an older google-genai, which it wraps in the same places.
GoogleGenAiSdkInstrumentor().instrument(tracer_provider=traces, skip_dep_check=True)
flush = traces.force_flush
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
openai_calls(client, flush)
retrieve(client, flush)
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), flush)
gemini_calls(genai.Client(api_key="none", http_options={"base_url": GEMINI}), flush)
