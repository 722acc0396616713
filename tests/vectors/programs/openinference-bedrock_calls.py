"""Make the calls of the vectors of OpenInference's Bedrock."""

from bedrock import bedrock_calls, client
from openinference.instrumentation.bedrock import BedrockInstrumentor
from session import provider

traces = provider()
BedrockInstrumentor().instrument(tracer_provider=traces)
bedrock_calls(client(), traces.force_flush, embedding=False)
