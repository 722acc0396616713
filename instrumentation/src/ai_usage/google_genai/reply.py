"""What Gemini's answers say about usage. Candidates leave out thoughts, prompts leave out tool results: added here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ai_usage import semconv
from ai_usage._fields import field, getter, whole, wholes, word
from ai_usage._invocation import Reply
from ai_usage.tokens import NOT_REPORTED, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_usage._fields import Get

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
    inputs, outputs = get("prompt_tokens_details"), get("candidates_tokens_details")
    # A reply that says what it read and not what it wrote wrote nothing (blocked prompts, embeddings).
    return TokenUsage(
        input_tokens=None if prompt is None and tool_prompt is None else (prompt or 0) + (tool_prompt or 0),
        output_tokens=(candidates or 0) + (thoughts or 0),
        cache_read_tokens=cached,
        reasoning_tokens=thoughts,
        input_audio_tokens=_modality("AUDIO", inputs),
        output_audio_tokens=_modality("AUDIO", outputs),
        cache_read_audio_tokens=_modality("AUDIO", get("cache_tokens_details")),
        input_image_tokens=_modality("IMAGE", inputs),
        output_image_tokens=_modality("IMAGE", outputs),
    )


def read_content(reply: Any) -> Reply:
    """Read a ``GenerateContentResponse``."""
    get = _getter(reply)
    usage = get("usage_metadata")
    traffic = word(_getter(usage)("traffic_type"))
    tier = _TIERS.get(traffic) if traffic else None
    return Reply(
        usage=read_usage(usage),
        model=word(get("model_version")),
        response_id=word(get("response_id")),
        finish_reasons=_finish_reasons(get("candidates")),
        service_tier=tier,
        extra={semconv.SERVICE_TIER: tier} if tier else None,
    )


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
