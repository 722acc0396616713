"""Who may look at the attributes a span starts with: processors and samplers that are not known to look away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, StaticSampler, TraceIdRatioBased

from ai_usage._sampling import RecordingSampler
from ai_usage.processor import AIUsageSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

_LOOK_AWAY: Final = frozenset(
    kind.on_start for kind in (SpanProcessor, BatchSpanProcessor, SimpleSpanProcessor, AIUsageSpanProcessor)
)


def processors_of(tracer: Any) -> Any:
    """Return what holds a tracer's processors when its sampler looks away, else ``None``."""
    processors = getattr(tracer, "span_processor", None)
    is_known = type(processors) in {SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor}
    return processors if is_known and _decides_blindly(tracer.sampler) else None


def is_blind(processor: SpanProcessor) -> bool:
    """Tell whether a processor leaves this package's spans alone when they start."""
    return getattr(processor.on_start, "__func__", None) in _LOOK_AWAY


def _decides_blindly(sampler: Sampler) -> bool:
    if type(sampler) is RecordingSampler:
        return _decides_blindly(sampler.inner)
    if type(sampler) is ParentBased:
        return all(map(_decides_blindly, vars(sampler).values()))
    return type(sampler) in {StaticSampler, TraceIdRatioBased}
