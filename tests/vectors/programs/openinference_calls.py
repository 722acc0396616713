"""Make the calls of the OpenInference vectors."""

import anthropic
import openai
from google import genai
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_attributes
from openinference.instrumentation.anthropic import AnthropicInstrumentor
from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from sdk_calls import SAY, anthropic_calls, gemini_calls, openai_calls, retrieve
from session import ANTHROPIC, CHAT, GEMINI, OPENAI, case, provider

traces = provider()
for instrumentor in (OpenAIInstrumentor, AnthropicInstrumentor, GoogleGenAIInstrumentor, LangChainInstrumentor):
    instrumentor().instrument(tracer_provider=traces)
flush = traces.force_flush
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)


def somebody():
    return using_attributes(user_id="u-17", session_id="s-4", metadata={"team": "radiology"})


openai_calls(client, flush, somebody)
retrieve(client, flush)
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), flush)
gemini_calls(genai.Client(api_key="none", http_options={"base_url": GEMINI}), flush)
with case("wrapper-langchain", flush):
    ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0).invoke(SAY)
