"""Pre-encoded OTLP requests: what an instrumented app sends, about 15 attributes a span."""

from __future__ import annotations

import os
import random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SERVICES = (("xray_analyzer", "analyze"), ("cv_optimizer", "optimize"), ("questions_predictor", "generate"))
MODELS = (
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("anthropic", "claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
    ("gcp.gemini", "gemini-2.0-flash", "gemini-2.0-flash"),
)
SPREAD_NS = 600 * 1_000_000_000
"""The spans of a run started within the last ten minutes, as when an app's clients come and go."""


def encode_requests(requests: int, spans_per_request: int, *, end_ns: int, seed: int = 1) -> list[bytes]:
    """Return OTLP requests of distinct spans, in order of time, the last starting at ``end_ns``."""
    choose = random.Random(seed)
    step_ns = SPREAD_NS // (requests * spans_per_request)
    start_ns = end_ns - SPREAD_NS
    encoded = []
    for _ in range(requests):
        request = ExportTraceServiceRequest()
        under = request.resource_spans.add()
        under.resource.attributes.extend(
            [_attribute("service.name", "clinic-backend"), _attribute("service.instance.id", "clinic-backend-7f9c")]
        )
        scope = under.scope_spans.add()
        scope.scope.name, scope.scope.version = "ai_usage.openai", "0.1.0"
        for _ in range(spans_per_request):
            start_ns += step_ns
            _fill(scope.spans.add(), start_ns, choose)
        encoded.append(request.SerializeToString())
    return encoded


def encode_span(service: str, start_ns: int) -> bytes:
    """Return a request with a single span of a service."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name = "ai_usage.openai"
    span = scope.spans.add()
    _fill(span, start_ns, random.Random(start_ns))
    span.attributes.append(_attribute("ai_usage.service.name", service))  # the last one of a key counts
    return request.SerializeToString()


def _fill(span: Any, start_ns: int, choose: random.Random) -> None:
    provider, asked, answered = choose.choice(MODELS)
    service, action = choose.choice(SERVICES)
    user = choose.randrange(1000)
    span.trace_id, span.span_id, span.parent_span_id = os.urandom(16), os.urandom(8), os.urandom(8)
    span.name = f"chat {asked}"
    span.kind = 3
    span.start_time_unix_nano = start_ns
    span.end_time_unix_nano = start_ns + choose.randrange(200, 9_000) * 1_000_000
    input_tokens = choose.randrange(50, 8_000)
    span.attributes.extend(
        [
            _attribute("gen_ai.operation.name", "chat"),
            _attribute("gen_ai.provider.name", provider),
            _attribute("gen_ai.request.model", asked),
            _attribute("gen_ai.response.model", answered),
            _attribute("gen_ai.response.id", f"chatcmpl-{choose.getrandbits(80):020x}"),
            _attribute("gen_ai.usage.input_tokens", input_tokens),
            _attribute("gen_ai.usage.output_tokens", choose.randrange(5, 1_500)),
            _attribute("gen_ai.usage.cache_read.input_tokens", input_tokens // 4),
            _attribute("gen_ai.request.temperature", 0.2),
            _attribute("gen_ai.request.max_tokens", 2048),
            _attribute("server.address", "api.openai.com"),
            _attribute("user.id", f"user-{user}"),
            _attribute("user.email", f"user-{user}@example.com"),
            _attribute("ai_usage.service.name", service),
            _attribute("ai_usage.service.action", action),
        ]
    )


def _attribute(key: str, value: str | float) -> KeyValue:
    match value:
        case str():
            return KeyValue(key=key, value=AnyValue(string_value=value))
        case int():
            return KeyValue(key=key, value=AnyValue(int_value=value))
        case _:
            return KeyValue(key=key, value=AnyValue(double_value=value))
