"""Another instrumentation of the same SDKs is active too: one call is one row, and one log line says who counts."""

from __future__ import annotations

import base64
import json
import os
import site
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.instrumentation.peers import PEERS, python_of
from tests.integration.instrumentation.receiver_side import rows_of_request

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "instrumentation" / "src"
ORDERS = ("ours_first", "theirs_first")
EXPECTED = {
    "openai_chat": (100, 50),
    "openai_chat_stream": (100, 50),
    "openai_responses": (100, 50),
    "openai_embeddings": (8, None),
    "anthropic": (1210, 30),
    "anthropic_stream": (1210, 30),
    "anthropic_compaction": (1710, 90),
    "anthropic_compaction_stream": (1710, 90),
    "gemini": (107, 50),
    "gemini_stream": (107, 50),
}


def run(peer: str, order: str) -> tuple[dict[str, bytes], str]:
    """Return the export request of each call, and the log."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))},
        "TRACELOOP_TELEMETRY": "false",
    }
    done = subprocess.run(
        [str(python_of(peer)), str(HERE / "peer_app.py"), peer, order, str(SOURCE), site.getsitepackages()[0]],
        capture_output=True, text=True, timeout=100, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    spans = json.loads(done.stdout.splitlines()[-1])
    return {kind: base64.b64decode(request) for kind, request in spans.items()}, done.stderr


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_beside_another_library_one_call_is_one_row_and_one_line_an_sdk_says_who_counts(peer: str, order: str) -> None:
    requests, log = run(peer, order)
    assert requests.keys() == EXPECTED.keys()
    for kind, request in requests.items():
        found = [(row.scope.partition(".")[0], row.usage[:2]) for row in rows_of_request(request)]
        assert found == [("ai_usage", EXPECTED[kind])], kind
    scopes = Counter(scope for request in requests.values() for scope in scopes_of(request))
    assert scopes["ai_usage"] == len(EXPECTED)
    assert scopes["openinference" if peer == "openinference" else "opentelemetry"] >= 4  # it was really active
    said = [line for line in log.splitlines() if "ai_usage counts tokens and cost" in line]
    assert sorted(line.split(":")[2].split()[0] for line in said) == ["anthropic", "google_genai", "openai"]


def scopes_of(request: bytes) -> list[str]:
    return [
        scope_spans.scope.name.partition(".")[0]
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope_spans in resource_spans.scope_spans
    ]
