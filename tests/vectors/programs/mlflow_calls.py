# ruff: noqa: E402 - the package reads the environment when it is imported
"""Make the calls of the MLflow vectors."""

import os

from session import ANTHROPIC, ASK, CHAT, OPENAI, STAND_IN, case, provider

# Its own provider cannot be flushed: let it use the application's.
os.environ["MLFLOW_USE_DEFAULT_TRACER_PROVIDER"] = "false"
os.environ["MLFLOW_TRACKING_URI"] = STAND_IN
traces = provider()
import anthropic
import mlflow
import openai
from sdk_calls import anthropic_calls, openai_calls

mlflow.openai.autolog()
mlflow.anthropic.autolog()
flush = traces.force_flush


client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
openai_calls(client, flush)
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), flush)
with case("wrapper-agent", flush):

    @mlflow.trace(span_type="AGENT")
    def agent():
        client.chat.completions.create(model=CHAT, messages=ASK)

    agent()
with case("wrapper-chain", flush):

    @mlflow.trace(span_type="TOOL")
    def opening_hours():
        return "8 to 17"

    @mlflow.trace(span_type="CHAIN")
    def chain():
        client.chat.completions.create(model=CHAT, messages=ASK)
        opening_hours()
        client.chat.completions.create(model=CHAT, messages=ASK)

    chain()
