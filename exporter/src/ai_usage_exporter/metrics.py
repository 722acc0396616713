"""The server's own metrics, in Prometheus form, with the OpenTelemetry Collector's names where it has them.

No label ever holds what a sender chose: the number of series stays the same whatever arrives.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ai_usage.pricing import CostStatus
from ai_usage_exporter.storage.failure import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSPORTS: Final = ("grpc", "http")
FATES: Final = ("stored", "duplicate", "shadow", "quarantined", "ignored")
CAUSES: Final = tuple(cause.value for cause in Cause)
COST_STATUSES: Final = tuple(status.value for status in CostStatus)
_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_S: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)


class Metrics:
    """Hold every metric of one server in a registry of its own.

    Spans received = accepted + refused; accepted = the sum of ``ai_usage_spans`` over its fates.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        accepted = Counter(
            "receiver_accepted_spans",
            "Spans answered with success, after their usage was committed",
            ("transport",),
            registry=registry,
        )
        refused = Counter(
            "receiver_refused_spans",
            "Spans of requests that were answered with a failure, or that have no valid ids",
            ("transport",),
            registry=registry,
        )
        requests = Counter(
            "receiver_requests",
            "Export requests by how they were answered",
            ("transport", "outcome"),
            registry=registry,
        )
        seconds = Histogram(
            "receiver_request_duration_seconds",
            "Time from a decoded request to its answer",
            ("transport",),
            buckets=_LATENCY_S,
            registry=registry,
        )
        fates = Counter("ai_usage_spans", "Accepted spans by what became of them", ("fate",), registry=registry)
        costs = Counter(
            "ai_usage_calls", "Calls committed, by the status of their cost", ("cost_status",), registry=registry
        )
        failures = Counter(
            "ai_usage_write_failures",
            "Batches the database did not take, by why; their senders were asked to try again",
            ("cause",),
            registry=registry,
        )
        self.lag = Histogram(
            "ai_usage_ingest_lag_seconds",
            "Age of a request's oldest span when it is committed: its end to now",
            buckets=_LAG_S,
            registry=registry,
        )
        # Bound once: a label look-up on every span would cost more than the counting.
        self.accepted = {name: accepted.labels(name) for name in TRANSPORTS}
        self.refused = {name: refused.labels(name) for name in TRANSPORTS}
        self.seconds = {name: seconds.labels(name) for name in TRANSPORTS}
        self.fates = {name: fates.labels(name) for name in FATES}
        self.write_failures = {name: failures.labels(name) for name in CAUSES}
        self.costs = {name: costs.labels(name) for name in COST_STATUSES}
        self.requests = {
            (name, outcome): requests.labels(name, outcome)
            for name in TRANSPORTS
            for outcome in ("ok", "partial", "refused", "retry")
        }
        self._waiting_rows = Gauge("ai_usage_waiting_rows", "Rows accepted and not committed yet", registry=registry)
        self._waiting_bytes = Gauge(
            "ai_usage_waiting_bytes", "Bytes of the requests these rows came in", registry=registry
        )
        self._ready = Gauge("ai_usage_ready", "1 when the server takes requests", registry=registry)
        Info("ai_usage_build", "Version of the server", registry=registry).info(
            {"version": version("ai-usage-exporter")}
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def watch_queue(self, rows: Callable[[], float], size_bytes: Callable[[], float]) -> None:
        """Read the length of the queue whenever metrics are asked for."""
        self._waiting_rows.set_function(rows)
        self._waiting_bytes.set_function(size_bytes)

    def watch_readiness(self, is_ready: Callable[[], float]) -> None:
        """Read the server's readiness whenever metrics are asked for."""
        self._ready.set_function(is_ready)

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
