"""Make the calls of the LiteLLM vectors: its legacy callback, over the openai SDK and Anthropic's API."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import time

import litellm
from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig
from session import ANTHROPIC, ASK, CHAT, CLAUDE, EMBEDDING, OPENAI, REASONING, case, provider

traces = provider()
litellm.callbacks = [OpenTelemetry(config=OpenTelemetryConfig(exporter="console"), tracer_provider=traces)]
openai = {"api_base": OPENAI, "api_key": "none", "max_retries": 0, "num_retries": 0}


def flush():
    # Callbacks run in threads of LiteLLM's own, and it does not say when they are done.
    time.sleep(1.5)
    traces.force_flush()


with case("plain", flush):
    litellm.completion(model="openai/" + CHAT, messages=ASK, user="u-17", metadata={"team": "radiology"}, **openai)
with case("stream", flush):
    list(
        litellm.completion(
            model="openai/" + CHAT, messages=ASK, stream=True, stream_options={"include_usage": True}, **openai
        )
    )
with case("cached", flush):
    litellm.completion(model="openai/" + CHAT, messages=ASK, **openai)
with case("reasoning", flush):
    litellm.completion(model="openai/" + REASONING, messages=ASK, **openai)
with case("error", flush, fails=True):
    litellm.completion(model="openai/" + CHAT, messages=ASK, **openai)
with case("embedding", flush):
    litellm.embedding(model="openai/" + EMBEDDING, input=["words"], api_base=OPENAI, api_key="none")
with case("anthropic-cached", flush):
    litellm.completion(model="anthropic/" + CLAUDE, messages=ASK, api_base=ANTHROPIC, api_key="none")
os._exit(0)  # its worker threads would wait for work
