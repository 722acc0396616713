"""Stock OpenTelemetry SDK exporters, told of keys and certificates by the standard variables only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.integration.access.installation import KeyMaker
from tests.integration.access.test_tls import serving, write_certificate

if TYPE_CHECKING:
    from pathlib import Path

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 20,
}


def send_one_call(exporter: Any) -> None:
    """Make a span of a call and return once it was sent or given up."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("app").start_span("chat", attributes=CALL).end()
    provider.shutdown()


@pytest.mark.parametrize("kind", [GrpcExporter, HttpExporter], ids=["grpc", "http"])
async def test_standard_variables_are_all_it_takes(
    kind: Any, database_url: str, connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = trustme.CA()
    files = write_certificate(trustme.CA(), tmp_path / "server", "localhost")
    client = write_certificate(clients, tmp_path / "client", "app.example")
    key = await KeyMaker(connection).key()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # would win over the next one in the HTTP exporter
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(files.ca))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(client.cert))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(client.key))
    async with serving(database_url, files, client.ca) as server:
        port = server.addresses["otlp_grpc" if kind is GrpcExporter else "otlp_http"].port
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://localhost:{port}")
        stored = 0
        for headers, is_good in (
            (f"authorization=Bearer%20{key.token}", True),
            (f"x-api-key={key.token}", True),
            ("x-api-key=wrong", False),
        ):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
            await asyncio.to_thread(send_one_call, kind())
            stored += is_good
            assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == stored, headers
