"""Switch everything on: the span processor on the provider, the instrumentor of every SDK that is installed."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from ai_usage import _baggage, _guard, _threads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_log = logging.getLogger("ai_usage")

# SDK → (module that must be there, instrumentor).
_INSTRUMENTORS: Final = {
    "openai": ("openai", "ai_usage.openai:OpenAIInstrumentor"),
    "anthropic": ("anthropic", "ai_usage.anthropic:AnthropicInstrumentor"),
    "google_genai": ("google.genai", "ai_usage.google_genai:GoogleGenAIInstrumentor"),
    "litellm": ("litellm", "ai_usage.litellm:LiteLLMInstrumentor"),
}
USAGE_ENDPOINT_SETTING: Final = "AI_USAGE_INSTRUMENTATION_ENDPOINT"
"""Where spans of this package go besides the app's own exporters, sampled or not."""

_lock = threading.RLock()
_with_processor: weakref.WeakSet[Any] = weakref.WeakSet()
_providers: dict[str, tuple[Any, Any]] = {}


def instrument(
    *,
    sdks: Iterable[str] | None = None,
    endpoint: str | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    baggage: Iterable[str] | None = None,
    threads: bool | None = None,
) -> tuple[str, ...]:
    """Instrument every installed provider SDK (or those named) and return which.

    Uses the application's tracer provider; where there is none yet, sets one up that exports over OTLP to
    ``endpoint`` (default: OTEL_EXPORTER_OTLP_ENDPOINT). ``baggage`` names what of ``usage_context`` may leave the
    process (of ``user_id, user_email, service_name, service_action``; ``()`` for nothing), ``threads`` whether who pays
    goes along into threads and executors; ``None`` leaves both to their settings. Safe to call again. Raises
    ``ValueError`` for a name that is no supported SDK, or none of baggage.
    """
    names = tuple(sdks) if sdks is not None else tuple(_INSTRUMENTORS)
    for name in names:
        if name not in _INSTRUMENTORS:
            raise ValueError(f"unknown SDK {name!r}: choose from {', '.join(_INSTRUMENTORS)}")
    if baggage is not None:
        _baggage.send(baggage)
    if _threads.is_wanted() if threads is None else threads:
        _threads.carry()
    if tracer_provider is None:
        _ensure_provider(endpoint)
    done = []
    for name in names:
        module, path = _INSTRUMENTORS[name]
        if not _is_installed(module):
            continue
        with _lock:
            instrumentor = _load(path)
            if not instrumentor.is_instrumented_by_opentelemetry:
                # The version check is made here, aloud: the base class would refuse with a log line and return.
                conflict = instrumentor._check_dependency_conflicts()
                if conflict is not None:
                    _log.warning("%s is instrumented although its version was never tested: %s", name, conflict)
                _providers[name] = (tracer_provider, meter_provider)
                instrumentor.instrument(
                    tracer_provider=tracer_provider, meter_provider=meter_provider, skip_dep_check=True
                )
        done.append(name)
    return tuple(done)


def uninstrument() -> None:
    """Take all instrumentation back; calls made from now on leave no span of ours."""
    _threads.stop()
    for module, path in _INSTRUMENTORS.values():
        if _is_installed(module):
            with _lock:
                instrumentor = _load(path)
                if instrumentor.is_instrumented_by_opentelemetry:
                    instrumentor.uninstrument()


def instrumented() -> dict[str, tuple[TracerProvider | None, MeterProvider | None]]:
    """Return what is instrumented, with the providers that ``instrument`` was given for it."""
    return {
        name: _providers.get(name, (None, None))
        for name, (module, path) in _INSTRUMENTORS.items()
        if _is_installed(module) and _load(path).is_instrumented_by_opentelemetry
    }


def ensure_processor(tracer_provider: TracerProvider | None = None) -> None:
    """Put our span processor on a provider of the SDK, once; do nothing for any other provider."""
    provider: Any = tracer_provider or trace.get_tracer_provider()
    provider = getattr(provider, "_real_tracer_provider", provider)
    if not hasattr(provider, "add_span_processor"):
        return
    with _lock:
        if provider in _with_processor:
            return
        _with_processor.add(provider)
    from ai_usage import _exit
    from ai_usage.processor import AIUsageSpanProcessor

    _exit.bound(provider)
    provider.add_span_processor(AIUsageSpanProcessor(provider, _create_usage_processor()))


def pre_instrument() -> None:
    """Complete other libraries' GenAI spans too under ``opentelemetry-instrument``, whichever SDKs are installed."""
    try:
        ensure_processor()
        if _threads.is_wanted():
            _threads.carry()
    except Exception:
        _guard.caught("adding the span processor")


def _create_usage_processor() -> Any:
    endpoint = os.environ.get(USAGE_ENDPOINT_SETTING, "").strip()
    if not endpoint:
        return None
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ai_usage._exporter import UsageExporter

    return BatchSpanProcessor(UsageExporter(endpoint))


def _ensure_provider(endpoint: str | None) -> None:
    """Set up the SDK with an OTLP exporter when the application did not set it up itself."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ai_usage._exporter import UsageExporter

    provider = SdkTracerProvider()
    provider.add_span_processor(BatchSpanProcessor(UsageExporter(endpoint)))
    trace.set_tracer_provider(provider)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)()
