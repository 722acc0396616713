"""Make the calls of the vectors of OpenLLMetry's workflows: its decorators and its agents SDK tracing around calls."""

import asyncio
import os

from session import ASK, CHAT, OPENAI, STAND_IN, case

os.environ["TRACELOOP_TELEMETRY"] = "false"
os.environ["TRACELOOP_METRICS_ENABLED"] = "false"
import agents
import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, task, tool, workflow
from traceloop.sdk.instruments import Instruments

Traceloop.init(
    app_name="vectors",
    exporter=OTLPSpanExporter(STAND_IN + "/v1/traces"),
    instruments={Instruments.OPENAI, Instruments.OPENAI_AGENTS},
)
flush = trace.get_tracer_provider().force_flush
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
TOOL = {"type": "function", "function": {"name": "opening_hours", "parameters": {"type": "object", "properties": {}}}}


@task(name="ask")
def ask():
    return client.chat.completions.create(model=CHAT, messages=ASK).choices[0].message.content


@workflow(name="report")
def report():
    Traceloop.set_association_properties({"user_id": "u-17", "session_id": "s-4", "team": "radiology"})
    return ask()


@workflow(name="streamed")
def streamed():
    stream = client.chat.completions.create(
        model=CHAT, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    return list(stream)


@tool(name="opening_hours")
def opening_hours():
    return "8 to 17"


@agent(name="clerk")
def clerk():
    messages = [*ASK]
    said = client.chat.completions.create(model=CHAT, messages=messages, tools=[TOOL]).choices[0].message
    answer = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": opening_hours()}
    return client.chat.completions.create(model=CHAT, messages=[*messages, said, answer], tools=[TOOL])


@workflow(name="reception")
def reception():
    return clerk()


with case("wrapper-workflow", flush):
    report()
with case("wrapper-workflow-stream", flush):
    streamed()
with case("wrapper-workflow-error", flush, fails=True):
    report()
with case("wrapper-agent-with-tool", flush):
    reception()


@agents.function_tool
def hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


agents.set_default_openai_client(
    openai.AsyncOpenAI(base_url=OPENAI, api_key="none", max_retries=0), use_for_tracing=False
)
with case("wrapper-openai-agents", flush):
    asyncio.run(agents.Runner.run(agents.Agent("clerk", model=CHAT, tools=[hours]), "When are you open?"))
