"""Other instrumentation libraries in the same process: who they are, and which of their spans repeat a call of ours."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

from ai_usage import semconv
from ai_usage._telemetry import SCOPE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.trace import Span

_log = logging.getLogger("ai_usage")

_SCOPES: Final = (
    "opentelemetry.instrumentation.genai",
    "opentelemetry.instrumentation.google_genai",
    "opentelemetry.instrumentation.openai",
    "opentelemetry.instrumentation.anthropic",
    "opentelemetry.instrumentation.bedrock",
    "opentelemetry.instrumentation.google_generativeai",
    "opentelemetry.instrumentation.mistralai",
    "opentelemetry.instrumentation.langchain",
    "opentelemetry.util.genai",
    "openinference.instrumentation.",
    "com.anthropic.sdk.python",
    "litellm",
    "langfuse-sdk",
    "logfire.",
    "pydantic-ai",
    "gcp.vertex.agent",
    "strands.telemetry.tracer",
    "openlit",
)
_KEYS: Final = (semconv.OPERATION_NAME, "gen_ai.system", "llm.model_name", "llm.request.type")
# Spans with one of these stand for a single model call; agents, chains and tools do not.
_CALL_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings", "completion"})

# SDK → its instrumentors elsewhere: (module, class, whose).
_INSTRUMENTORS: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "openai": (
        ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor", "the official instrumentation"),
        ("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor", "the official instrumentation"),
        ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor", "OpenLLMetry"),
        ("openinference.instrumentation.openai", "OpenAIInstrumentor", "OpenInference"),
    ),
    "anthropic": (
        ("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor", "the official instrumentation"),
        ("opentelemetry.instrumentation.anthropic", "AnthropicInstrumentor", "OpenLLMetry"),
        ("openinference.instrumentation.anthropic", "AnthropicInstrumentor", "OpenInference"),
    ),
    "google_genai": (
        (
            "opentelemetry.instrumentation.google_genai",
            "GoogleGenAiSdkInstrumentor",
            "the official instrumentation",
        ),
        ("opentelemetry.instrumentation.google_generativeai", "GoogleGenerativeAiInstrumentor", "OpenLLMetry"),
        ("openinference.instrumentation.google_genai", "GoogleGenAIInstrumentor", "OpenInference"),
    ),
    "litellm": (("openinference.instrumentation.litellm", "LiteLLMInstrumentor", "OpenInference"),),
}
_told: set[tuple[str, str]] = set()
_counted_sdks: set[str] = set()
_known_scopes: set[str] = set()


def active_instrumentors(sdk: str) -> tuple[str, ...]:
    """Return whose instrumentation of an SDK runs in this process beside ours; imports nothing."""
    found: list[str] = []
    for module, name, whose in _INSTRUMENTORS.get(sdk, ()):
        instance = getattr(getattr(sys.modules.get(module), name, None), "_instance", None)
        if getattr(instance, "_is_instrumented_by_opentelemetry", False) and whose not in found:
            found.append(whose)
    return tuple(found)


def tell_who_does_what(sdk: str) -> None:
    """Log once who counts when another library instruments the same SDK."""
    _counted_sdks.add(sdk)
    for whose in active_instrumentors(sdk):
        _tell(sdk, whose)


def tell_of_scope(scope: str) -> None:
    """Log the same when the other library came later: its first span gives it away."""
    if scope in _known_scopes:
        return
    _known_scopes.add(scope)
    for sdk in _counted_sdks:
        for module, _, whose in _INSTRUMENTORS.get(sdk, ()):
            if scope.startswith(module):
                _tell(sdk, whose)
                return


def _tell(sdk: str, whose: str) -> None:
    if (sdk, whose) not in _told:
        _told.add((sdk, whose))
        _log.warning(
            "%s is also instrumented by %s: its spans stay for traces, ai_usage counts tokens and cost", sdk, whose
        )


def is_foreign_genai(span: SdkSpan) -> bool:
    """Tell whether a span of another library looks like GenAI: by its scope, then by its attributes."""
    scope = span.instrumentation_scope
    name = scope.name if scope is not None else ""
    if name.startswith(SCOPE_PREFIX):
        return False
    if name.startswith(_SCOPES):
        return True
    attributes = span.attributes or {}
    return any(key in attributes for key in _KEYS)


def mark_counted(parent: Any, ours: Span) -> None:
    """Mark the span around a call of ours when it is another library's span of that very call."""
    scope = getattr(parent, "instrumentation_scope", None)
    if scope is None or not scope.name.startswith(_SCOPES) or not parent.is_recording():
        return
    attributes = parent.attributes or {}
    operation = attributes.get(semconv.OPERATION_NAME)
    kind = attributes.get("openinference.span.kind") or attributes.get("llm.request.type")
    if operation in _CALL_OPERATIONS or kind in {"LLM", "EMBEDDING", "chat", "completion"}:
        parent.set_attribute(semconv.COUNTED_BY, format(ours.get_span_context().span_id, "016x"))
