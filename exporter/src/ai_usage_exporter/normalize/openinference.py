"""OpenInference: ``llm.*`` keys under ``openinference.span.kind``; no response id, errors only in events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage_exporter.normalize.keys import METADATA_PREFIXES
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading, has_usage
from ai_usage_exporter.normalize.values import json_object, reply_id, text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Attributes, AttributeValue, Span

_OPERATIONS: Final = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")
_STATUS_ERROR: Final = 2


def read(span: Span) -> Reading | None:
    """Return what an LLM, EMBEDDING or RERANKER span says; other kinds only if they sum up tokens."""
    attributes = span.attributes
    kind = (text(attributes.get("openinference.span.kind")) or "").upper()
    operation = _OPERATIONS.get(kind)
    counts = has_usage(attributes)
    if operation is None:
        return Reading("openinference", "invoke_agent", attributes, (AGENT_TOTAL,)) if counts else None
    model = _model_of_parameters(attributes) if not _has_model(attributes) else None
    if not counts and not _has_model(attributes) and (model is None or span.status_code != _STATUS_ERROR):
        return None  # any endpoint of the SDK becomes an LLM span, models.list too
    extra: dict[str, AttributeValue] = {"llm.request.model_name": model} if model is not None else {}
    if attributes.get("gen_ai.response.id") is None and (answer := reply_id(attributes.get("output.value"))):
        extra["gen_ai.response.id"] = answer  # no attribute of its own has it
    for key, value in json_object(attributes.get("metadata")).items():
        extra.setdefault(METADATA_PREFIXES[0] + key, value)
    # One span may hold both families of keys (OPENINFERENCE_ENABLE_GENAI_SEMCONV): its own are read.
    if "llm.token_count.prompt" in attributes or "llm.token_count.completion" in attributes:
        attributes = {key: value for key, value in attributes.items() if not key.startswith("gen_ai.usage.")}
    return Reading(
        "openinference", operation, {**attributes, **extra} if extra else attributes, provider=_vendor(span.scope_name)
    )


def _has_model(attributes: Attributes) -> bool:
    keys = ("llm.model_name", "llm.response.model_name", "llm.request.model_name", "embedding.model_name")
    return any(attributes.get(key) for key in keys)


def _model_of_parameters(attributes: Attributes) -> str | None:
    for key in _PARAMETERS:
        if model := text(json_object(attributes.get(key)).get("model")):
            return model
    return None


def _vendor(scope_name: str) -> str | None:
    name = scope_name.rpartition(".")[2]
    return name if name in {"openai", "anthropic", "google_genai", "bedrock", "mistralai", "groq", "vertexai"} else None
