"""Build the vectors of programs that are no libraries, from their documented events and spans.

``python -m tests.vectors.documented`` writes what Codex, Gemini CLI, the older Claude Code and Anthropic's platform are
said to send.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.vectors.normal_form import START_NS

_FOLDER: Final = Path(__file__).parent
_SECOND_NS: Final = 1_000_000_000
_DOCUMENTS: Final = {
    "anthropic_sdk": "Anthropic: OpenTelemetry traces of the SDKs and of the platform",
    "claude_code": "Claude Code: monitoring usage (events api_request, api_error; traces, beta)",
    "codex": "Codex: observability and telemetry (event codex.sse_event)",
    "gemini_cli": "Gemini CLI: telemetry (events gemini_cli.api_response, gemini_cli.api_error; spans llm_call)",
}
_SCOPES: Final = {
    "claude_code": "com.anthropic.claude_code.events",
    "codex": "codex_otel",
    "gemini_cli": "gemini-cli",
}
_SERVICES: Final = {
    "anthropic_sdk": "claude-platform",
    "claude_code": "claude-code",
    "codex": "codex_cli_rs",
    "gemini_cli": "gemini-cli",
}


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _resource(dialect: str) -> dict[str, Any]:
    return {"attributes": _pairs({"service.name": _SERVICES[dialect]})}


def _logs(dialect: str, *records: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a request of log records, a second apart."""
    made = []
    for number, (body, attributes) in enumerate(records):
        time = str(START_NS + (number + 1) * _SECOND_NS)
        made.append({"timeUnixNano": time, "body": {"stringValue": body}, "attributes": _pairs(attributes)})
    scope_logs = {"scope": {"name": _SCOPES[dialect], "version": "1.0.0"}, "logRecords": made}
    return {"resourceLogs": [{"resource": _resource(dialect), "scopeLogs": [scope_logs]}]}


def _span(dialect: str, name: str, attributes: dict[str, Any], scope: str, *, error: str = "") -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": f"{1:032x}",
        "spanId": f"{1:016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(START_NS + _SECOND_NS),
        "attributes": _pairs(attributes),
    }
    if error:
        span["status"] = {"code": 2, "message": error}
    scope_spans = {"scope": {"name": scope, "version": "1.0.0"}, "spans": [span]}
    return {"resourceSpans": [{"resource": _resource(dialect), "scopeSpans": [scope_spans]}]}


_CLAUDE: Final = {
    "event.name": "api_request",
    "event.timestamp": "2026-11-01T12:00:01.000Z",
    "session.id": "s-4",
    "user.id": "u-17",
    "user.email": "u-17@example.com",
    "organization.id": "org-1",
    "model": "claude-sonnet-4-5",
    "duration_ms": "800",
    "request_id": "req_1",
}
_CLAUDE_ROW: Final = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "operation": "chat",
    "success": True,
    "error_code": None,
    "user": "u-17",
    "user_email": "u-17@example.com",
    "session_id": "s-4",
    "response_id": "req_1",
    "service_name": "claude-code",
}
# Counts come as strings, and leave out what was read from and written to the cache.
_CLAUDE_PLAIN: Final = {
    "input_tokens": "100",
    "output_tokens": "50",
    "cache_read_tokens": "0",
    "cache_creation_tokens": "0",
}
_CLAUDE_CACHED: Final = {
    "input_tokens": "10",
    "output_tokens": "30",
    "cache_read_tokens": "1000",
    "cache_creation_tokens": "200",
}
_PLAIN: Final = {"input_tokens": 100, "output_tokens": 50}
_CACHED: Final = {"input_tokens": 1210, "output_tokens": 30, "cache_read_tokens": 1000, "cache_write_tokens": 200}
_FAILED: Final = {"input_tokens": None, "output_tokens": None, "success": False}

_MESSAGE: Final = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5",
    "gen_ai.response.id": "msg_1",
    "gen_ai.usage.input_tokens": 1210,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "gen_ai.usage.cache_write.input_tokens": 200,
}
_MESSAGE_ROW: Final = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "request_model": "claude-sonnet-4-5",
    "operation": "chat",
    "success": True,
    "error_code": None,
    "response_id": "msg_1",
}


def _platform(*, client: bool, same_trace: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the platform says of a message, and the SDK that asked for it; input and expected."""
    name = "anthropic.messages.create"
    platform = _span("anthropic_sdk", name, _MESSAGE, "com.anthropic.claude-platform")["resourceSpans"]
    if not client:
        return {"resourceSpans": platform}, _row(
            _MESSAGE_ROW, {**_CACHED, "usage_flags": ["gateway"]}, span_id=f"{1:016x}"
        )
    ours = _span("anthropic_sdk", name, _MESSAGE, "com.anthropic.sdk.python")["resourceSpans"]
    ours[0]["resource"]["attributes"] = _pairs({"service.name": "vectors"})
    seen = platform[0]["scopeSpans"][0]["spans"][0]
    seen |= {"spanId": f"{2:016x}", "kind": 2}
    seen |= {"parentSpanId": f"{1:016x}"} if same_trace else {"traceId": f"{2:032x}"}
    shadow = {"span_id": f"{2:016x}", "restates": f"{1:016x}", "reason": "gateway", **_CACHED}
    expected = {"rows": [{"span_id": f"{1:016x}", **_MESSAGE_ROW, **_CACHED}], "shadows": [shadow]}
    return {"resourceSpans": ours + platform}, expected


_CODEX: Final = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "event.timestamp": "2026-11-01T12:00:01.000Z",
    "conversation.id": "s-4",
    "user.account_id": "u-17",
    "user.email": "u-17@example.com",
    "model": "gpt-5-codex",
    "slug": "gpt-5-codex",
    "app.version": "1.0.0",
}
_CODEX_ROW: Final = {
    "provider": "openai",
    "model": "gpt-5-codex",
    "operation": "chat",
    "success": True,
    "error_code": None,
    "user": "u-17",
    "user_email": "u-17@example.com",
    "session_id": "s-4",
}


def _codex_counts(cached: int = 0, reasoning: int = 0, tokens: int = 100) -> dict[str, Any]:
    return {
        "input_token_count": str(tokens),
        "output_token_count": "50",
        "cached_token_count": str(cached),
        "reasoning_token_count": str(reasoning),
        "tool_token_count": str(tokens + 50),
    }


_GEMINI: Final = {
    "event.name": "gemini_cli.api_response",
    "event.timestamp": "2026-11-01T12:00:01.000Z",
    "session.id": "s-4",
    "installation.id": "i-1",
    "user.email": "u-17@example.com",
    "model": "gemini-2.5-flash",
    "prompt_id": "s-4########1",
    "status_code": 200,
    "duration_ms": 800,
    "auth_type": "oauth-personal",
}
_GEMINI_ROW: Final = {
    "provider": "gcp.gemini",
    "model": "gemini-2.5-flash",
    "operation": "generate_content",
    "success": True,
    "error_code": None,
    "user": "i-1",
    "user_email": "u-17@example.com",
    "session_id": "s-4",
    "metadata": {"prompt_id": "s-4########1"},
}


def _gemini_counts(
    tokens: int = 100, output: int = 50, cached: int = 0, thoughts: int = 0, tool: int = 0
) -> dict[str, int]:
    return {
        "input_token_count": tokens,
        "output_token_count": output,
        "cached_content_token_count": cached,
        "thoughts_token_count": thoughts,
        "tool_token_count": tool,
        "total_token_count": tokens + output + thoughts + tool,
    }


def _row(about: dict[str, Any], counts: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"rows": [{**(where or {"record": 0}), **about, **counts}], "shadows": []}


def vectors() -> dict[str, dict[str, tuple[dict[str, Any], dict[str, Any]]]]:
    """Return dialect → case → (input, expected)."""
    claude_plain = _logs(
        "claude_code", ("claude_code.api_request", {**_CLAUDE, **_CLAUDE_PLAIN, "cost_usd": "0.00105"})
    )
    claude_span = {key: value for key, value in _CLAUDE.items() if not key.startswith("event.")}
    gemini_span = {key: value for key, value in _GEMINI.items() if not key.startswith("event.")}
    gemini_plain = _logs("gemini_cli", ("API response from gemini-2.5-flash.", {**_GEMINI, **_gemini_counts()}))
    return {
        "anthropic_sdk": {
            "documented-platform": _platform(client=False),
            "documented-wrapper-platform": _platform(client=True, same_trace=True),
            "documented-wrapper-platform-apart": _platform(client=True),
        },
        "claude_code": {
            "documented-plain": (claude_plain, _row(_CLAUDE_ROW, {**_PLAIN, "reported_cost_usd": "0.00105"})),
            "documented-cached": (
                _logs("claude_code", ("claude_code.api_request", {**_CLAUDE, **_CLAUDE_CACHED, "cost_usd": 0.00153})),
                _row(_CLAUDE_ROW, {**_CACHED, "reported_cost_usd": "0.00153"}),
            ),
            "documented-error": (
                _logs(
                    "claude_code",
                    (
                        "claude_code.api_error",
                        _CLAUDE | {"event.name": "api_error", "error": "Rate limit reached", "status_code": "429"},
                    ),
                ),
                _row(_CLAUDE_ROW, {**_FAILED, "error_code": "429"}),
            ),
            "documented-span": (
                _span(
                    "claude_code",
                    "claude_code.llm_request",
                    {
                        **claude_span,
                        "input_tokens": 10,
                        "output_tokens": 30,
                        "cache_read_tokens": 1000,
                        "cache_creation_tokens": 200,
                        "success": True,
                    },
                    "com.anthropic.claude_code.tracing",
                ),
                _row(_CLAUDE_ROW, _CACHED, span_id=f"{1:016x}"),
            ),
            "documented-span-and-event": (
                claude_plain
                | _span(
                    "claude_code",
                    "claude_code.llm_request",
                    {**claude_span, "input_tokens": 100, "output_tokens": 50, "success": True},
                    "com.anthropic.claude_code.tracing",
                ),
                {
                    "rows": [{"span_id": f"{1:016x}", **_CLAUDE_ROW, **_PLAIN}],
                    "shadows": [{"record": 0, "restates": f"{1:016x}", "reason": "second_instrumentor", **_PLAIN}],
                },
            ),
        },
        "codex": {
            "documented-plain": (_logs("codex", ("", {**_CODEX, **_codex_counts()})), _row(_CODEX_ROW, _PLAIN)),
            "documented-cached": (
                _logs("codex", ("", {**_CODEX, **_codex_counts(cached=1000, tokens=1200)})),
                _row(_CODEX_ROW, {"input_tokens": 1200, "output_tokens": 50, "cache_read_tokens": 1000}),
            ),
            "documented-reasoning": (
                _logs("codex", ("", {**_CODEX, **_codex_counts(reasoning=20)})),
                _row(_CODEX_ROW, {**_PLAIN, "reasoning_tokens": 20}),
            ),
            "documented-error": (
                _logs("codex", ("", _CODEX | {"event.kind": "response.failed", "error.message": "Rate limit reached"})),
                _row(_CODEX_ROW, {**_FAILED, "error_code": "_OTHER"}),
            ),
            # Every event of a stream is an event; one of them has the numbers.
            "documented-stream": (
                _logs(
                    "codex",
                    ("", _CODEX | {"event.kind": "response.created"}),
                    ("", _CODEX | {"event.kind": "response.output_item.done"}),
                    ("", {**_CODEX, **_codex_counts()}),
                ),
                _row(_CODEX_ROW, _PLAIN, record=2),
            ),
        },
        "gemini_cli": {
            "documented-plain": (gemini_plain, _row(_GEMINI_ROW, _PLAIN)),
            "documented-cached": (
                _logs("gemini_cli", ("", {**_GEMINI, **_gemini_counts(1200, cached=1000)})),
                _row(_GEMINI_ROW, {"input_tokens": 1200, "output_tokens": 50, "cache_read_tokens": 1000}),
            ),
            # Thoughts are beside the output here, and inside it in a row.
            "documented-reasoning": (
                _logs("gemini_cli", ("", {**_GEMINI, **_gemini_counts(output=30, thoughts=20)})),
                _row(_GEMINI_ROW, {**_PLAIN, "reasoning_tokens": 20}),
            ),
            "documented-tool-prompt": (
                _logs("gemini_cli", ("", {**_GEMINI, **_gemini_counts(100, 30, 40, 20, 7)})),
                _row(
                    _GEMINI_ROW,
                    {"input_tokens": 107, "output_tokens": 50, "cache_read_tokens": 40, "reasoning_tokens": 20},
                ),
            ),
            "documented-error": (
                _logs(
                    "gemini_cli",
                    (
                        "",
                        _GEMINI
                        | {"event.name": "gemini_cli.api_error", "error_type": "RateLimitError", "status_code": 429},
                    ),
                ),
                _row(_GEMINI_ROW, {**_FAILED, "error_code": "RateLimitError"}),
            ),
            # The same reply is told of twice: by its own event, and by the conventions' one.
            "documented-two-events": (
                _logs(
                    "gemini_cli",
                    ("", {**_GEMINI, **_gemini_counts()}),
                    (
                        "",
                        {
                            "event.name": "gen_ai.client.inference.operation.details",
                            "gen_ai.request.model": "gemini-2.5-flash",
                            "gen_ai.usage.input_tokens": 100,
                            "gen_ai.usage.output_tokens": 50,
                        },
                    ),
                ),
                _row(_GEMINI_ROW, _PLAIN),
            ),
            "documented-span": (
                _span(
                    "gemini_cli", "llm_call", {**gemini_span, **_gemini_counts(output=30, thoughts=20)}, "gemini-cli"
                ),
                _row(_GEMINI_ROW, {**_PLAIN, "reasoning_tokens": 20}, span_id=f"{1:016x}"),
            ),
        },
    }


def main() -> None:
    """Write all of them."""
    for dialect, cases in vectors().items():
        folder = _FOLDER / dialect
        folder.mkdir(exist_ok=True)
        for case, (given, expected) in cases.items():
            vector = {
                "dialect": dialect,
                "case": case,
                "produced_by": {
                    "command": "python -m tests.vectors.documented",
                    "documentation": _DOCUMENTS[dialect],
                },
                "input": given,
                "expected": expected,
            }
            text = json.dumps(vector, indent=1, ensure_ascii=False) + "\n"
            (folder / f"{case}.json").write_text(text, encoding="utf-8")
        print(f"{dialect}: {len(cases)} vectors")


if __name__ == "__main__":
    main()
