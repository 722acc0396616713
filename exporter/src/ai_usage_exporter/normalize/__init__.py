"""Wire span → usage record: one module a dialect, pure.

A dialect is chosen by scope name, then by resource, then by the keys that only one emitter writes. Adding one: a module
with ``read(span) -> Reading | None``, a line in the tables below, and its vectors in ``tests/vectors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from ai_usage_exporter.normalize import (
    anthropic_sdk,
    claude_code,
    codex,
    gemini_cli,
    generic,
    google_adk,
    langfuse,
    litellm,
    logfire,
    mlflow,
    openinference,
    openlit,
    openllmetry,
    otel,
    pydantic_ai,
    semantic_kernel,
    strands,
    vercel,
)
from ai_usage_exporter.normalize.reading import to_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_usage_exporter.normalize.reading import Reading
    from ai_usage_exporter.record import Attributes, Span, UsageRecord

Dialect: TypeAlias = "Callable[[Span], Reading | None]"

_BY_SCOPE: Final[dict[str, Dialect]] = {
    "ai": vercel.read,
    "gen_ai": vercel.read,
    "litellm": litellm.read,
    "langfuse-sdk": langfuse.read,
    "pydantic-ai": pydantic_ai.read,
    "gcp.vertex.agent": google_adk.read,
    "strands.telemetry.tracer": strands.read,
    "opentelemetry.instrumentation.openai_v2": otel.read,
    # OpenLLMetry lives in the official packages' namespace: full names.
    **dict.fromkeys(
        (
            "opentelemetry.instrumentation." + name
            for name in (
                "alephalpha", "anthropic", "bedrock", "cohere", "google_generativeai", "groq", "langchain",
                "llamaindex", "mistralai", "ollama", "openai", "openai.v0", "openai.v1", "replicate", "sagemaker",
                "together", "transformers", "vertexai", "watsonx", "writer",
            )
        ),
        openllmetry.read,
    ),
}  # fmt: skip
_BY_SCOPE_PREFIX: Final[tuple[tuple[str, Dialect], ...]] = (
    ("ai_usage.", otel.read_own),
    ("opentelemetry.instrumentation.genai.", otel.read),
    ("opentelemetry.instrumentation.google_genai", otel.read),
    ("opentelemetry.instrumentation.botocore", otel.read_botocore),
    ("opentelemetry.util.genai", otel.read),
    ("openinference.instrumentation.", openinference.read),
    ("com.anthropic.claude_code", claude_code.read),
    ("com.anthropic.", anthropic_sdk.read),
    ("logfire.", logfire.read),
    ("logfire", logfire.read),
    ("openlit", openlit.read),
    ("mlflow", mlflow.read),
    ("semantic_kernel", semantic_kernel.read),
    ("traceloop.", openllmetry.read),
)
_BY_SERVICE: Final[dict[str, Dialect]] = {
    "claude-code": claude_code.read,
    "claude-platform": anthropic_sdk.read,
    "gemini-cli": gemini_cli.read,
    "codex": codex.read,
    "codex_cli_rs": codex.read,
}
# A key that only one emitter writes, for scopes renamed by their users.
_BY_KEY: Final[tuple[tuple[str, Dialect], ...]] = (
    ("langfuse.observation.type", langfuse.read),
    ("openinference.span.kind", openinference.read),
    ("ai.operationId", vercel.read),
    ("mlflow.spanType", mlflow.read),
    ("litellm.call_id", litellm.read),
    ("hidden_params", litellm.read),
    ("traceloop.span.kind", openllmetry.read),
)
_BY_NAME_PREFIX: Final[tuple[tuple[str, Dialect], ...]] = (
    ("claude_code.", claude_code.read),
    ("codex.", codex.read),
    ("gemini_cli.", gemini_cli.read),
)
_MEMO_SIZE: Final = 4096
# Scope and what the resource says of its emitter → dialect, ``None`` where each span's keys must be looked at.
_memo: dict[tuple[str, object, object], Dialect | None] = {}
_last: tuple[str, Attributes | None, Dialect | None] = ("", None, None)
"""Scope and resource of the span before, which are most often this one's too, and what they said."""


def normalize(span: Span) -> UsageRecord | None:
    """Return the usage record of a span, or ``None`` when it carries no LLM usage.

    Raises ``UnstorableError`` for usage that no row can hold: such a span is to be parked.
    """
    global _last
    scope_name, resource, dialect = _last
    if resource is not span.resource or scope_name != span.scope_name:
        dialect = _dialect(span.scope_name, span.resource)
        _last = (span.scope_name, span.resource, dialect)
    reading = (dialect or _of_span(span))(span)
    return None if reading is None else to_record(span, reading)


def _dialect(scope_name: str, resource: Attributes) -> Dialect | None:
    key = (scope_name, resource.get("telemetry.sdk.name"), resource.get("service.name"))
    try:
        return _memo[key]
    except KeyError:
        return _remember(key)
    except TypeError:  # a resource attribute that is a list
        return _of_scope(scope_name, resource)


def _remember(key: tuple[str, object, object]) -> Dialect | None:
    if len(_memo) >= _MEMO_SIZE:
        _memo.clear()
    dialect = _of_scope(key[0], {"telemetry.sdk.name": key[1], "service.name": key[2]})  # type: ignore[dict-item]
    _memo[key] = dialect
    return dialect


def _of_scope(scope_name: str, resource: Attributes) -> Dialect | None:
    if resource.get("telemetry.sdk.name") == "openlit":
        return openlit.read
    found = _BY_SCOPE.get(scope_name)
    if found is not None:
        return found
    for prefix, dialect in _BY_SCOPE_PREFIX:
        if scope_name.startswith(prefix):
            return dialect
    service = resource.get("service.name")
    return _BY_SERVICE.get(service) if isinstance(service, str) else None


def _of_span(span: Span) -> Dialect:
    attributes = span.attributes
    for key, dialect in _BY_KEY:
        if key in attributes:
            return dialect
    for prefix, dialect in _BY_NAME_PREFIX:
        if span.name.startswith(prefix):
            return dialect
    return generic.read
