# ruff: noqa: E402 - the package reads the environment when it is imported
"""Make the calls of the Langfuse vectors: its OpenAI wrapper, its LangChain handler, its own spans."""

import os

from session import ASK, CHAT, OPENAI, STAND_IN, case, provider

os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-1", "LANGFUSE_BASE_URL": STAND_IN}
traces = provider()

from langchain_openai import ChatOpenAI
from langfuse import Langfuse, observe, propagate_attributes
from langfuse.langchain import CallbackHandler
from langfuse.openai import OpenAI
from sdk_calls import SAY, openai_calls

langfuse = Langfuse(tracer_provider=traces)
flush = traces.force_flush
client = OpenAI(base_url=OPENAI, api_key="none", max_retries=0)


def somebody():
    return propagate_attributes(user_id="u-17", session_id="s-4", metadata={"team": "radiology"})


openai_calls(client, flush, somebody)


@observe(as_type="agent")
def agent():
    client.chat.completions.create(model=CHAT, messages=ASK)


with case("wrapper-agent", flush):
    agent()
for name in ("langchain-cached", "langchain-reasoning"):
    with case(name, flush):
        ChatOpenAI(model=CHAT, base_url=OPENAI, api_key="none", max_retries=0).invoke(
            SAY, config={"callbacks": [CallbackHandler()]}
        )


@observe(as_type="tool")
def opening_hours():
    return "8 to 17"


@observe(as_type="chain")
def chain():
    client.chat.completions.create(model=CHAT, messages=ASK)
    opening_hours()
    client.chat.completions.create(model=CHAT, messages=ASK)


@observe(as_type="agent")
def agent_with_tool():
    chain()


with case("wrapper-agent-with-tool", flush):
    agent_with_tool()
