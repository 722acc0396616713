"""What Gemini's answers say about usage. Candidates leave out thoughts, prompts leave out tool results: added here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ai_usage import semconv
from ai_usage._fields import field, getter, whole, wholes, word, words
from ai_usage._invocation import Reply, reply_of
from ai_usage.tokens import NOT_REPORTED, TokenUsage, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_usage._fields import Get

_NO_PARTS: Final = (None,) * 5
_TIERS: Final = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}


def read_usage(usage: Any) -> TokenUsage:
    """Return the tokens of a ``usage_metadata`` object (SDK object, or a dict in either spelling)."""
    if usage is None:
        return NOT_REPORTED
    get = _getter(usage)
    prompt, candidates, thoughts, tool_prompt, cached = wholes(
        get("prompt_token_count"),
        get("candidates_token_count"),
        get("thoughts_token_count"),
        get("tool_use_prompt_token_count"),
        get("cached_content_token_count"),
    )
    if prompt is None and candidates is None and thoughts is None:
        return NOT_REPORTED
    read = None if prompt is None and tool_prompt is None else (prompt or 0) + (tool_prompt or 0)
    # A reply that says what it read and not what it wrote wrote nothing (blocked prompts, embeddings).
    written = (candidates or 0) + (thoughts or 0)
    inputs, outputs = get("prompt_tokens_details"), get("candidates_tokens_details")
    from_cache = get("cache_tokens_details")
    parts: tuple[int | None, ...] = _NO_PARTS
    if inputs or outputs or from_cache:
        parts = (
            _modality("AUDIO", inputs),
            _modality("AUDIO", outputs),
            _modality("AUDIO", from_cache),
            _modality("IMAGE", inputs),
            _modality("IMAGE", outputs),
        )
    return usage_of((read, written, cached, None, None, thoughts, *parts))


def read_content(reply: Any) -> Reply:
    """Read a ``GenerateContentResponse``."""
    get = _getter(reply)
    usage = get("usage_metadata")
    model, response_id, traffic = words(get("model_version"), get("response_id"), _getter(usage)("traffic_type"))
    tier = _TIERS.get(traffic) if traffic else None
    extra = {semconv.SERVICE_TIER: tier} if tier else None
    reasons = _finish_reasons(get("candidates"))
    return reply_of((read_usage(usage), model, response_id, reasons, tier, extra, True, ()))


def read_content_stream(first: Any, last: Iterable[Any]) -> Reply:
    """Read streamed chunks: each carries the usage so far, so the last one with usage holds all of it."""
    reply = read_content(first)
    for chunk in last:
        newer = read_content(chunk)
        reply = reply._replace(
            usage=newer.usage if newer.usage.is_reported else reply.usage,
            finish_reasons=newer.finish_reasons or reply.finish_reasons,
            service_tier=newer.service_tier or reply.service_tier,
            extra=newer.extra or reply.extra,
        )
    return reply._replace(is_complete=bool(reply.finish_reasons))


def read_embedding(reply: Any) -> Reply:
    """Read an ``EmbedContentResponse``: its metadata, else the statistics Vertex puts beside each embedding."""
    usage = read_usage(_getter(reply)("usage_metadata"))
    if usage.is_reported:
        return Reply(usage._replace(output_tokens=usage.output_tokens or 0))
    counts = [
        whole(field(field(embedding, "statistics"), "token_count")) for embedding in field(reply, "embeddings") or ()
    ]
    known = [count for count in counts if count is not None]
    return Reply(TokenUsage(sum(known), 0) if known else NOT_REPORTED)


def read_nothing(_reply: Any) -> Reply:
    """Read an answer that reports no usage (images are priced by piece)."""
    return Reply()


def _getter(holder: Any) -> Get:
    get = getter(holder)
    if not isinstance(holder, dict):
        return get
    return lambda name: get(_camel(name)) if (value := get(name)) is None else value


@cache
def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _modality(modality: str, details: Any) -> int | None:
    if not details:
        return None
    counts = [whole(_getter(part)("token_count")) for part in details if word(field(part, "modality")) == modality]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _finish_reasons(candidates: Any) -> tuple[str, ...]:
    return tuple(
        [reason.lower() for one in candidates or () if (reason := word(_getter(one)("finish_reason"))) is not None]
    )
