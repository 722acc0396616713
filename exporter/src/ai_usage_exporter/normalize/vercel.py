"""Vercel AI SDK: v3 to v6 (scope ``ai``, keys ``ai.*``) and v7 (scope ``gen_ai``, OTel keys)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, WRAPPER, Reading, has_usage
from ai_usage_exporter.normalize.values import json_object, text

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue, Span

_LEAVES: Final = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings", "doRerank": "rerank"}
_NESTED: Final = ("ai.usage", "ai.usage.inputTokenDetails", "ai.usage.outputTokenDetails")

_READ: Final = "ai.usage.inputTokenDetails.cacheReadTokens"
_WRITTEN: Final = "ai.usage.inputTokenDetails.cacheWriteTokens"
# In ai.response.providerMetadata: vendor → its name of a part → the key that version 6 has for it.
_PARTS_OF_VENDOR: Final = {
    "openai": {"cachedPromptTokens": _READ, "reasoningTokens": "ai.usage.outputTokenDetails.reasoningTokens"},
    "anthropic": {
        "cacheReadInputTokens": _READ,
        "cacheCreationInputTokens": _WRITTEN,
        "usage.cache_read_input_tokens": _READ,
        "usage.cache_creation_input_tokens": _WRITTEN,
        "usage.cache_creation.ephemeral_1h_input_tokens": "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    },
    "bedrock": {"usage.cacheReadInputTokens": _READ, "usage.cacheWriteInputTokens": _WRITTEN},
}


def read(span: Span) -> Reading | None:
    """Return what a ``do…`` span (a v7 operation) says; spans around them are wrappers if they repeat tokens."""
    if "ai.operationId" in span.attributes or span.name.startswith("ai."):
        return _read_old(span)
    attributes = span.attributes
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation in CALLS:
        # The outer embeddings, rerank and decide spans look like the inner ones and hold nothing.
        if not has_usage(attributes) and operation in {"embeddings", "rerank", "decide"}:
            return Reading("vercel", operation or "", attributes, (WRAPPER,)) if span.status_code == 2 else None
        return Reading("vercel", operation or "", attributes)
    return Reading("vercel", operation or "invoke_agent", attributes, (AGENT_TOTAL,)) if has_usage(attributes) else None


def _read_old(span: Span) -> Reading | None:
    found: dict[str, AttributeValue] = dict(span.attributes)
    for prefix in _NESTED:  # stringified in some versions, flattened with dots in others
        for key, value in json_object(found.get(prefix)).items():
            found.setdefault(f"{prefix}.{key}", value)
    cache_apart = _add_parts(found)
    name = text(found.get("ai.operationId")) or span.name.partition(" ")[0]
    leaf = name.rpartition(".")[2]
    if leaf in _LEAVES:
        return Reading("vercel", _LEAVES[leaf], found, cache_apart=cache_apart)
    if leaf == "toolCall" or not has_usage(found):
        return None
    operation = "embeddings" if "embed" in name else "chat"
    return Reading("vercel", operation, found, (WRAPPER,), cache_apart=cache_apart)


def _add_parts(found: dict[str, AttributeValue]) -> bool:
    """Add the parts that versions before 6 leave to the provider's own data; tell whether input leaves out the cache.

    Those versions pass on what Anthropic and Bedrock call input, and their total is the sum of that.
    """
    is_inclusive = any(key.startswith("ai.usage.inputTokenDetails.") for key in found)
    told = json_object(found.get("ai.response.providerMetadata"))
    for vendor, names in _PARTS_OF_VENDOR.items():
        parts = json_object(told.get(vendor))
        for name, key in names.items():
            value: object = parts
            for step in name.split("."):
                value = json_object(value).get(step)  # type: ignore[arg-type]
            if isinstance(value, int) and found.get(key) is None:
                found[key] = value
    vendor = text(found.get("gen_ai.system")) or text(found.get("ai.model.provider")) or ""
    cache_apart = not is_inclusive and ("anthropic" in vendor or "bedrock" in vendor)
    if cache_apart:
        found.pop("ai.usage.totalTokens", None)
    return cache_apart
