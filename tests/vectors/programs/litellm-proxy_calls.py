"""Make the calls of the vectors of LiteLLM's proxy, in either generation of its tracing, and of a traced client."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import propagate, trace
from sdk_calls import openai_calls
from session import ANTHROPIC, ASK, CHAT, CLAUDE, EMBEDDING, OPENAI, REASONING, STAND_IN, case, provider

PREFIX = "v2-proxy-" if os.environ["VECTORS_OF"].endswith("v2") else "proxy-"
KEY = "sk-" + secrets.token_hex(32)
sdk = {"api_base": OPENAI, "api_key": "none", "max_retries": 0}
CONFIG = {
    "model_list": [
        *({"model_name": name, "litellm_params": {"model": f"openai/{name}", **sdk}}
          for name in (CHAT, REASONING, EMBEDDING)),
        {"model_name": CLAUDE, "litellm_params": {"model": f"anthropic/{CLAUDE}", **sdk, "api_base": ANTHROPIC}},
    ],
    "litellm_settings": {"callbacks": ["otel"]},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
}  # fmt: skip


@contextmanager
def proxy():
    """Run the proxy; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp())
    (folder / "config.yaml").write_text(json.dumps(CONFIG))
    environment = os.environ | {
        "OTEL_SERVICE_NAME": "litellm-proxy",
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": STAND_IN + "/v1/traces",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_OTEL_V2": str(PREFIX.startswith("v2")).lower(),
    }
    command = [str(Path(sys.executable).with_name("litellm")), "--config", str(folder / "config.yaml")]
    running = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], cwd=folder, env=environment,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not is_up(address + "/health/liveliness"):
            if running.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the proxy did not start")
            time.sleep(0.25)
        yield address
    finally:
        running.terminate()
        running.wait(30)


def is_up(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def flush():
    # Its callbacks are tasks, and nobody says when they are done.
    time.sleep(1.5)
    traces.force_flush()


def call_on_behalf(client):
    headers = {}
    with trace.get_tracer("app").start_as_current_span("request"):
        propagate.inject(headers)
        client.chat.completions.create(model=CHAT, messages=ASK, extra_headers=headers)


traces = provider()
with proxy() as address:
    client = openai.OpenAI(base_url=address, api_key=KEY, max_retries=0)
    openai_calls(client, flush, user="u-17", prefix=PREFIX)
    with case(PREFIX + "anthropic-cached", flush):
        client.chat.completions.create(model=CLAUDE, messages=ASK)
    with case(PREFIX + "wrapper-trace", flush):
        call_on_behalf(client)
    OpenAIInstrumentor().instrument(tracer_provider=traces)
    with case(PREFIX + "wrapper-client", flush):
        call_on_behalf(client)
    with case(PREFIX + "wrapper-client-apart", flush):
        client.chat.completions.create(model=CHAT, messages=ASK)
