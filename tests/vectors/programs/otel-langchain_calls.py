"""Make the calls of the vectors of LangChain under the official packages: its span around that of the SDK."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from session import CHAT, OPENAI, case, provider

traces = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
LangChainInstrumentor().instrument(tracer_provider=traces)


def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


model = ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0)
with case("wrapper-langchain", traces.force_flush):
    model.invoke("Say something short.")
with case("wrapper-langchain-agent", traces.force_flush):
    create_agent(model, [opening_hours]).invoke({"messages": [{"role": "user", "content": "When are you open?"}]})
