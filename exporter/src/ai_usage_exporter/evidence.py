"""What is known of a span that speaks of a provider call, as far as it tells whether another speaks of the same one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.normalize.reading import (
    AGENT_TOTAL,
    COMPACTION_ADDED,
    EMITTER_MISCOUNTS,
    ESTIMATED_TOKENS,
    GATEWAY,
    PARTIAL,
    WRAPPER,
)

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from ai_usage_exporter.record import UsageRecord

SUMS: Final = frozenset({AGENT_TOTAL, WRAPPER})
"""Flags of spans that may sum up several calls."""
ROLES: Final = SUMS | {GATEWAY}
"""Flags of spans that stand around a call, whatever made them."""
DOUBTFUL: Final = frozenset({ESTIMATED_TOKENS, EMITTER_MISCOUNTS, PARTIAL})
"""Flags of numbers that another span's are better than."""
LIKE_NO_OTHERS: Final = DOUBTFUL | {COMPACTION_ADDED}
"""Flags of numbers that another library's need not be equal to."""

FRAMEWORKS: Final = (
    "agno", "autogen", "beeai", "crewai", "dspy", "haystack", "instructor", "langchain", "langgraph", "litellm",
    "llama_index", "llamaindex", "openai_agents", "pydantic_ai", "smolagents",
)  # fmt: skip
"""Last part of the scopes of libraries that call a provider's SDK and are traced themselves."""
DETACHED: Final = (*FRAMEWORKS, "langfuse_sdk")
"""The same of libraries whose span around an SDK's need not be the current one; as in migration 0009."""
_FRAMEWORK_EMITTERS: Final = frozenset({"google_adk", "litellm", "pydantic_ai", "semantic_kernel", "strands", "vercel"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Evidence(NamedTuple):
    """Hold what one span says of a call; the same whether it was just received or is stored."""

    id: UUID
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None
    start_us: int
    """Microseconds since 1970."""
    end_us: int
    scope: str
    """The library that made the span, by its instrumentation scope."""
    emitter: str
    service: str
    model: str
    request_model: str | None
    operation: str
    input_tokens: int
    """All input; 0 also when not reported, as stored."""
    output_tokens: int
    parts: int
    """How many parts of the totals are reported (cached, reasoning, …)."""
    success: bool
    response_id: str | None
    flags: frozenset[str]

    @property
    def tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def is_sum(self) -> bool:
        """Tell whether the span may sum up several calls."""
        return not SUMS.isdisjoint(self.flags)

    @property
    def is_gateway(self) -> bool:
        """Tell whether a proxy made the span."""
        return GATEWAY in self.flags

    @property
    def is_framework(self) -> bool:
        """Tell whether a library that calls a provider's SDK made the span."""
        return self.emitter in _FRAMEWORK_EMITTERS or is_framework_scope(self.scope)

    @property
    def may_be_unlinked(self) -> bool:
        """Tell whether the span may have lost its tie to one of the same call in another trace.

        Some libraries around an SDK never make their span the current one: the SDK's starts a trace of its own.
        """
        return self.tokens > 0 and (self.parent_span_id is None or is_detached_scope(self.scope))

    @property
    def is_embedding(self) -> bool:
        """Tell whether the call made embeddings."""
        return self.operation == "embeddings"


def evidence_of_record(record: UsageRecord) -> Evidence:
    """Return the evidence of a span just received."""
    usage = record.usage
    start_us = (record.created_at - _EPOCH) // _MICROSECOND
    return Evidence(
        record.id,
        record.trace_id,
        record.span_id,
        record.parent_span_id,
        start_us,
        start_us + 1000 * (record.duration_ms or 0),
        record.scope,
        record.emitter,
        record.service_name,
        record.model,
        record.request_model,
        record.operation,
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        sum(1 for count in usage[2:] if count),
        record.success,
        record.response_id or None,
        frozenset(record.usage_flags),
    )


def evidence_of_stored(row: asyncpg.Record) -> Evidence:
    """Return the evidence of a stored row or shadow, as ``settle_load`` gives it."""
    start_us = (row["created_at"] - _EPOCH) // _MICROSECOND
    return Evidence(
        row["id"],
        row["trace_id"],
        row["span_id"],
        row["parent_span_id"],
        start_us,
        start_us + 1000 * (row["duration_ms"] or 0),
        row["scope_name"] or "",
        row["emitter"] or "",
        row["service_name"],
        row["model"],
        row["request_model"],
        row["operation"] or "",
        row["input_tokens"],
        row["output_tokens"],
        row["parts"],
        row["success"],
        row["provider_response_id"] or None,
        frozenset(row["usage_flags"] or ()),
    )


@lru_cache(maxsize=1024)
def is_framework_scope(scope: str) -> bool:
    """Tell whether a library that calls a provider's SDK has a scope like ….langchain."""
    return _library(scope) in FRAMEWORKS


@lru_cache(maxsize=1024)
def is_detached_scope(scope: str) -> bool:
    """Tell whether the spans of a scope may stand around an SDK's without being their parents."""
    return _library(scope) in DETACHED


def _library(scope: str) -> str:
    *_, before, last = ("", *scope.replace("-", "_").split("."))
    return before if last in {"v0", "v1", "tracer"} else last
