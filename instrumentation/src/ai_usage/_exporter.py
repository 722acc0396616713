"""Where calls leave the process: over OTLP, by an exporter that belongs to the process that uses it."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SpanExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult


class UsageExporter(SpanExporter):
    """Export over OTLP, by gRPC or HTTP as ``OTEL_EXPORTER_OTLP_PROTOCOL`` says.

    The real exporter is made at the first export, and again in a forked child: gRPC's threads and connections do not
    survive a fork (gunicorn ``--preload``, multiprocessing).
    """

    def __init__(self, endpoint: str | None) -> None:
        """``endpoint`` is a base URL; ``None`` leaves it to ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        self._create = _creator(endpoint)
        self._inner: Any = None
        self._pid = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans and wait for the answer."""
        if self._pid != os.getpid():
            self._inner, self._pid = self._create(), os.getpid()
        result: SpanExportResult = self._inner.export(spans)
        return result

    def shutdown(self) -> None:
        """Close the connection of this process."""
        if self._inner is not None and self._pid == os.getpid():
            self._inner.shutdown()


def _creator(endpoint: str | None) -> Callable[[], Any]:
    """Return what makes an exporter; everything is imported here, so that it takes no time at the end of a process."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if (protocol or "grpc").strip() == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return functools.partial(_create_cooperative, OTLPSpanExporter, endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter

    return functools.partial(HttpSpanExporter, endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)


def _create_cooperative(exporter: Callable[..., Any], endpoint: str | None) -> Any:
    """Have gRPC wait as gevent does where gevent has replaced threads: else one export stops every greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from grpc.experimental import gevent  # type: ignore[attr-defined]

        gevent.init_gevent()
    return exporter(endpoint=endpoint)
