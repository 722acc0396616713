"""Make the calls of the vectors of OpenLIT's LangChain around the SDK that it traces too."""

import openlit
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from opentelemetry import trace
from session import CHAT, OPENAI, STAND_IN, case

openlit.init(
    otlp_endpoint=STAND_IN, application_name="vectors", environment="test", disable_metrics=True, pricing_json=None
)


def flush():
    trace.get_tracer_provider().force_flush()


def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


model = ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0)
with case("wrapper-langchain", flush):
    model.invoke("Say something short.")
with case("wrapper-langchain-agent", flush):
    create_agent(model, [opening_hours]).invoke({"messages": [{"role": "user", "content": "When are you open?"}]})
