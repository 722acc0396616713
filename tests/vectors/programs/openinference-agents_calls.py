"""Make the calls of the vectors of agents and chains under OpenInference, around the traced SDK."""

import asyncio

import agents
import openai
from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_attributes
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from session import CHAT, OPENAI, case, provider

traces = provider()
flush = traces.force_flush
OpenAIAgentsInstrumentor().instrument(tracer_provider=traces)
LangChainInstrumentor().instrument(tracer_provider=traces)


def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


def openai_agent():
    client = openai.AsyncOpenAI(base_url=OPENAI, api_key="none", max_retries=0)
    agents.set_default_openai_client(client, use_for_tracing=False)
    clerk = agents.Agent("clerk", model=CHAT, tools=[agents.function_tool(opening_hours)])
    asyncio.run(agents.Runner.run(clerk, "When are you open?"))


def langchain_agent():
    model = ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0)
    create_agent(model, [opening_hours]).invoke({"messages": [{"role": "user", "content": "When are you open?"}]})


def langchain_chain():
    model = ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0)
    (ChatPromptTemplate.from_template("Say {what}.") | model).invoke({"what": "something"})


with case("wrapper-openai-agents", flush):
    openai_agent()
with case("wrapper-langchain-agent", flush):
    langchain_agent()
with case("wrapper-langchain-chain", flush):
    langchain_chain()
OpenAIInstrumentor().instrument(tracer_provider=traces)
with case("wrapper-openai-agents-over-sdk", flush), using_attributes(user_id="u-17", session_id="s-4"):
    openai_agent()
with case("wrapper-langchain-agent-over-sdk", flush):
    langchain_agent()
