"""OTel GenAI conventions, in their current and older names: our own spans and the official packages'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ai_usage import semconv
from ai_usage_exporter.normalize.reading import AGENT_TOTAL, COMPACTION_ADDED, EMITTER_MISCOUNTS, Reading, has_usage
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span

# Operations that answer with a model's tokens. Others have none (tools, retrieval) or restate them (below).
CALLS: Final = frozenset(
    {
        "audio",
        "chat",
        "completion",
        "decide",
        "embeddings",
        "generate",
        "generate_content",
        "image",
        "image_generation",
        "llm_call",
        "moderation",
        "rerank",
        "responses",
        "speech",
        "text_completion",
        "transcription",
        "translation",
    }
)
_AGENTS: Final = frozenset({"invoke_agent", "invoke_workflow", "create_agent", "plan", "agent_step"})
_CLIENTS: Final = frozenset({"embedding", "text_completions", "text_embedding"})
_SPELLINGS: Final = {"embedding": "embeddings", "text_completions": "text_completion", "text_embedding": "embeddings"}


def read(span: Span) -> Reading | None:
    """Return what a span says that follows the conventions; ``None`` when it is no call and sums up none."""
    return read_as(span, "otel")


def read_own(span: Span) -> Reading | None:
    """Return what a span of our own instrumentation says."""
    flags = (COMPACTION_ADDED,) if semconv.USAGE_COMPACTION_ADDED in span.attributes else ()
    return read_as(span, "ai_usage", flags=flags)


def read_botocore(span: Span) -> Reading | None:
    """Return what a span of Bedrock says, whose input leaves out the cache as Bedrock's own does."""
    reading = read_as(span, "otel", cache_apart=True)
    if reading is not None and "embed" in (text(span.attributes.get(semconv.REQUEST_MODEL)) or ""):
        return reading._replace(operation="embeddings")  # whatever is invoked without messages is called a completion
    return reading


def read_as(span: Span, emitter: str, *, flags: tuple[str, ...] = (), cache_apart: bool = False) -> Reading | None:
    """Return the same for a dialect that follows the conventions under its own name."""
    attributes = span.attributes
    operation = text(attributes.get(semconv.OPERATION_NAME))
    if operation is None:
        return None
    if operation in _CLIENTS:
        operation = _SPELLINGS[operation]
    if operation in CALLS:
        if emitter == "otel" and _is_doubled_thinking(span):
            flags += (EMITTER_MISCOUNTS,)
        return Reading(emitter, operation, attributes, flags, cache_apart)
    if operation in _AGENTS and has_usage(attributes):
        return Reading(emitter, operation, attributes, (*flags, AGENT_TOTAL), cache_apart)
    return None


def _is_doubled_thinking(span: Span) -> bool:
    """Tell whether output may hold thoughts twice: the official google-genai package on streams (wire-format 9)."""
    return (
        span.scope_name.startswith("opentelemetry.instrumentation.google_genai")
        and span.attributes.get(semconv.REQUEST_STREAM) is True
        and bool(span.attributes.get(semconv.USAGE_REASONING_TOKENS))
    )
