"""Logfire: OTel keys; a stream's numbers arrive on a second, zero-length span that the request span does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.otel import CALLS
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading, has_usage
from ai_usage_exporter.normalize.values import json_object, text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Attributes, AttributeValue, Span


_AGENT_SDK: Final = "logfire.claude_agent_sdk"
_COST: Final = "operation.cost"
"""Of the Agent SDK what the whole session cost so far: its second question would be billed the first one again."""
_NO_MODEL: Final = "<synthetic>"
"""What Claude Code names as the model of a reply that it made up itself, to tell of a failure."""


def read(span: Span) -> Reading | None:
    """Return what a request span, or the log of a finished stream, says; of a Claude Agent SDK run, what its root says.

    In such a run the root has the totals, and its children only ``gen_ai.usage.partial.*``.
    """
    attributes = span.attributes
    if any(key.startswith("gen_ai.usage.partial.") for key in attributes):
        return None
    counts = has_usage(attributes)
    if attributes.get("logfire.span_type") == "pending_span" or _opens_stream(span, counts=counts):
        return None  # announced, or counted by the log that ends the stream
    operation = text(attributes.get(semconv.OPERATION_NAME))
    flags: tuple[str, ...] = ()
    if operation not in CALLS:
        if operation not in {None, "invoke_agent"} or not counts:
            return None
        flags = (AGENT_TOTAL,) if operation == "invoke_agent" else ()
        operation = "chat"
    if span.scope_name == _AGENT_SDK:
        attributes = {key: value for key, value in attributes.items() if key != _COST and value != _NO_MODEL}
    return Reading("logfire", operation, {**_parts(attributes), **attributes}, flags)


def _parts(attributes: Attributes) -> dict[str, AttributeValue]:
    """Return what only the provider's own usage object tells: reasoning, and writes to the cache by lifetime."""
    usage = json_object(attributes.get("gen_ai.usage.raw"))
    output = json_object(usage.get("completion_tokens_details")) or json_object(usage.get("output_tokens_details"))
    writes = json_object(usage.get("cache_creation"))
    found = {
        semconv.USAGE_REASONING_TOKENS: output.get("reasoning_tokens") or output.get("thinking_tokens"),
        semconv.USAGE_CACHE_WRITE_1H_TOKENS: writes.get("ephemeral_1h_input_tokens"),
    }
    return {key: count for key, count in found.items() if count}


def _opens_stream(span: Span, *, counts: bool) -> bool:
    """Tell whether a span ended when its stream began: it has no reply, and did not fail."""
    answered = span.attributes.get(semconv.RESPONSE_ID) is not None
    return not counts and not answered and span.status_code != 2 and not _is_stream_end(span)


def _is_stream_end(span: Span) -> bool:
    return span.name.startswith("streaming response from")
