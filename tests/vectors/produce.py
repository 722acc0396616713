"""Produce the vectors of dialects: ``python -m tests.vectors.produce DIALECT…`` (all, when none is named).

``litellm-v2`` and the like make only the vectors of that environment again.

Runs the dialect's program (real packages, an environment of their own) against the stand-in, takes the spans it
exports, makes ids and times the same in every run, and writes what a right reader makes of them. The expectation
comes from what the stand-in handed out and from ``claims``, never from this project's own reading.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.vectors import environments
from tests.vectors.claims import CLAIMS, expected_of, name_of
from tests.vectors.normal_form import to_normal_form
from tests.vectors.standin import stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vectors.standin import Case

FOLDER: Final = Path(__file__).parent
_PROGRAMS: Final = FOLDER / "programs"
# Environments that differ in their versions alone.
_SHARED: Final = {
    **{f"vercel-v{version}": "vercel-v3-to-v6.mjs" for version in (3, 4, 5, 6)},
    "litellm-proxy_v2": "litellm-proxy_calls.py",
    **{f"google_adk-v1.{minor}": "google_adk-v1_calls.py" for minor in (20, 39)},
}
_OF_A_REQUEST: Final = re.compile(r"api_|sse_event|assistant_response|user_prompt|tool_|operation\.details")
"""Names of the records that are kept: others come at any time, and of nothing that was asked."""
_SECRETS: Final = (
    "OTEL_",
    "OPENAI_",
    "ANTHROPIC_",
    "GOOGLE_",
    "GEMINI_",
    "LANGFUSE_",
    "LOGFIRE_",
    "MLFLOW_",
    "LITELLM_",
    "CLAUDE",
)


def main(dialects: list[str]) -> int:
    """Produce the vectors of ``dialects``; 1 when a program failed."""
    failed = []
    for dialect in dialects or list(CLAIMS):
        try:
            names = [path.name for path in produce(dialect)]
        except RuntimeError as error:
            print(f"{dialect}: {error}", file=sys.stderr)
            failed.append(dialect)
        else:
            print(f"{dialect}: {len(names)} vectors: {', '.join(names)}", flush=True)
    return 1 if failed else 0


def produce(named: str) -> list[Path]:
    """Write the vectors of one dialect, or of one environment of it; returns their files."""
    dialect, _, one = named.partition("-")
    environment_names = [named] if one else [name for name in environments.ALL if name.split("-")[0] == dialect]
    folder = FOLDER / dialect
    folder.mkdir(exist_ok=True)
    for old in () if one else folder.glob("[!d]*.json"):  # documented-… have a program of their own
        old.unlink()
    written = []
    for name in environment_names:
        for case in run(name):
            vector = to_vector(dialect, name, case)
            path = folder / f"{case.name}.json"
            path.write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            written.append(path)
    return written


def run(name: str) -> list[Case]:
    """Run the program of an environment against the stand-in; return its cases. Raises ``RuntimeError``."""
    folder = environments.build(name)
    if name in environments.NODE_PACKAGES:
        program = folder / f"{name}.mjs"  # packages are looked for beside the program
        program.write_bytes((_PROGRAMS / _SHARED.get(name, program.name)).read_bytes())
        command = ["node", str(program)]
    else:
        command = [str(folder / "bin" / "python"), str(_PROGRAMS / _SHARED.get(name, f"{name}_calls.py"))]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(_SECRETS)}
    with stand_in() as server:
        environment = clean | {
            "STAND_IN_URL": server.url,
            "VECTORS_OF": name,
            "OTEL_SERVICE_NAME": "vectors",
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=folder
        )
        if done.returncode != 0:
            raise RuntimeError(f"the program ended with {done.returncode}:\n{done.stderr[-4000:]}")
        port = server.url.rpartition(":")[2]
        return [_with_requests(case, port) for case in server.cases]


def _with_requests(case: Case, port: str) -> Case:
    exports = [(path, kind, body.replace(f"127.0.0.1:{port}".encode(), b"127.0.0.1:" + b"4" * len(port)))
               for path, kind, body in case.exports]  # fmt: skip
    return case._replace(exports=exports)


def to_vector(dialect: str, name: str, case: Case) -> dict[str, Any]:
    """Return the vector of a case."""
    spans, records = to_normal_form(
        _decoded(case, "/v1/traces", ExportTraceServiceRequest),
        _of_requests(_decoded(case, "/v1/logs", ExportLogsServiceRequest)),
    )
    given = {"resourceSpans": spans} if spans else {}
    vector = {
        "dialect": dialect,
        "case": case.name,
        "produced_by": {
            "command": f"python -m tests.vectors.produce {name}",
            "packages": list(environments.ALL[name]),
        },
        "handed_out": [call.as_json() for call in case.calls],
        "input": given | ({"resourceLogs": records} if records else {}),
    }
    return vector | {"expected": expected_of(dialect, case, spans, records)}


def _decoded(case: Case, path: str, message: type[Any]) -> Iterator[dict[str, Any]]:
    for export_path, content_type, body in case.exports:
        if export_path != path:
            continue
        if content_type == "application/json":
            yield json.loads(body)
        else:
            yield MessageToDict(message.FromString(body), use_integers_for_enums=True)


def _of_requests(exported: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for request in exported:
        for scope in (scope for resource in request["resourceLogs"] for scope in resource["scopeLogs"]):
            scope["logRecords"] = [record for record in scope["logRecords"] if _OF_A_REQUEST.search(name_of(record))]
        yield request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
