"""Make the calls of the vectors of LangChain under the official packages: its span around that of the SDK."""

from langchain_openai import ChatOpenAI
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from session import CHAT, OPENAI, case, provider

traces = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
LangChainInstrumentor().instrument(tracer_provider=traces)
with case("wrapper-langchain", traces.force_flush):
    ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0).invoke("Say something short.")
