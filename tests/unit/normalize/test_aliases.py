"""Every name a fact is known by is read, alone, from a span of nobody known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_usage_exporter.normalize import normalize
from tests.factories import make_span

if TYPE_CHECKING:
    from ai_usage_exporter.record import UsageRecord

CHAT = {"gen_ai.operation.name": "chat"}
COUNTS = {"gen_ai.usage.input_tokens": 5000, "gen_ai.usage.output_tokens": 3000}
NAMES: dict[str, tuple[str, ...]] = {
    "provider": (
        "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider",
        "mlflow.llm.provider",
    ),
    "request_model": (
        "gen_ai.request.model", "llm.request.model_name", "llm.model_name", "embedding.model_name", "ai.model.id",
        "langfuse.observation.model.name", "mlflow.llm.model", "model",
    ),
    "model": ("gen_ai.response.model", "llm.response.model_name", "ai.response.model", "litellm.provider.model"),
    "user": (
        "user.id", "enduser.id", "gen_ai.user", "gen_ai.user.id", "llm.user", "gen_ai.request.user",
        "ai.telemetry.metadata.userId", "traceloop.association.properties.user_id", "langfuse.user.id",
        "litellm.end_user.id", "metadata.user_api_key_end_user_id", "metadata.user_api_key_user_id",
    ),
    "session_id": (
        "gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
    ),
    "error_code": ("error.type",),
    "response_id": ("gen_ai.response.id", "ai.response.id"),
}  # fmt: skip
COUNTED: dict[str, tuple[str, ...]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
        "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.response.prompt_token_count",
        # A total alone stands as input.
        "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens",
        "gen_ai.response.total_token_count",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
        "gen_ai.response.candidates_token_count",
    ),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read", "ai.usage.cachedInputTokens",
        "ai.usage.inputTokenDetails.cacheReadTokens", "gen_ai.usage.details.cache_read_tokens", "cache_read_tokens",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_input_tokens",
        "llm.token_count.prompt_details.cache_write", "ai.usage.inputTokenDetails.cacheWriteTokens",
        "cache_creation_tokens",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens",
        "ai.usage.outputTokenDetails.reasoningTokens",
    ),
}  # fmt: skip


def read(attributes: dict[str, Any]) -> UsageRecord:
    record = normalize(make_span(scope_name="nobody", attributes=attributes))
    assert record is not None
    return record


@pytest.mark.parametrize(("fact", "key"), [(fact, key) for fact, keys in NAMES.items() for key in keys])
def test_a_text_is_read_by_any_of_its_names(fact: str, key: str) -> None:
    assert getattr(read(CHAT | COUNTS | {key: "somebody-7"}), fact) == "somebody-7"


@pytest.mark.parametrize("sent", [17, 17.0, "17"], ids=["int", "double", "string"])
@pytest.mark.parametrize(("fact", "key"), [(fact, key) for fact, keys in COUNTED.items() for key in keys])
def test_a_count_is_read_by_any_of_its_names_in_any_type(fact: str, key: str, sent: Any) -> None:
    counts = COUNTS if fact not in {"input_tokens", "output_tokens"} else {}
    assert getattr(read(CHAT | counts | {key: sent}).usage, fact) == 17
