"""Usage never depends on trace sampling: what a sampler drops is recorded, and marked so that traces stay sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, StaticSampler
from opentelemetry.trace.propagation import _SPAN_KEY

from ai_usage import semconv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


class RecordingSampler(Sampler):
    """Ask another sampler, and record without the sampled flag what it drops.

    Trace exporters skip such spans by themselves; the span processor of this package carries them on.
    """

    def __init__(self, inner: Sampler) -> None:
        self.inner = inner
        root = inner._root if type(inner) is ParentBased else inner
        self._samples_roots = type(root) is StaticSampler and root._decision is Decision.RECORD_AND_SAMPLE

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the other sampler's decision, never DROP."""
        if (
            self._samples_roots
            and attributes is None
            and parent_context is not None
            and _SPAN_KEY not in parent_context
        ):
            return _SAMPLED  # as it would say
        result = self.inner.should_sample(parent_context, trace_id, name, kind, attributes, links)
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(
            Decision.RECORD_ONLY, {**(attributes or {}), semconv.UNSAMPLED: True}, result.trace_state or trace_state
        )

    def get_description(self) -> str:
        """Name both samplers."""
        return f"AIUsageRecording({self.inner.get_description()})"


_SAMPLED: Final = SamplingResult(Decision.RECORD_AND_SAMPLE)


def record_everything(tracer: Any) -> None:
    """Have a tracer of the OpenTelemetry SDK record every span; leave any other tracer alone.

    Only tracers of this package's own scopes are ever given to it: the SDK keeps one tracer a scope.
    """
    sampler = getattr(tracer, "sampler", None)
    if isinstance(sampler, Sampler) and not isinstance(sampler, RecordingSampler):
        tracer.sampler = RecordingSampler(sampler)
