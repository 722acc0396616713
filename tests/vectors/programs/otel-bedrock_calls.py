"""Make the calls of the vectors of the official botocore package."""

from bedrock import bedrock_calls, client
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from session import provider

traces = provider()
BotocoreInstrumentor().instrument(tracer_provider=traces)
bedrock_calls(client(), traces.force_flush)
