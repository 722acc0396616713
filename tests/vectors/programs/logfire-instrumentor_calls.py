"""Make the calls of the vectors of Logfire's OpenAI beside another instrumentation."""

import logfire
import openai
from openinference.instrumentation.openai import OpenAIInstrumentor
from session import ASK, CHAT, OPENAI, case

logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
client = openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0)
logfire.instrument_openai(client)
OpenAIInstrumentor().instrument()
call = {"model": CHAT, "messages": ASK}
with case("wrapper-instrumentor", logfire.force_flush):
    client.chat.completions.create(**call)
with case("wrapper-instrumentor-stream", logfire.force_flush):
    list(client.chat.completions.create(**call, stream=True, stream_options={"include_usage": True}))
