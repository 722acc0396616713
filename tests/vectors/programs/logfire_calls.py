"""Make the calls of the Logfire vectors."""

# Logfire exports by itself to OTEL_EXPORTER_OTLP_ENDPOINT.
import anthropic
import logfire
import openai
from sdk_calls import anthropic_calls, openai_calls
from session import ANTHROPIC, OPENAI

logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
logfire.instrument_openai()
logfire.instrument_anthropic()
openai_calls(openai.OpenAI(base_url=OPENAI, api_key="none", max_retries=0), logfire.force_flush)
anthropic_calls(anthropic.Anthropic(base_url=ANTHROPIC, api_key="none", max_retries=0), logfire.force_flush)
