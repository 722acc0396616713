"""What is peculiar to each dialect, beyond what its vectors show: older names, wrappers alone, who a call is for."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ai_usage.tokens import TokenUsage
from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.record import SpanEvent
from tests.factories import make_span

if TYPE_CHECKING:
    from ai_usage_exporter.record import UsageRecord

MODEL = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.operation.name": "chat", "gen_ai.system": "openai"}
COUNTS = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 50}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 50,
}
LANGFUSE = {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o-mini"}


def read(scope: str, attributes: dict[str, Any], **changes: Any) -> UsageRecord:
    record = normalize(make_span(scope_name=scope, attributes=attributes, **changes))
    assert record is not None
    return record


def is_ignored(scope: str, attributes: dict[str, Any], **changes: Any) -> bool:
    return normalize(make_span(scope_name=scope, attributes=attributes, **changes)) is None


def langfuse(usage: dict[str, Any]) -> TokenUsage:
    details = {"langfuse.observation.usage_details": json.dumps(usage)}
    return read("langfuse-sdk", LANGFUSE | details).usage


def test_the_dialect_does_not_depend_on_the_span_before() -> None:
    clinic, codex = {"service.name": "clinic"}, {"service.name": "codex"}
    emitters = [("ai_usage.openai", clinic, "ai_usage"), ("x", clinic, "otel"), ("x", codex, "codex")]
    for one in emitters:
        for other in emitters:
            for scope, resource, emitter in (one, other):
                assert read(scope, MODEL | COUNTS, resource=resource).emitter == emitter


def test_older_names_of_the_conventions_are_read() -> None:
    record = read("somebody", MODEL | {"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 50})
    assert (record.usage.input_tokens, record.usage.output_tokens, record.provider) == (100, 50, "openai")


def test_the_newer_name_counts_where_both_are_sent() -> None:
    record = read(
        "somebody", MODEL | COUNTS | {"gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.cache_creation.input_tokens": 5}
    )
    assert (record.usage.input_tokens, record.usage.cache_write_tokens) == (100, 5)


@pytest.mark.parametrize("operation", ["execute_tool", "retrieval", "fetch_response", "create_memory"])
def test_operations_without_a_model_are_no_usage(operation: str) -> None:
    assert is_ignored("somebody", MODEL | COUNTS | {"gen_ai.operation.name": operation})


def test_an_agent_with_totals_is_marked_and_one_without_is_no_usage() -> None:
    agent = MODEL | {"gen_ai.operation.name": "invoke_agent"}
    assert read("somebody", agent | COUNTS).usage_flags == ("agent_total",)
    assert is_ignored("somebody", agent)


def test_a_stream_that_reported_nothing_is_unknown_and_not_zero() -> None:
    assert read("opentelemetry.instrumentation.genai.openai", MODEL).usage == TokenUsage()


def test_unknown_emitters_count_by_any_known_key_if_they_name_a_model() -> None:
    record = read(
        "house",
        {
            "llm.model_name": "gpt-4o-mini",
            "llm.usage.total_tokens": 150,
            "llm.usage.prompt_tokens": 100,
            "llm.usage.completion_tokens": 50,
        },
    )
    assert (record.emitter, record.usage.input_tokens, record.usage.output_tokens) == ("generic", 100, 50)
    assert is_ignored("house", {"http.method": "GET"})


def test_bedrock_of_openllmetry_leaves_the_cache_out() -> None:
    record = read(
        "opentelemetry.instrumentation.bedrock",
        MODEL
        | {
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.usage.cache_read_input_tokens": 1000,
            "gen_ai.usage.cache_creation_input_tokens": 200,
        },
    )
    assert record.usage.input_tokens == 1210


@pytest.mark.parametrize("kind", ["workflow", "task", "agent", "tool"])
def test_spans_around_calls_of_openllmetry_are_no_calls(kind: str) -> None:
    assert is_ignored("opentelemetry.instrumentation.langchain", {"traceloop.span.kind": kind})


def test_an_endpoint_that_is_no_model_is_no_call_in_openinference() -> None:
    assert is_ignored("openinference.instrumentation.openai", {"openinference.span.kind": "LLM"})


def test_a_failed_openinference_span_has_its_model_and_class_from_elsewhere() -> None:
    record = read(
        "openinference.instrumentation.openai",
        {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "gpt-4o-mini"}'},
        status_code=2,
        events=[SpanEvent("exception", {"exception.type": "openai.BadRequestError", "exception.message": "no"})],
    )
    assert (record.model, record.error_code, record.error_message) == ("gpt-4o-mini", "BadRequestError", "no")


def test_one_openinference_span_with_both_families_of_keys_is_read_once() -> None:
    record = read("openinference.instrumentation.openai", OPENINFERENCE | MODEL | {"gen_ai.usage.input_tokens": 999})
    assert record.usage.input_tokens == 100


def test_what_anthropic_bills_for_compaction_is_part_of_the_call() -> None:
    compaction = {"anthropic.usage.compaction.input_tokens": 900, "anthropic.usage.compaction.output_tokens": 70}
    record = read("com.anthropic.sdk.python", MODEL | COUNTS | compaction)
    assert (record.usage.input_tokens, record.usage.output_tokens) == (1000, 120)
    assert record.usage_flags == ("compaction_added",)


def test_the_tier_anthropic_served_is_read() -> None:
    record = read("com.anthropic.sdk.python", MODEL | COUNTS | {"anthropic.response.service_tier": "priority"})
    assert (record.service_tier, record.usage_flags) == ("priority", ())


def test_langfuse_buckets_are_made_inclusive() -> None:
    exclusive = {"input": 200, "input_cache_read": 1000, "output": 30, "output_reasoning": 20, "total": 1250}
    usage = langfuse(exclusive)
    assert (usage.input_tokens, usage.cache_read_tokens) == (1200, 1000)
    assert (usage.output_tokens, usage.reasoning_tokens) == (50, 20)


def test_langfuse_objects_of_the_provider_are_inclusive_already() -> None:
    provider = {
        "prompt_tokens": 1200,
        "completion_tokens": 50,
        "total_tokens": 1250,
        "prompt_tokens_details": {"cached_tokens": 1000},
    }
    usage = langfuse(provider)
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (1200, 1000, 50)


def test_pydantic_ai_agents_report_totals_under_either_name() -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o-mini"}
    new = {"gen_ai.aggregated_usage.input_tokens": 100, "gen_ai.aggregated_usage.output_tokens": 50}
    for counts in (new, COUNTS):
        record = read("pydantic-ai", agent | counts)
        assert (record.usage.input_tokens, record.usage_flags) == (100, ("agent_total",))


def test_the_holder_of_litellms_master_key_is_nobody() -> None:
    call = MODEL | COUNTS | {"gen_ai.operation.name": "acompletion"}
    owner = {"metadata.user_api_key_user_id": "default_user_id"}
    assert read("litellm", call | owner).user is None
    assert read("litellm", call | owner | {"llm.user": "u-17"}).user == "u-17"


def test_the_root_of_a_claude_agent_run_counts_and_its_parts_do_not() -> None:
    assert is_ignored("logfire.claude_agent_sdk", MODEL | {"gen_ai.usage.partial.input_tokens": 10})
    root = MODEL | COUNTS | {"gen_ai.operation.name": "invoke_agent"}
    assert read("logfire.claude_agent_sdk", root).usage_flags == ("agent_total",)


def test_what_a_claude_agents_session_cost_so_far_is_not_the_cost_of_a_run() -> None:
    root = MODEL | COUNTS | {"gen_ai.operation.name": "invoke_agent", "operation.cost": 0.5}
    assert read("logfire.claude_agent_sdk", root).reported_cost_usd is None
    assert read("logfire.openai", MODEL | COUNTS | {"operation.cost": 0.5}).reported_cost_usd == Decimal("0.5")


def test_a_span_of_gemini_cli_without_numbers_is_left_to_its_event() -> None:
    stream = {"gen_ai.operation.name": "llm_call", "gen_ai.request.model": "gemini-2.5-flash"}
    assert is_ignored("gemini-cli", stream, name="llm_call", resource={"service.name": "gemini-cli"})
    failed = read("gemini-cli", stream, name="llm_call", resource={"service.name": "gemini-cli"}, status_code=2)
    assert (failed.success, failed.usage.input_tokens) == (False, None)


def test_claude_codes_input_includes_the_cache_under_the_conventions_name_alone() -> None:
    bare = {"input_tokens": 10, "output_tokens": 30, "cache_read_tokens": 1000, "cache_creation_tokens": 200}
    named = {"gen_ai.usage.input_tokens": 1210, "gen_ai.usage.output_tokens": 30}
    for counts in (bare, bare | named):
        record = read("com.anthropic.claude_code.tracing", MODEL | counts, name="claude_code.llm_request")
        assert record.usage[:4] == (1210, 30, 1000, 200)


def test_vercel_3_is_read_with_doubles() -> None:
    record = read(
        "ai",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-4o-mini",
            "ai.model.provider": "openai.chat",
            "ai.usage.promptTokens": 100.0,
            "ai.usage.completionTokens": 50.0,
        },
        name="ai.generateText.doGenerate",
    )
    assert (record.provider, record.usage.input_tokens, record.usage.output_tokens) == ("openai", 100, 50)


def test_openlit_zeros_are_no_reports_and_its_anthropic_cache_is_added() -> None:
    zeros = {"gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.usage.reasoning_tokens": 0}
    assert read("openlit.instrumentation.openai", MODEL | COUNTS | zeros).usage.cache_read_tokens is None
    claude = MODEL | {
        "gen_ai.system": "anthropic",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 1000,
    }
    assert read("openlit.instrumentation.anthropic", claude).usage.input_tokens == 1010


def test_counts_that_openlit_made_itself_are_flagged() -> None:
    assert read("openlit.instrumentation.openai", MODEL | COUNTS).usage_flags == ("estimated_tokens",)


def test_google_adk_1_counts_the_outer_span_as_a_wrapper() -> None:
    record = read(
        "gcp.vertex.agent",
        {**MODEL, **COUNTS, "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash"},
        name="call_llm",
    )
    assert (record.provider, record.usage_flags) == ("gcp.gemini", ("emitter_miscounts", "wrapper"))


def test_a_cache_hit_of_litellm_is_told() -> None:
    assert read("litellm", MODEL | COUNTS | {"litellm.cache_hit": True}).cache_hit
    assert read("litellm", MODEL | COUNTS | {"hidden_params": '{"cache_hit": true}'}).cache_hit
    assert not read("litellm", MODEL | COUNTS | {"litellm.cache_hit": False}).cache_hit


def test_parts_that_litellm_writes_as_a_repr_are_read_and_never_run() -> None:
    usage = "{'prompt_tokens_details': {'cached_tokens': 40}, 'cache_creation_input_tokens': 5}"
    record = read("litellm", MODEL | COUNTS | {"metadata.usage_object": usage})
    assert (record.usage.cache_read_tokens, record.usage.cache_write_tokens) == (40, 5)
    for strange in ("__import__('os').getcwd()", "[1, 2]", "{'a': ", "{" * 3000):
        assert read("litellm", MODEL | COUNTS | {"metadata.usage_object": strange}).usage.input_tokens == 100


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        pytest.param("somebody", {"user.id": "u-17", "gen_ai.conversation.id": "s-4"}, id="conventions"),
        pytest.param("somebody", {"enduser.id": "u-17", "session.id": "s-4"}, id="older conventions"),
        pytest.param(
            "opentelemetry.instrumentation.openai.v1",
            {"traceloop.association.properties.user_id": "u-17", "traceloop.association.properties.session_id": "s-4"},
            id="openllmetry",
        ),
        pytest.param(
            "langfuse-sdk", LANGFUSE | {"langfuse.user.id": "u-17", "langfuse.session.id": "s-4"}, id="langfuse"
        ),
        pytest.param("litellm", {"litellm.end_user.id": "u-17", "session.id": "s-4"}, id="litellm"),
        pytest.param("litellm", {"metadata.user_api_key_user_id": "u-17", "session.id": "s-4"}, id="litellm keys"),
        pytest.param(
            "openlit.instrumentation.openai", {"gen_ai.request.user": "u-17", "session.id": "s-4"}, id="openlit"
        ),
        pytest.param(
            "gen_ai", {"ai.telemetry.metadata.userId": "u-17", "ai.telemetry.metadata.sessionId": "s-4"}, id="vercel"
        ),
        pytest.param("gcp.vertex.agent", {"user.id": "u-17", "gcp.vertex.agent.session_id": "s-4"}, id="google adk"),
        pytest.param(
            "mlflow.tracing.provider",
            {
                "mlflow.spanType": '"LLM"',
                "mlflow.llm.model": '"gpt-4o-mini"',
                "user.id": '"u-17"',
                "session.id": '"s-4"',
            },
            id="mlflow",
        ),
    ],
)
def test_users_and_sessions_are_read_from_every_dialects_keys(scope: str, attributes: dict[str, Any]) -> None:
    record = read(scope, MODEL | COUNTS | attributes)
    assert (record.user, record.session_id) == ("u-17", "s-4")


def test_service_action_and_metadata_are_what_the_application_says() -> None:
    said = {"ai_usage.service.name": "xray", "ai_usage.service.action": "analyze", "ai_usage.metadata.ward": "3b"}
    record = read("somebody", MODEL | COUNTS | said)
    assert (record.service_name, record.service_action, record.metadata) == ("xray", "analyze", {"ward": "3b"})


def test_service_and_action_follow_from_the_span_where_nobody_says() -> None:
    record = read("somebody", MODEL | COUNTS, resource={"service.name": "clinic"})
    assert (record.service_name, record.service_action) == ("clinic", "chat")
    assert read("somebody", MODEL | COUNTS, resource={}).service_name == "unknown"
