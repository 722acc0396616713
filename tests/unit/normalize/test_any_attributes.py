"""Any value under any known key: a span becomes a row, nothing, or is parked by name; its attributes have no order."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ai_usage_exporter.calls import decide
from ai_usage_exporter.errors import UnstorableError
from ai_usage_exporter.evidence import evidence_of_record
from ai_usage_exporter.normalize import _BY_KEY, _BY_NAME_PREFIX, _BY_SCOPE, _BY_SCOPE_PREFIX, _BY_SERVICE, normalize
from ai_usage_exporter.normalize.keys import METADATA_PREFIXES, PLACE_OF
from ai_usage_exporter.price import price
from ai_usage_exporter.record import SpanEvent
from tests.factories import make_span

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span, UsageRecord

SCOPES: Final = sorted({*_BY_SCOPE, *(prefix + "x" for prefix, _ in _BY_SCOPE_PREFIX), "somebody", ""})
SERVICES: Final = sorted({*_BY_SERVICE, "clinic"})
NAMES: Final = (
    "chat gpt-4o-mini", "call_llm", "llm_call", "handle_responses", "codex.sse_event", "claude_code.llm_request",
    "claude_code.api_error", "gemini_cli.api_response", "raw_gen_ai_request", "ai.streamText.doStream", "chat",
    "ai.embed", "openai.embeddings", "streaming response from 'x' took 1s", "Model invoke", "", ".", " ",
)  # fmt: skip
START_NS: Final = 1_795_000_000_000_000_000
OF_ONE_DIALECT: Final = (
    "langfuse.observation.usage_details", "langfuse.observation.cost_details", "langfuse.observation.level",
    "langfuse.trace.metadata", "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.spanInputs", "mlflow.spanOutputs",
    "hidden_params", "metadata.usage_object", "gen_ai.usage.raw", "gen_ai.usage.partial.input_tokens",
    "gen_ai.aggregated_usage.input_tokens", "gen_ai.aggregated_usage.output_tokens", "ai.usage",
    "ai.usage.inputTokenDetails", "llm.invocation_parameters", "output.value", "metadata", "llm.request.type",
    "gen_ai.is_streaming", "gen_ai.request.stream", "input_tokens", "output_tokens", "input_token_count",
    "output_token_count", "cached_token_count", "reasoning_token_count", "tool_token_count", "total_token_count",
    "cached_content_token_count", "thoughts_token_count", "event.kind", "success", "status_code", "error", "speed",
    "request_id", "logfire.span_type", "gcp.vertex.agent.session_id", "error.message", "error_type", "model_name",
    "langfuse.observation.metadata.ls_integration", "user.account_uuid", "anthropic.usage.compaction.input_tokens",
    "anthropic.usage.compaction.output_tokens",
)  # fmt: skip
KEYS: Final = sorted(
    {*PLACE_OF, *OF_ONE_DIALECT, *(key for key, _ in _BY_KEY), *(prefix + "team" for prefix in METADATA_PREFIXES)}
    | {prefix + "x" for prefix, _ in _BY_NAME_PREFIX}
)
TEXTS: Final = (
    "chat", "embeddings", "invoke_agent", "generate_content", "openai", "anthropic", "google", "gpt-4o-mini",
    "claude-sonnet-4-5", "gemini-2.5-flash", "text_completion", "LLM", "EMBEDDING", "AGENT", "generation", "agent",
    "span", '"CHAT_MODEL"', "workflow", "ERROR", "true", "null", "NaN", "-1", "1e999", "9.9e999999", "USD",
    "local", "many", "", " ", "{", "[", '"', '{"a": 1}', '{"total": "9.9e999999", "input": 9.9e307}',
    '{"input": 10, "output": 5, "total": 15, "input_cache_read": 5}', '{"total": [1], "input": {"a": []}}',
    '{"input_tokens": "7", "output_tokens": 2.0, "total_tokens": 9}', '{"input": "9e999999", "output": "9e999999"}',
    '{"model": ["a"], "response_cost": [1], "cache_hit": [true]}', '{"prompt_tokens_details": [1], "cost": 1}',
    "{'prompt_tokens_details': {'cached_tokens': [1]}, 'completion_tokens_details': 3}", '{"model": "gpt-4o"}',
    "é\ud800\x00",
)  # fmt: skip
NUMBERS: Final = (
    0, 1, -1, 7, 100, 2**31, 2**63 - 1, -(2**63), 0.0, 50.0, -0.5, 1.5, 1e300, 5e-324, float("nan"), float("inf"),
    "0", "12", " 12 ", "12.0", "+7", "-7", "1e3", "\u0661", "9" * 5000, True, False, None, b"", b"\xff",
)  # fmt: skip
RUNS: Final = 10_000


def draw_value(draw: random.Random) -> Any:
    """Return a count most of the time, so that much is read and not parked at once."""
    kind = draw.random()
    if kind < 0.6:
        return draw.choice((draw.randrange(5000), float(draw.randrange(5000)), str(draw.randrange(5000))))
    if kind < 0.9:
        return draw.choice(TEXTS if kind < 0.82 else NUMBERS)
    values = [draw.choice(TEXTS + NUMBERS) for _ in range(draw.randrange(3))]
    return values if kind < 0.95 else dict.fromkeys(TEXTS[:2], values)


def draw_span(draw: random.Random) -> Span:
    """Return a span of any emitter with any of the keys that somebody reads."""
    attributes = {key: draw_value(draw) for key in draw.sample(KEYS, draw.randrange(1, 40))}
    if draw.random() < 0.7:
        attributes |= {"gen_ai.operation.name": draw.choice(("chat", "embeddings", "invoke_agent"))}
    resource = {"service.name": draw.choice((*SERVICES, draw_value(draw)))}
    if draw.random() < 0.1:
        resource["telemetry.sdk.name"] = draw.choice(("openlit", draw_value(draw)))
    exception = {key: draw_value(draw) for key in ("exception.type", "exception.message")}
    return make_span(
        name=draw.choice(NAMES),
        scope_name=draw.choice((*SCOPES, *["somebody"] * 20)),  # told by its keys or its name
        attributes=attributes,
        resource=resource,
        status_code=draw.randrange(3),
        start_ns=draw.choice((*[START_NS] * 20, 0, 2**64 - 1)),
        end_ns=draw.choice((START_NS + 1, 0, 2**64 - 1)),
        events=[SpanEvent(draw.choice(("exception", "other")), exception)],
    )


def read(span: Span) -> UsageRecord | str | None:
    """Return the record, nothing, or why the span is parked."""
    try:
        return normalize(span)
    except UnstorableError as error:
        return error.reason


def test_whatever_is_sent_is_a_row_or_nothing_or_parked_by_name() -> None:
    draw = random.Random(4)
    fates = Counter[str]()
    for _ in range(RUNS):
        span = draw_span(draw)
        record = read(span)
        if record is None or isinstance(record, str):
            fates[record or "nothing"] += 1
            continue
        call = price(record)
        fates["row"] += 1
        assert call.cost.amount_usd is None or call.cost.amount_usd.is_finite()
        assert all(count is None or type(count) is int for count in record.usage)
        for written in (record.provider, record.model, record.service_name, record.operation, record.emitter):
            assert type(written) is str
            assert written
        for written in (
            record.request_model, record.user, record.user_email, record.session_id, record.response_id,
            record.error_code, record.error_message, record.service_tier, record.service_action,
        ):  # fmt: skip
            assert written is None or type(written) is str
        assert decide([evidence_of_record(record)]) == {}
    assert fates.keys() == {"row", "nothing", "tokens_out_of_range", "cost_out_of_range", "time_out_of_range"}
    assert fates["row"] > RUNS // 10


def test_attributes_have_no_order() -> None:
    draw = random.Random(5)
    for _ in range(RUNS):
        span = draw_span(draw)
        pairs = list(span.attributes.items())
        draw.shuffle(pairs)
        assert comparable(read(span._replace(attributes=dict(pairs)))) == comparable(read(span))


def comparable(found: UsageRecord | str | None) -> str:
    """Return text: NaN equals nothing, and what order metadata has is nobody's business."""
    if found is None or isinstance(found, str):
        return repr(found)
    return repr(found._replace(metadata=None)) + repr(sorted((found.metadata or {}).items(), key=repr))
