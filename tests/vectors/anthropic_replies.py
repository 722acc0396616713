"""What Anthropic does at its own side of one request, and how it counts that: ``usage.iterations``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.demo import replies
from ai_usage_exporter.demo.replies import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_usage_exporter.demo.replies import Body

COMPACTION: Final = Tokens(500, 60, 0, 0, 0)
"""What summing up a conversation costs: billed with the message, in none of its own counts."""


def split(kind: str, name: str, request_model: str, model: str, tokens: Tokens) -> tuple[Tokens, Body]:
    """Return the message's own counts and what else its usage says, by the kind of the case."""
    if kind == "compaction":
        own = tokens._replace(input=tokens.input - COMPACTION.input, output=tokens.output - COMPACTION.output)
        return own, {
            "iterations": [_iteration("compaction", name, model, COMPACTION), _iteration("message", name, model, own)]
        }
    if kind == "fallback":  # what was declined before it said anything is not billed
        declined = _iteration("message", name, request_model, tokens._replace(output=0, cached=0, cache_written=0))
        return tokens, {"iterations": [declined, _iteration("fallback_message", name, model, tokens)]}
    if kind == "search":  # each turn of the search at Anthropic's is in the counts
        first = Tokens(tokens.input // 2, tokens.output // 2, 0, 0, 0)
        second = Tokens(tokens.input - first.input, tokens.output - first.output, 0, 0, 0)
        turns = [_iteration("message", name, model, turn) for turn in (first, second)]
        return tokens, {"iterations": turns, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}
    return tokens, {}


def stream(events: Iterator[bytes], more: Body) -> Iterator[bytes]:
    """Yield a streamed message whose final usage says more."""
    for event in events:
        name, mark, data = event.partition(b"data: ")
        said = json.loads(data)
        if more and said["type"] == "message_delta":
            said["usage"] |= more
            yield name + mark + json.dumps(said).encode() + b"\n\n"
        else:
            yield event


def _iteration(kind: str, name: str, model: str, tokens: Tokens) -> dict[str, Any]:
    usage = replies.anthropic_message(name, model, tokens)["usage"]
    return {"type": kind, "model": model, **{key: count for key, count in usage.items() if key != "service_tier"}}
