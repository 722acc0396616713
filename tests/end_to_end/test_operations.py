"""What an operator sees: health, metrics that add up, a ready file, a clean end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.end_to_end.test_replay import EXPORT, recorded_spans

if TYPE_CHECKING:
    from ai_usage_exporter.server import Server


def mixed_request() -> bytes:
    """Return 3 calls, 2 spans that are no calls, 1 without ids, 1 with a count nobody can bill."""
    request = ExportTraceServiceRequest.FromString(recorded_spans(4))
    spans = request.resource_spans[0].scope_spans[0].spans
    for attribute in spans[3].attributes:
        if attribute.key == "gen_ai.usage.input_tokens":
            attribute.value.int_value = -5
    plain = [Span(trace_id=b"t" * 16, span_id=bytes([1, n] * 4), name="GET /") for n in range(2)]
    named = KeyValue(key="gen_ai.operation.name", value=AnyValue(string_value="chat"))
    no_ids = Span(name="chat", attributes=[named])
    request.resource_spans.append(ResourceSpans(resource=Resource(), scope_spans=[ScopeSpans(spans=[*plain, no_ids])]))
    return request.SerializeToString()


async def metrics_of(server: Server) -> dict[str, float]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {server.admin_token}"}) as client:
        page = (await client.get(f"http://{server.addresses['api']}/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:{[^}]*})?) (\S+)$", page, re.MULTILINE)}


async def test_received_spans_are_the_sum_of_their_fates(server: Server) -> None:
    body = mixed_request()
    async with (
        grpc.aio.insecure_channel(str(server.addresses["otlp_grpc"])) as channel,
        httpx2.AsyncClient() as client,
    ):
        await channel.unary_unary(EXPORT)(body)
        url = f"http://{server.addresses['otlp_http']}/v1/traces"
        headers = {"content-type": "application/x-protobuf"}
        assert (await client.post(url, content=body, headers=headers)).status_code == 200
        assert (await client.post(url, content=b"\xff", headers=headers)).status_code == 400
    found = await metrics_of(server)
    fates = {
        fate: found[f'ai_usage_spans_total{{fate="{fate}"}}']
        for fate in ("stored", "duplicate", "shadow", "quarantined", "ignored")
    }
    assert fates == {"stored": 3, "duplicate": 3, "shadow": 0, "quarantined": 2, "ignored": 4}
    accepted = {t: found[f'receiver_accepted_spans_total{{transport="{t}"}}'] for t in ("grpc", "http")}
    refused = {t: found[f'receiver_refused_spans_total{{transport="{t}"}}'] for t in ("grpc", "http")}
    assert accepted == {"grpc": 6, "http": 6}
    assert refused == {"grpc": 1, "http": 1}
    assert sum(accepted.values()) == sum(fates.values())
    assert found["ai_usage_ready"] == 1


async def test_health_is_open_and_says_nothing_more_than_needed(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=f"http://{server.addresses['api']}") as client:
        assert (await client.get("/livez")).status_code == 200
        for path in ("/readyz", "/healthz"):
            response = await client.get(path)
            assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert (await client.get("/metrics")).status_code == 401


async def test_serve_writes_the_ready_file_and_ends_with_zero_on_sigterm(tmp_path: Path, database_url: str) -> None:
    ready = tmp_path / "run" / "ready.json"
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("ai-usage")),
        *("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--api", "127.0.0.1:0"),
        env=os.environ | {"AI_USAGE_DATABASE_URL": database_url, "AI_USAGE_READY_FILE": str(ready)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        async for line in process.stderr:
            if json.loads(line)["event"] == "ready":
                break
    places = json.loads(ready.read_text())
    assert set(places) == {"otlp_grpc", "otlp_http", "api", "admin_token", "database_url"}
    assert stat.S_IMODE(ready.stat().st_mode) == 0o600
    async with grpc.aio.insecure_channel(places["otlp_grpc"]) as channel:
        assert await channel.unary_unary(EXPORT)(recorded_spans(2)) == b""
    process.send_signal(signal.SIGTERM)
    _, rest = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert json.loads(rest.splitlines()[-1])["event"] == "stopped"
