"""The same bytes sent again and again change nothing, over either transport."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import httpx2
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_usage._invocation import Invocation, Reply, Telemetry
from ai_usage.attribution import usage_context
from ai_usage.tokens import TokenUsage

if TYPE_CHECKING:
    from ai_usage_exporter.server import Server

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def recorded_spans(count: int) -> bytes:
    """Return ``count`` real spans of the instrumentation as one OTLP request."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry("ai_usage.openai", "0", tracer_provider=provider)
    with usage_context(user_id="42", service_name="xray_analyzer", service_action="analyze"):
        for number in range(count):
            invocation = Invocation(telemetry, "chat", "openai", "gpt-4o")
            invocation.finish(Reply(TokenUsage(100 + number, 10), model="gpt-4o-2024-08-06", response_id=f"r{number}"))
    return encode_spans(exporter.get_finished_spans()).SerializeToString()


async def contents(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT * FROM ai_usage_logs ORDER BY id")]
    finally:
        await connection.close()


async def test_ten_replays_over_both_transports_leave_the_rows_as_they_were(server: Server) -> None:
    body = recorded_spans(7)
    async with grpc.aio.insecure_channel(str(server.addresses["otlp_grpc"])) as channel:
        export = channel.unary_unary(EXPORT)
        assert await export(body) == b""
        before = await contents(server.database_url)
        assert len(before) == 7
        url = f"http://{server.addresses['otlp_http']}/v1/traces"
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        async with httpx2.AsyncClient() as client:
            for _ in range(5):
                assert await export(body) == b""
                response = await client.post(url, content=gzip.compress(body), headers=headers)
                assert response.status_code == 200
                assert ExportTraceServiceResponse.FromString(response.content) == ExportTraceServiceResponse()
    assert await contents(server.database_url) == before
