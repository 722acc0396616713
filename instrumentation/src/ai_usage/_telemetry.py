"""Where spans and measurements of one SDK go: a tracer whose spans do not depend on sampling, two histograms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace

from ai_usage import _clean, _guard, semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from ai_usage.tokens import TokenUsage

SCOPE_PREFIX: Final = "ai_usage."
"""All instrumentation scopes of this package start with it."""

_CLIENT: Final = trace.SpanKind.CLIENT  # looking a member up is slow
_DIMENSIONS: Final = (
    semconv.OPERATION_NAME,
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
)


class Telemetry:
    """Hold one SDK's tracer and instruments."""

    __slots__ = ("_blind", "_duration", "_is_measured", "_is_prepared", "_processors", "_tokens", "_tracer", "scope")

    def __init__(
        self,
        scope: str,
        version: str,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.scope = scope
        self._tracer = trace.get_tracer(scope, version, tracer_provider)
        self._is_prepared = False
        self._is_measured = False
        self._processors: Any = None
        self._blind: Any = None
        meter = metrics.get_meter(scope, version, meter_provider)
        self._tokens = meter.create_histogram(
            semconv.METRIC_TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used",
            explicit_bucket_boundaries_advisory=[4**power for power in range(14)],
        )
        self._duration = meter.create_histogram(
            semconv.METRIC_OPERATION_DURATION,
            unit="s",
            description="Duration of the operation",
            explicit_bucket_boundaries_advisory=[0.01 * 2**power for power in range(14)],
        )

    def start_span(
        self, name: str, current: Context, attributes: dict[str, AttributeValue], start_time_ns: int | None
    ) -> Span:
        """Start a CLIENT span that records whatever the sampler says."""
        if not self._is_prepared:
            self._prepare()
        processors = self._processors
        if processors is None or (processors._span_processors is not self._blind and self._is_watched(processors)):
            return self._tracer.start_span(name, current, _CLIENT, attributes, (), start_time_ns)
        # Nobody looks at the start: attributes are as good a moment later, at half the cost.
        span = self._tracer.start_span(name, current, _CLIENT, None, (), start_time_ns)
        _clean.set_attributes(span, attributes)
        return span

    def _is_watched(self, processors: Any) -> bool:
        """Tell whether a processor does something at the start of a span, and remember those that do not."""
        from ai_usage import _onlookers

        found = processors._span_processors
        if not all(map(_onlookers.is_blind, found)):
            return True
        self._blind = found
        return False

    def measure(
        self, start: Mapping[str, AttributeValue], started_s: float, usage: TokenUsage, model: str | None, error: Any
    ) -> None:
        """Record tokens and duration of a call when somebody collects metrics."""
        if not self._is_measured:
            # Without a meter provider the API hands out proxies without a real instrument behind them.
            if getattr(self._duration, "_real_instrument", self) is None:
                return
            self._is_measured = True
        dimensions: dict[str, AttributeValue] = {key: start[key] for key in _DIMENSIONS if key in start}
        if model:
            dimensions[semconv.RESPONSE_MODEL] = model
        if usage.input_tokens is not None:
            self._tokens.record(usage.input_tokens, {**dimensions, semconv.TOKEN_TYPE: "input"})
        if usage.output_tokens is not None:
            self._tokens.record(usage.output_tokens, {**dimensions, semconv.TOKEN_TYPE: "output"})
        if error is not None:
            dimensions[semconv.ERROR_TYPE] = error
        self._duration.record(time.perf_counter() - started_s, dimensions)

    def _prepare(self) -> None:
        # A provider may be set after instrumenting: until then the tracer is a proxy and there is no sampler.
        tracer: Any = self._tracer
        if isinstance(tracer, trace.ProxyTracer):
            tracer = tracer._tracer
            if isinstance(tracer, trace.NoOpTracer):
                return
            self._tracer = tracer
        self._is_prepared = True
        try:
            from ai_usage import _onlookers, _sampling

            _sampling.record_everything(tracer)
            self._processors = _onlookers.processors_of(tracer)
        except Exception:
            _guard.caught("making calls independent of sampling")
