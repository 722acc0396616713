"""OpenLLMetry (traceloop): current keys on its own span names, ``llm.request.type`` where no operation is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, EMITTER_MISCOUNTS, Reading, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Attributes, AttributeValue, Span

_OPERATION_OF_TYPE: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
}
_OPERATION_OF_NAME: Final = {
    "chat": "chat",
    "response": "chat",
    "completion": "text_completion",
    "embeddings": "embeddings",
    "image_generate": "image_generation",
}
_SCOPE: Final = "opentelemetry.instrumentation."
# Bedrock's names start with the vendor, which is left out, and without it most of them have no price.
_BEDROCK_VENDORS: Final = (
    (("claude",), "anthropic"),
    (("nova", "titan"), "amazon"),
    (("llama",), "meta"),
    (("mistral", "mixtral", "ministral", "magistral", "pixtral", "voxtral", "devstral"), "mistral"),
    (("command", "embed", "rerank"), "cohere"),
    (("jamba", "j2"), "ai21"),
    (("r1", "v3"), "deepseek"),
    (("gpt",), "openai"),
    (("qwen",), "qwen"),
    (("gemma",), "google"),
    (("nemotron",), "nvidia"),
    (("palmyra",), "writer"),
    (("kimi",), "moonshotai"),
    (("glm",), "zai"),
)


def read(span: Span) -> Reading | None:
    """Return what a vendor span says; workflow, task, agent and tool spans only if they sum up tokens."""
    attributes = span.attributes
    if attributes.get("traceloop.span.kind") is not None:
        return Reading("openllmetry", "invoke_agent", attributes, (AGENT_TOTAL,)) if has_usage(attributes) else None
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation not in CALLS:
        if operation in {"invoke_agent", "invoke_workflow"} and has_usage(attributes):
            return Reading("openllmetry", operation or "", attributes, (AGENT_TOTAL,))
        kind = text(attributes.get("llm.request.type"))
        operation = _OPERATION_OF_TYPE.get(kind or "") or _OPERATION_OF_NAME.get(span.name.rpartition(".")[2])
        if operation is None and not has_usage(attributes):
            return None
    vendor = span.scope_name.removeprefix(_SCOPE).partition(".")[0]
    if vendor == "bedrock":
        attributes = {**attributes, **_with_vendor(attributes)}
        if "embed" in (text(attributes.get(semconv.REQUEST_MODEL)) or ""):
            operation = "embeddings"  # whatever is invoked without messages it calls a completion
    flags: tuple[str, ...] = ()
    if vendor == "anthropic" and _is_stream(span):
        flags = (EMITTER_MISCOUNTS,)  # output is the start's count plus the final one: 31 for 30
    return Reading(
        "openllmetry",
        operation or "chat",
        attributes,
        flags,
        cache_apart=vendor == "bedrock",
        output_may_lack=vendor in {"google_generativeai", "vertexai"},
        provider=vendor or None,
    )


def _with_vendor(attributes: Attributes) -> dict[str, AttributeValue]:
    """Return the models as Bedrock names them."""
    found: dict[str, AttributeValue] = {}
    for key in (semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL):
        model = text(attributes.get(key)) or ""
        for families, vendor in _BEDROCK_VENDORS:
            if model.startswith(families):
                found[key] = f"{vendor}.{model}"
    return found


def _is_stream(span: Span) -> bool:
    flags = (span.attributes.get(key) for key in ("gen_ai.is_streaming", "llm.is_streaming", semconv.REQUEST_STREAM))
    return any(flag is True for flag in flags)
