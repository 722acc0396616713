"""Langfuse SDK: usage and cost as JSON text; the type of an observation says what is a call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.normalize.keys import METADATA_PREFIXES
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, Reading
from ai_usage_exporter.normalize.values import dollars, json_object, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.record import AttributeValue, Span

_OPERATIONS: Final = {"generation": "chat", "embedding": "embeddings"}
# Keys of usage_details → (key read, whether its writer leaves the part out of input or output).
_INPUT: Final = ("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "input")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "completionTokens", "outputTokens", "output")
_TOTAL: Final = ("total_tokens", "totalTokens", "total")
_CACHE_READ: Final = ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens", "input_cached")
_CACHE_WRITE: Final = ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write")
_REASONING: Final = ("output_reasoning", "output_reasoning_tokens", "reasoning_tokens")
_PARTS: Final = {"input": "input_", "output": "output_"}


def read(span: Span) -> Reading | None:
    """Return what a generation or embedding says; other observations only if they sum up tokens."""
    attributes = span.attributes
    details = json_object(attributes.get("langfuse.observation.usage_details"))
    operation = _OPERATIONS.get(text(attributes.get("langfuse.observation.type")) or "")
    flags: tuple[str, ...] = ()
    if operation is None:
        if not details:
            return None
        operation, flags = "invoke_agent", (AGENT_TOTAL,)
    found = dict(attributes) | _usage(details)
    cost = _cost(json_object(attributes.get("langfuse.observation.cost_details")))
    if cost is not None:
        found["gen_ai.usage.cost"] = cost
    for key, value in json_object(attributes.get("langfuse.trace.metadata")).items():
        found.setdefault(METADATA_PREFIXES[0] + key, value)
    for key, value in attributes.items():
        if key.startswith(("langfuse.trace.metadata.", "langfuse.observation.metadata.")) and isinstance(value, str):
            found[key] = _plain(value)
    error = None
    if attributes.get("langfuse.observation.level") == "ERROR":
        error = text(attributes.get("error.type")) or "_OTHER"
    # One scope for everything: its LangChain handler stands around what its openai wrapper traces.
    is_langchain = "langfuse.observation.metadata.ls_integration" in attributes
    scope = f"{span.scope_name}.langchain" if is_langchain else None
    return Reading("langfuse", operation, found, flags, error=error, scope=scope)


def _plain(value: str) -> str:
    """Return metadata text without the quotes of its JSON."""
    if value[:1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _usage(details: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return usage_details under the keys of the conventions, with everything inclusive.

    The LangChain handler subtracts each part from ``input`` or ``output``; provider objects are passed on as they are,
    with nested ``*_details``. A total tells the two apart; without one the flat bucket keys do.
    """
    flat = {key: count for key, value in details.items() if (count := whole(value, key)) is not None}
    for key, value in details.items():
        for part, value_of_part in json_object(value).items() if key.endswith("_details") else ():
            side = "input" if key.startswith(("prompt", "input")) else "output"
            name = {"cached_tokens": "cached_tokens", "cache_write_tokens": "cache_creation"}.get(part, part)
            count = whole(value_of_part, part)
            if count is not None:
                flat.setdefault(f"{side}_{name}", count)
    total = _first(flat, _TOTAL)
    sides = {"input": _first(flat, _INPUT), "output": _first(flat, _OUTPUT)}
    apart = "input" in flat or "output" in flat
    if apart:
        parts = {
            side: sum(count for key, count in flat.items() if key.startswith(prefix) and not key.endswith("_tokens"))
            for side, prefix in _PARTS.items()
        }
        bare = sum(count or 0 for count in sides.values())
        if total is None or bare + sum(parts.values()) == total:
            sides = {side: None if count is None else count + parts[side] for side, count in sides.items()}
    counts = (
        ("gen_ai.usage.input_tokens", sides["input"]),
        ("gen_ai.usage.output_tokens", sides["output"]),
        ("gen_ai.usage.total_tokens", total),
        ("gen_ai.usage.cache_read.input_tokens", _first(flat, _CACHE_READ)),
        ("gen_ai.usage.cache_write.input_tokens", _first(flat, _CACHE_WRITE)),
        ("gen_ai.usage.reasoning.output_tokens", _first(flat, _REASONING)),
        ("gen_ai.usage.audio.input_tokens", _first(flat, ("input_audio", "input_audio_tokens"))),
        ("gen_ai.usage.audio.output_tokens", _first(flat, ("output_audio", "output_audio_tokens"))),
    )
    return {key: count for key, count in counts if count is not None}


def _cost(details: Mapping[str, Any]) -> str | None:
    if "total" in details:
        total = dollars(details["total"], "langfuse cost")
        return None if total is None else str(total)
    amounts = [amount for key, value in details.items() if (amount := dollars(value, f"langfuse {key}")) is not None]
    return str(sum(amounts)) if amounts else None


def _first(counts: Mapping[str, int], keys: tuple[str, ...]) -> int | None:
    return next((counts[key] for key in keys if key in counts), None)
