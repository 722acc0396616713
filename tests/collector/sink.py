"""A second OTLP receiver that only remembers: it stands for Jaeger or Tempo."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class TraceSink(TraceServiceServicer):
    """Take spans over gRPC and keep them by trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.headers: list[dict[str, str]] = []
        """The metadata of every request."""
        self._spans: dict[bytes, list[Span]] = defaultdict(list)
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        """Keep what comes."""
        with self._lock:
            self.headers.append({key: str(value) for key, value in context.invocation_metadata()})
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._spans[span.trace_id].append(span)
        return ExportTraceServiceResponse()

    def traces(self) -> list[list[Span]]:
        """Return the spans received, trace by trace."""
        with self._lock:
            return [list(spans) for spans in self._spans.values()]

    def calls(self) -> set[str]:
        """Return the ids of the calls received."""
        return {
            attribute.value.string_value
            for spans in self.traces()
            for span in spans
            for attribute in span.attributes
            if attribute.key == "gen_ai.response.id"
        }

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop(0).wait()
