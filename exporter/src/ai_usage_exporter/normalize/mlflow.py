"""MLflow: every attribute is JSON text; ``mlflow.chat.tokenUsage`` has the counts, ``mlflow.spanType`` the kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading
from ai_usage_exporter.normalize.values import json_object, reply_id, text

if TYPE_CHECKING:
    from ai_usage_exporter.record import AttributeValue, Span

_OPERATIONS: Final = {"LLM": "chat", "CHAT_MODEL": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_QUOTED: Final = ("mlflow.spanType", "mlflow.llm.model", "mlflow.llm.provider", "user.id", "session.id")
_KEYS: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_write.input_tokens",
}


def read(span: Span) -> Reading | None:
    """Return what a model span says; agents and chains only if they sum up tokens."""
    found: dict[str, AttributeValue] = dict(span.attributes)
    for key in _QUOTED:
        found[key] = _unquoted(found.get(key))
    usage = json_object(found.get("mlflow.chat.tokenUsage"))
    for name, key in _KEYS.items():
        if usage.get(name) is not None:
            found[key] = usage[name]
    cost = json_object(found.get("mlflow.llm.cost")).get("total_cost")
    if cost is not None:
        found["gen_ai.usage.cost"] = cost
    outputs = _json_text(found.get("mlflow.spanOutputs"))
    if found.get("gen_ai.response.id") is None and (answer := reply_id(outputs)) is not None:
        found["gen_ai.response.id"] = answer
    operation = _OPERATIONS.get((text(found["mlflow.spanType"]) or "").upper())
    if operation is None:
        return Reading("mlflow", "invoke_agent", found, (AGENT_TOTAL,)) if usage else None
    if not usage and not found["mlflow.llm.model"]:
        model = json_object(_json_text(found.get("mlflow.spanInputs"))).get("model")
        if text(model) is None:
            return None
        found["mlflow.llm.model"] = model
    return Reading("mlflow", operation, found)


def _json_text(value: AttributeValue) -> AttributeValue:
    """Return the JSON text of an object, unquoted when it was encoded twice."""
    return _unquoted(value)


def _unquoted(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str) and value[:1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value
