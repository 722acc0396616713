"""A span processor for GenAI spans of any library: attribution at their start, cost before their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanContext, TraceFlags

from ai_usage import _foreign, _guard, semconv
from ai_usage._invocation import add_cost
from ai_usage._telemetry import SCOPE_PREFIX
from ai_usage.attribution import current_attributes
from ai_usage.tokens import TokenUsage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

_USAGE_EXPORTERS: Final = frozenset({"OTLPSpanExporter", "UsageExporter", "InMemorySpanExporter"})
"""Exporters that usage leaves by when the trace is not sampled; others (console, vendors' own) stay sampled."""


class AIUsageSpanProcessor(SpanProcessor):
    """Complete GenAI spans that other libraries make. Spans of this package have everything from the start."""

    def __init__(self, provider: Any = None, usage_processor: SpanProcessor | None = None) -> None:
        """``provider`` is the one this processor is added to: usage of unsampled traces leaves by its exporters.

        ``usage_processor`` receives every span of this package besides, sampled or not.
        """
        self._provider = provider
        self._usage_processor = usage_processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write who and what pays on a span that looks like GenAI."""
        try:
            scope = span.instrumentation_scope
            if scope is not None and scope.name.startswith(SCOPE_PREFIX):
                return
            if _foreign.is_foreign_genai(span):
                if scope is not None:
                    _foreign.tell_of_scope(scope.name)
                attributes = current_attributes(parent_context)
                if attributes:
                    span.set_attributes(attributes)
        except Exception:
            _guard.caught("attributing a span")

    def _on_ending(self, span: Span) -> None:
        """Write the cost of a GenAI span that has tokens and no cost."""
        try:
            scope = span.instrumentation_scope
            if scope is not None and scope.name.startswith(SCOPE_PREFIX):
                return
            attributes = span.attributes
            if not attributes or semconv.USAGE_INPUT_TOKENS not in attributes or not _foreign.is_foreign_genai(span):
                return
            if semconv.COST_AMOUNT in attributes or semconv.COUNTED_BY in attributes:
                return
            _write_ended(span, _cost(attributes))
        except Exception:
            _guard.caught("pricing a span")

    def on_end(self, span: ReadableSpan) -> None:
        """Carry on the spans of this package that sampling would lose."""
        try:
            context = span.context
            if context is None:
                return
            is_sampled = context.trace_flags & TraceFlags.SAMPLED
            if is_sampled and self._usage_processor is None:
                return
            scope = span.instrumentation_scope
            if scope is None or not scope.name.startswith(SCOPE_PREFIX):
                return
            carried = span if is_sampled else _as_sampled(span)
            if self._usage_processor is not None:
                self._usage_processor.on_end(carried)
            else:
                self._carry(carried)
        except Exception:
            _guard.caught("exporting an unsampled call")

    def shutdown(self) -> None:
        """Shut the usage processor down."""
        if self._usage_processor is not None:
            self._usage_processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the usage processor."""
        return self._usage_processor is None or self._usage_processor.force_flush(timeout_millis)

    def _carry(self, span: ReadableSpan) -> None:
        for processor in self._provider._active_span_processor._span_processors:
            exporter = getattr(processor, "span_exporter", None)
            if type(exporter).__name__ in _USAGE_EXPORTERS:
                processor.on_end(span)


def _as_sampled(span: ReadableSpan) -> ReadableSpan:
    """Return a copy that processors do not skip; the attribute ``ai_usage.unsampled`` keeps the truth."""
    carried = object.__new__(type(span))  # copy.copy would ask the class how, at ten times the cost
    vars(carried).update(vars(span))
    at: Any = span.context
    carried._context = SpanContext(
        at.trace_id, at.span_id, at.is_remote, TraceFlags(at.trace_flags | TraceFlags.SAMPLED), at.trace_state
    )
    return carried


def _cost(attributes: Any) -> dict[str, Any]:
    def count(*keys: str) -> int | None:
        return next((value for key in keys if isinstance(value := attributes.get(key), int)), None)

    usage = TokenUsage(
        input_tokens=count(semconv.USAGE_INPUT_TOKENS),
        output_tokens=count(semconv.USAGE_OUTPUT_TOKENS),
        cache_read_tokens=count(semconv.USAGE_CACHE_READ_TOKENS),
        cache_write_tokens=count(semconv.USAGE_CACHE_WRITE_TOKENS, "gen_ai.usage.cache_creation.input_tokens"),
        reasoning_tokens=count(semconv.USAGE_REASONING_TOKENS),
    )
    provider = attributes.get(semconv.PROVIDER_NAME) or attributes.get("gen_ai.system") or ""
    model = attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL)
    tier = attributes.get(semconv.OPENAI_RESPONSE_SERVICE_TIER)
    cost: dict[str, Any] = {}
    add_cost(cost, str(provider), model, usage, tier if isinstance(tier, str) else None)
    return cost


def _write_ended(span: Span, attributes: dict[str, Any]) -> None:
    """Add attributes to a span that is ending.

    The SDK calls ``_on_ending`` after it has closed the span for writing, against the specification ("the span is
    still mutable"), so its attribute store is opened for the moment; nobody else can see the span yet.
    """
    store: Any = span._attributes
    was_immutable, store._immutable = store._immutable, False
    try:
        for key, value in attributes.items():
            store[key] = value
    finally:
        store._immutable = was_immutable
