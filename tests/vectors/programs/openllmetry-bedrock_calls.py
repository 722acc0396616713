"""Make the calls of the vectors of OpenLLMetry's Bedrock."""

from bedrock import bedrock_calls, client
from opentelemetry.instrumentation.bedrock import BedrockInstrumentor
from session import provider

traces = provider()
BedrockInstrumentor().instrument(tracer_provider=traces)
bedrock_calls(client(), traces.force_flush)
