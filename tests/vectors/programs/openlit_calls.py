"""Make the calls of the OpenLIT vectors."""

import anthropic
import openai
import openlit
from google import genai
from google.genai import types
from opentelemetry import trace
from sdk_calls import anthropic_calls, gemini_calls, openai_calls
from session import ANTHROPIC, GEMINI, OPENAI, STAND_IN

openlit.init(
    otlp_endpoint=STAND_IN, application_name="vectors", environment="test", disable_metrics=True, pricing_json=None
)


def flush():
    trace.get_tracer_provider().force_flush()


openai_calls(openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0), flush, user="u-17")
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), flush)
gemini_calls(genai.Client(api_key="none", http_options=types.HttpOptions(base_url=GEMINI)), flush)
