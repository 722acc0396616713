"""pydantic-ai: OTel keys on model spans; the agent's totals under ``gen_ai.aggregated_usage.*``, formerly ``usage``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span

_AGGREGATED: Final = "gen_ai.aggregated_usage."


def read(span: Span) -> Reading | None:
    """Return what a model span says, or the totals of an agent run."""
    attributes = span.attributes
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation in CALLS:
        return Reading("pydantic_ai", operation or "", attributes)
    totals = {
        "gen_ai.usage." + key.removeprefix(_AGGREGATED): value
        for key, value in attributes.items()
        if key.startswith(_AGGREGATED)
    }
    found = {**attributes, **totals}
    if not has_usage(found):
        return None
    # Older versions name the model `model_name` on the agent and have no operation there.
    found.setdefault(semconv.REQUEST_MODEL, attributes.get("model_name"))
    return Reading("pydantic_ai", "invoke_agent", found, (AGENT_TOTAL,))
