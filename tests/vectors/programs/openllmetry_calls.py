"""Make the calls of the OpenLLMetry vectors."""

import anthropic
import openai
from google import genai
from langchain_openai import ChatOpenAI
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor
from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from sdk_calls import SAY, anthropic_calls, gemini_calls, openai_calls, retrieve
from session import ANTHROPIC, CHAT, GEMINI, OPENAI, case, provider

traces = provider()
for instrumentor in (OpenAIInstrumentor, AnthropicInstrumentor, GoogleGenerativeAiInstrumentor):
    instrumentor().instrument(tracer_provider=traces)
flush = traces.force_flush
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
openai_calls(client, flush, user="u-17")
retrieve(client, flush)
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), flush)
gemini_calls(genai.Client(api_key="none", http_options={"base_url": GEMINI}), flush)
LangchainInstrumentor().instrument(tracer_provider=traces)
with case("wrapper-langchain", flush):
    ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0).invoke(SAY)
