"""For an app's own tests: every AI call it makes as data, with ids that are the same in every run."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from ai_usage import _guard, setup, tracker
from ai_usage._guard import MissingOwnerError as MissingOwnerError  # what strict tests catch
from ai_usage._telemetry import SCOPE_PREFIX, Telemetry
from ai_usage._version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan


class CountingIdGenerator(IdGenerator):
    """Number traces and spans from 1."""

    def __init__(self) -> None:
        self._traces, self._spans = itertools.count(1), itertools.count(1)

    def generate_trace_id(self) -> int:
        """Return the next number."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """Return the next number."""
        return next(self._spans)


class CapturedUsage:
    """Give the AI calls made so far, in the order they ended."""

    def __init__(self, exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
        self._exporter = exporter
        self.tracer_provider = provider
        """For spans of the test's own around the calls."""

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The span of every call."""
        return tuple(
            span
            for span in self._exporter.get_finished_spans()
            if span.instrumentation_scope is not None and span.instrumentation_scope.name.startswith(SCOPE_PREFIX)
        )

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The attributes of every call: ``gen_ai.usage.input_tokens``, ``user.id``, …"""
        return [dict(span.attributes or {}) for span in self.spans]

    def only(self) -> dict[str, Any]:
        """Return the attributes of the one call; fail when there is none or more than one."""
        calls = self.calls
        if len(calls) != 1:
            raise AssertionError(f"{len(calls)} AI calls were made, not 1: {[span.name for span in self.spans]}")
        return calls[0]

    def clear(self) -> None:
        """Forget the calls made so far."""
        self._exporter.clear()


@contextmanager
def capture_usage(*, strict: bool = False, sdks: Iterable[str] | None = None) -> Iterator[CapturedUsage]:
    """Capture the AI calls made inside instead of sending them; afterwards everything is as it was.

    ``strict`` makes a call without an owner raise ``MissingOwnerError``, at the call and, where the app swallows that,
    at the end; and makes whatever goes wrong inside this package raise, too. ``sdks`` as for ``ai_usage.instrument``.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=CountingIdGenerator(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    strict_before, owner_before = _guard.set_strict(strict), _guard.require_owner(strict)
    ownerless_before = len(_guard.ownerless)
    instrumented, manual = setup.instrumented(), tracker._telemetry
    setup.uninstrument()
    setup.instrument(sdks=sdks, tracer_provider=provider)
    tracker._telemetry = Telemetry("ai_usage.manual", VERSION, tracer_provider=provider)
    try:
        yield CapturedUsage(exporter, provider)
        if strict and len(_guard.ownerless) > ownerless_before:
            raise MissingOwnerError(_guard.ownerless[-1])
    finally:
        tracker._telemetry = manual
        setup.uninstrument()
        for name, (tracer_provider, meter_provider) in instrumented.items():
            setup.instrument(sdks=(name,), tracer_provider=tracer_provider, meter_provider=meter_provider)
        _guard.set_strict(strict_before)
        _guard.require_owner(owner_before)
        del _guard.ownerless[ownerless_before:]
        provider.shutdown()
