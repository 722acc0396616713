"""An app under load: a real OpenTelemetry SDK with its defaults, one GenAI span a call."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.collector.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace.export import SpanExporter

_PAUSE_S = 0.003


class App:
    """Make calls from a thread of its own and remember which.

    The exporter's timeout is the only setting that is not the SDK's default: it is how long one export is retried, and
    10 s would be over before a Collector is back that had to be started again on a busy machine.
    """

    def __init__(self, endpoint: str, *, protocol: str = "grpc", key: str = "", authority: Path | None = None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        exporter: SpanExporter
        if protocol == "grpc":
            secure = authority is not None
            credentials = grpc.ssl_channel_credentials(authority.read_bytes()) if authority is not None else None
            exporter = GrpcExporter(
                endpoint=f"{'https' if secure else 'http'}://{endpoint}",
                insecure=not secure,
                credentials=credentials,
                headers=headers,
                timeout=60,
            )
        else:
            scheme = "http" if authority is None else "https"
            session = requests.Session()
            session.trust_env = False  # REQUESTS_CA_BUNDLE, where set, would win over certificate_file
            exporter = HttpExporter(
                endpoint=f"{scheme}://{endpoint}/v1/traces",
                headers=headers,
                certificate_file=str(authority) if authority else None,
                timeout=60,
                session=session,
            )
        self._provider = TracerProvider(resource=Resource.create({"service.name": "xray_analyzer"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
        self._tracer = self._provider.get_tracer("ai_usage.openai", "0.1.0")
        self._numbers = itertools.count()
        self.calls: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self, *, fails: bool = False, event: str | None = None, **attributes: Any) -> str:
        """Make one call inside a request: two spans, one of them usage. Return the call's id."""
        number = next(self._numbers)
        call = f"call-{number}"
        with self._tracer.start_as_current_span("POST /analyze", kind=SpanKind.SERVER):
            with self._tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as span:
                span.set_attributes(
                    {
                        "gen_ai.operation.name": "chat",
                        "gen_ai.provider.name": "openai",
                        "gen_ai.request.model": "gpt-4o-mini",
                        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
                        "gen_ai.response.id": call,
                        "gen_ai.response.finish_reasons": ("stop",),
                        "gen_ai.usage.input_tokens": 100 + number,
                        "gen_ai.usage.output_tokens": 10,
                        "server.address": "api.openai.com",
                        "user.id": "customer-4711",
                        "ai_usage.service.action": "analyze",
                        **attributes,
                    }
                )
                if event is not None:
                    span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": event})
                if fails:
                    span.set_status(Status(StatusCode.ERROR, "429 too many requests"))
                    span.set_attribute("error.type", "RateLimitError")
        self.calls.append(call)
        return call

    def start_load(self) -> None:
        """Call again and again, some hundred times a second, until ``pause`` or ``finish``."""

        def run() -> None:
            while not self._stop.wait(_PAUSE_S):
                self.call()

        self._stop.clear()
        self._thread = threading.Thread(target=run, name="load")
        self._thread.start()

    def wait_for_more_calls(self, count: int) -> None:
        """Return after so many more calls, so that what happens next happens under load."""
        goal = len(self.calls) + count
        wait_until(lambda: len(self.calls) >= goal, f"{count} more calls")

    def pause(self) -> None:
        """End the load."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finish(self) -> None:
        """End the load and hand over what the SDK still holds."""
        self.pause()
        assert self._provider.force_flush(60_000)

    def close(self) -> None:
        """Stop the SDK."""
        self.pause()
        self._provider.shutdown()
