"""What each vector must give, span by span, written by hand; numbers come from what the stand-in handed out.

A claim says which span is the row of which call, which spans restate it and why, and what the dialect leaves out or
calls otherwise. Nothing here is read from this project's own result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vectors.standin import Call, Case

PROVIDERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gcp.gemini",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
}
_PARTS: Final = {"cached": "cache_read_tokens", "cache_written": "cache_write_tokens", "reasoning": "reasoning_tokens"}


class Row(NamedTuple):
    """Claim that the span of a name is the row of a call; ``changes`` replace what follows from the call."""

    span: str
    """The span's name; ``name#2`` is the second of that name."""
    call: int = 0
    changes: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Shadow(NamedTuple):
    """Claim that the span of a name restates the row of a number."""

    span: str
    reason: str
    row: int = 0
    calls: tuple[int, ...] = (0,)
    """The calls it sums up."""
    changes: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Claim(NamedTuple):
    """Claim the rows and shadows of one vector; every other span is neither."""

    rows: tuple[Row, ...]
    shadows: tuple[Shadow, ...] = ()


def _one(span: str, **changes: Any) -> Claim:
    return Claim((Row(span, 0, changes),))


def _agent(span: str, agent: str, **changes: Any) -> Claim:
    return Claim((Row(span, 0, changes),), (Shadow(agent, "agent_total"),))


def _tool(span: str, agent: str, **changes: Any) -> Claim:
    return Claim((Row(span, 0, changes), Row(f"{span}#2", 1, changes)), (Shadow(agent, "agent_total", 0, (0, 1)),))


_SOMEBODY: Final = {"user": "u-17", "session_id": "s-4"}
_NO_ID: Final = {"response_id": None}
_TIER: Final = {"service_tier": "default"}
_NATIVE: Final = "anthropic.messages.create"
_SAME: Final = {"request_model": None, "response_id": None}


def _openai(
    chat: str, embed: str = "", *, reasoning: str = "", plain: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Claim]:
    """Claim one row for each plain call of the openai SDK."""
    error = {key: value for key, value in changes.items() if key not in {"reported_cost_usd", "service_tier"}}
    claims = {
        "plain": _one(chat, **(changes | (plain or {}))),
        "stream": _one(chat, **changes),
        "cached": _one(chat, **changes),
        "reasoning": _one(reasoning or chat, **changes),
        "error": _one(chat, **error),
    }
    if embed:
        claims["embedding"] = _one(embed, **{k: v for k, v in changes.items() if k not in {"service_tier"}})
    return claims


# The spans of OpenLLMetry and MLflow.
_WITHOUT_THINKING: Final = ("anthropic.chat", "Messages.create")


def _beside_native(span: str, **stream: Any) -> dict[str, Claim]:
    """Claim that the SDK's own span is the row, and the instrumentor's a second one."""

    def claim(**changes: Any) -> Claim:
        return Claim((Row(_NATIVE),), (Shadow(span, "second_instrumentor", changes=changes),))

    return {
        "anthropic-plain": claim(),
        "anthropic-cached": claim(),
        "anthropic-reasoning": claim(**({"reasoning_tokens": None} if span in _WITHOUT_THINKING else {})),
        "anthropic-stream": claim(**stream),
    }


def _gemini(span: str, stream: str = "", **changes: Any) -> dict[str, Claim]:
    return {
        "gemini-plain": _one(span, **changes),
        "gemini-cached": _one(span, **changes),
        "gemini-reasoning": _one(span, **changes),
        "gemini-stream": _one(stream or span, **changes),
    }


_CHAT: Final = "chat gpt-4o-mini"
_REASON: Final = "chat o4-mini"
_EMBED: Final = "embeddings text-embedding-3-small"
_CHAT_GEMINI: Final = "chat gemini-2.5-flash"
_CLAUDE: Final = "chat claude-sonnet-4-5"
_GENERATE: Final = "generate_content gemini-2.5-flash"
# OpenInference writes the model that answered over the one that was asked for.
_SERVED_ONLY: Final = {"request_model": "gpt-4o-mini-2024-07-18"}


def _litellm_2(span: str, cost: str, **changes: Any) -> Claim:
    return _one(span, reported_cost_usd=cost, usage_flags=["gateway"], **changes)


def _proxy(prefix: str, chat: str, reasoning: str, claude: str) -> dict[str, Claim]:
    """Claim what LiteLLM's proxy and a client of it say; it answers under the name that was asked for."""
    gateway = {"usage_flags": ["gateway"]}
    named = {"model": "gpt-4o-mini"}
    through = Claim((Row("ChatCompletion", 0, named),), (Shadow(chat, "gateway"),))
    own_id = {"response_id": "chatcmpl-00000000-0000-4000-8000-000000000001"}
    return {
        **{f"{prefix}-{name}": _one(chat, **gateway, **named) for name in ("stream", "cached", "wrapper-trace")},
        f"{prefix}-reasoning": _one(reasoning, **gateway),
        f"{prefix}-anthropic-cached": _one(claude, **gateway, **own_id),
        f"{prefix}-wrapper-client": through,
        f"{prefix}-wrapper-client-apart": through,
    }


_ADK_WITH_TOOL: Final = {"session_id": "s-wrapper-agent-with-tool", "response_id": None}


def _adk_1(session: str, **changes: Any) -> Claim:
    flags = ["emitter_miscounts", "wrapper"]
    return _one("call_llm", operation="generate_content", session_id=session, usage_flags=flags, **_NO_ID, **changes)


def _vercel_one(method: str, leaf: str, **changes: Any) -> Claim:
    return Claim((Row(f"ai.{method}.{leaf}", 0, changes),), (Shadow(f"ai.{method}", "wrapper", changes=changes),))


def _vercel(version: str, *, cached: Any = {}, reasoning: Any = {}) -> dict[str, Claim]:  # noqa: B006 - never changed
    """Claim what versions 3 to 5 say; the outer span of several steps has the numbers of the last one."""
    return {
        f"{version}-plain": _vercel_one("generateText", "doGenerate"),
        f"{version}-cached": _vercel_one("generateText", "doGenerate", **cached),
        f"{version}-reasoning": _vercel_one("generateText", "doGenerate", **reasoning),
        f"{version}-stream": _vercel_one("streamText", "doStream"),
        f"{version}-embedding": _vercel_one("embed", "doEmbed"),
        f"{version}-error": _one("ai.generateText.doGenerate", error_code="AI_APICallError"),
        f"{version}-wrapper-agent-with-tool": Claim(
            (Row("ai.generateText.doGenerate"), Row("ai.generateText.doGenerate#2", 1)),
            (Shadow("ai.generateText", "wrapper", 0, (1,)),),
        ),
    }


_ON_BEDROCK: Final = "chat claude-sonnet-4-5-20250929-v1:0"
_BOTOCORE: Final = "chat anthropic.claude-sonnet-4-5-20250929-v1:0"
_CASES_ON_BEDROCK: Final = ("plain", "cached", "stream", "stream-cached", "error", "invoke-plain", "invoke-stream")


def _over_sdk(outer: str, inner: str, *, same_name: bool = False, **changes: Any) -> Claim:
    """Claim that of two calls the SDK's spans are the rows, and the framework's around them are wrappers."""
    rows, shadows = (inner, f"{inner}#2"), (outer, f"{outer}#2")
    if same_name:
        rows, shadows = (f"{inner}#2", f"{inner}#4"), (outer, f"{outer}#3")
    return Claim(
        tuple(Row(name, number, changes) for number, name in enumerate(rows)),
        tuple(Shadow(name, "wrapper", number, (number,)) for number, name in enumerate(shadows)),
    )


_REQUEST: Final = "claude_code.llm_request"
_OF_SESSION: Final = {"session_id": "00000000-0000-4000-8000-000000000001", "response_id": None}
# What a run of the Claude Agent SDK costs is told for its session: no call's own.
_RUN: Final = {**_OF_SESSION, "usage_flags": ["agent_total"], "reported_cost_usd": None}


_GEMINI_CLI: Final = {**_OF_SESSION, "operation": "generate_content"}
_EVENT: Final = "claude_code.api_request"


def _claude_code(case: int, call: int = 0, *, session: int = 1) -> dict[str, Any]:
    """Return who a call of Claude Code is for, and its id: that of the request."""
    return {
        "user": f"{1:032x}",
        "session_id": f"00000000-0000-4000-8000-{session:012x}",
        "response_id": f"req_standin{case:03d}{call:03d}",
        "metadata": {"query_source": "sdk"},
    }


def _event(case: int, cost: str, **changes: Any) -> Claim:
    return _one(_EVENT, **_claude_code(case, session=3), reported_cost_usd=cost, **changes)


def _span_and_event(case: int, calls: int = 1) -> Claim:
    numbers = tuple("" if call == 0 else f"#{call + 1}" for call in range(calls))
    said = [{key: value for key, value in _claude_code(case, call).items() if key != "metadata"}
            for call in range(calls)]  # fmt: skip
    return Claim(
        tuple(Row(_REQUEST + number, call, said[call]) for call, number in enumerate(numbers)),
        tuple(Shadow(_EVENT + number, "second_instrumentor", call, (call,)) for call, number in enumerate(numbers)),
    )


def _run(**changes: Any) -> Claim:
    return Claim((Row("invoke_agent", 0, _RUN | changes),))


def _two(span: str, **changes: Any) -> Claim:
    return Claim((Row(span, 0, changes), Row(f"{span}#2", 1, changes)))


CLAIMS: Final[dict[str, dict[str, Claim]]] = {
    "openinference": {
        "plain": _one("ChatCompletion", **_SERVED_ONLY, **_SOMEBODY, metadata={"team": "radiology"}),
        "stream": _one("ChatCompletion", **_SERVED_ONLY, response_id=None),
        "cached": _one("ChatCompletion", **_SERVED_ONLY),
        "reasoning": _one("ChatCompletion"),
        "error": _one("ChatCompletion"),
        "embedding": _one("CreateEmbeddings"),
        "retrieve": Claim(
            (Row("Response", 0, _SERVED_ONLY),), (Shadow("Response#2", "retrieve", changes=_SERVED_ONLY),)
        ),
        **_beside_native("messages.create"),
        "anthropic-error": Claim((Row(_NATIVE),), (Shadow("messages.create", "second_instrumentor"),)),
        **_gemini("GenerateContent", "GenerateContentStream", operation="chat", response_id=None),
        "wrapper-langchain": Claim(
            (Row("ChatCompletion", 0, _SERVED_ONLY),), (Shadow("ChatOpenAI", "wrapper", changes=_SERVED_ONLY),)
        ),
        # With OPENINFERENCE_ENABLE_GENAI_SEMCONV: one span under the keys of both.
        **{
            f"both-families-{name}": _one("ChatCompletion", **_SERVED_ONLY) for name in ("plain", "cached", "reasoning")
        },
        "both-families-embedding": _one("CreateEmbeddings"),
        "both-families-anthropic-cached": Claim((Row(_NATIVE),), (Shadow("messages.create", "second_instrumentor"),)),
        # Agents and chains have no tokens there.
        "wrapper-openai-agents": _two("response", **_SERVED_ONLY),
        "wrapper-openai-agents-over-sdk": _over_sdk("response", "Response", **_SERVED_ONLY, **_SOMEBODY),
        "wrapper-langchain-chain": _one("ChatOpenAI", **_SERVED_ONLY, **_NO_ID),
        "wrapper-langchain-agent": _two("ChatOpenAI", **_SERVED_ONLY, **_NO_ID),
        "wrapper-langchain-agent-over-sdk": _over_sdk("ChatOpenAI", "ChatCompletion", **_SERVED_ONLY),
        **{
            f"bedrock-{name}": _one(
                {"invoke": "bedrock.invoke_model"}.get(name.partition("-")[0], "bedrock.converse")
                + {"stream": "_stream", "stream-cached": "_stream", "invoke-stream": "_with_response_stream"}.get(
                    name, ""
                )
            )
            for name in (*_CASES_ON_BEDROCK, "invoke-cached")
        },
    },
    "openllmetry": {
        **_openai("openai.chat", "openai.embeddings", plain={"user": "u-17"}),
        # Its spans of responses name no model that was asked for.
        "retrieve": Claim(
            (Row("openai.response", 0, {"request_model": None}),), (Shadow("openai.response#2", "retrieve"),)
        ),
        **_beside_native(
            "anthropic.chat", output_tokens=51, usage_flags=["emitter_miscounts"]
        ),  # the start's count is added to the final one: 51 for 50
        # Two traces, no ids, no tokens: nothing tells that these are one failed call.
        "anthropic-error": Claim((Row(_NATIVE), Row("anthropic.chat"))),
        "gemini-plain": _one(_GENERATE),
        "gemini-cached": _one(_GENERATE),
        # Thoughts are in nothing but the total.
        "gemini-reasoning": _one(_GENERATE, reasoning_tokens=None, usage_flags=["output_from_total"]),
        "gemini-stream": _one(_GENERATE),
        "wrapper-langchain": _one("ChatOpenAI.chat"),
        # Workflows, tasks, agents and tools have no tokens.
        "wrapper-workflow": _one("openai.chat", **_SOMEBODY, metadata={"team": "radiology"}),
        "wrapper-workflow-stream": _one("openai.chat"),
        "wrapper-workflow-error": _one("openai.chat", **_SOMEBODY),
        "wrapper-agent-with-tool": _two("openai.chat"),
        "wrapper-openai-agents": _over_sdk("openai.response", "openai.response", same_name=True),
        **{f"bedrock-{name}": _one(_ON_BEDROCK) for name in _CASES_ON_BEDROCK},
        # Of an invoked model it reports no cache, and Anthropic's input is without it.
        "bedrock-invoke-cached": _one(_ON_BEDROCK, input_tokens=10, cache_read_tokens=None, cache_write_tokens=None),
        "bedrock-embedding": _one("text_completion titan-embed-text-v2:0"),
    },
    "otel": {
        **_openai(_CHAT, _EMBED, reasoning=_REASON),
        "retrieve": _one(_CHAT),
        "older-plain": _one(_CHAT),
        "older-stream": _one(_CHAT),
        "older-error": _one(_CHAT),
        # It switches the span of the SDK off.
        "wrapper-langchain": _one(_CHAT),
        "wrapper-langchain-agent": _two(_CHAT),
        **_beside_native(_CLAUDE),
        "anthropic-error": Claim((Row(_NATIVE),), (Shadow(_CLAUDE, "second_instrumentor"),)),
        **_gemini(_GENERATE),
        **{f"bedrock-{name}": _one(_BOTOCORE, **_NO_ID) for name in _CASES_ON_BEDROCK},
        # Of an invoked model it reports no cache, and Anthropic's input is without it.
        "bedrock-invoke-cached": _one(
            _BOTOCORE, input_tokens=10, cache_read_tokens=None, cache_write_tokens=None, **_NO_ID
        ),
        "bedrock-embedding": _one("text_completion amazon.titan-embed-text-v2:0"),
    },
    "anthropic_sdk": {
        **{name: _one(_NATIVE) for name in ("plain", "cached", "reasoning", "stream", "error")},
        # Its tool runner has no tokens.
        "wrapper-tool-runner": Claim((Row(_NATIVE), Row(f"{_NATIVE}#2", 1))),
        "wrapper-instrumentor": Claim((Row(_NATIVE),), (Shadow(_CLAUDE, "second_instrumentor"),)),
        "compaction": _one(_NATIVE, usage_flags=["compaction_added"]),
        "stream-compaction": _one(_NATIVE, usage_flags=["compaction_added"]),
        # What the model that was asked said before it declined is nothing; the counts are those of the other one.
        "fallback": _one(_NATIVE),
        "server-tool-search": _one(_NATIVE),
        **{f"{platform}-{name}": _one(_NATIVE) for platform in ("bedrock", "vertex") for name in ("plain", "cached")},
        "wrapper-instrumentors-compaction": Claim(
            (Row(_NATIVE, 0, {"usage_flags": ["compaction_added"]}),),
            tuple(
                Shadow(name, "second_instrumentor", changes={"input_tokens": 1210, "output_tokens": 30})
                for name in (_CLAUDE, "beta.messages.create")
            ),
        ),
    },
    "langfuse": {
        "plain": _one(
            "OpenAI-generation", **_SERVED_ONLY, **_SOMEBODY, response_id=None, metadata={"team": "radiology"}
        ),
        "stream": _one("OpenAI-generation", **_SERVED_ONLY, response_id=None),
        "cached": _one("OpenAI-generation", **_SERVED_ONLY, response_id=None),
        "reasoning": _one("OpenAI-generation", response_id=None),
        "error": _one("OpenAI-generation", error_code="_OTHER", reported_cost_usd="0"),
        "embedding": _one("OpenAI-embedding"),
        "wrapper-agent": _one("OpenAI-generation", **_SERVED_ONLY, response_id=None),
        "wrapper-agent-with-tool": _two("OpenAI-generation", **_SERVED_ONLY, response_id=None),
        # Its wrapper is no parent of the SDK's span.
        "wrapper-sdk": Claim(
            (Row("ChatCompletion", 0, _SERVED_ONLY),),
            (Shadow("OpenAI-generation", "second_instrumentor", changes=_SERVED_ONLY),),
        ),
        "wrapper-sdk-stream": Claim(
            (Row("OpenAI-generation", 0, _SERVED_ONLY | _NO_ID),),
            (Shadow("ChatCompletion", "second_instrumentor", changes=_SERVED_ONLY),),
        ),
        **{
            f"langchain-{name}": Claim(
                (Row("OpenAI-generation", 0, _SERVED_ONLY | _NO_ID),),
                (Shadow("ChatOpenAI", "wrapper", changes=_SERVED_ONLY | _NO_ID),),
            )
            for name in ("cached", "reasoning")
        },
    },
    "logfire": {
        **_openai("Chat Completion with {request_data[model]!r}", "Embedding Creation with {request_data[model]!r}"),
        "stream": _one("streaming response from {request_data[model]!r} took {duration:.2f}s"),
        **{
            f"anthropic-{name}": _one("Message with {request_data[model]!r}")
            for name in ("plain", "cached", "reasoning", "error")
        },
        "anthropic-stream": _one("streaming response from {request_data[model]!r} took {duration:.2f}s"),
        # It switches other instrumentations off.
        "wrapper-instrumentor": _one("Chat Completion with {request_data[model]!r}"),
        "wrapper-instrumentor-stream": _one("streaming response from {request_data[model]!r} took {duration:.2f}s"),
        "claude-agent-plain": _run(),
        "claude-agent-cached": _run(),
        # Thoughts are in the output alone.
        "claude-agent-reasoning": _run(reasoning_tokens=None),
        "claude-agent-error": _run(model="unknown", request_model=None, error_code="429"),
        "claude-agent-two-questions": Claim((Row("invoke_agent", 0, _RUN), Row("invoke_agent#2", 1, _RUN))),
        "wrapper-claude-agent-with-tool": _run(input_tokens=100 + 107, output_tokens=50 + 50),
        "wrapper-claude-agent-over-claude-code": Claim(
            (
                Row(_REQUEST, 0, _OF_SESSION | {"response_id": "req_standin007000"}),
                Row(f"{_REQUEST}#2", 1, _OF_SESSION | {"response_id": "req_standin007001"}),
            ),
            (Shadow("invoke_agent", "agent_total", 0, (0, 1)),),
        ),
    },
    # A request that is refused ends Codex before it has told of it.
    "codex": {
        name: _one("codex.sse_event#3", session_id="00000000-0000-4000-8000-000000000001", **_NO_ID)
        for name in ("plain", "cached", "reasoning")
    },
    "gemini_cli": {
        **{
            name: _one("gemini_cli.api_response", **_GEMINI_CLI, user="00000000-0000-4000-8000-000000000002")
            for name in ("plain", "cached", "reasoning")
        },
        "error": Claim(
            (Row("llm_call", 0, _GEMINI_CLI | {"operation": "llm_call", "error_code": "ApiError"}),),
            (Shadow("gemini_cli.api_error", "second_instrumentor"),),
        ),
    },
    "claude_code": {
        "plain": _event(1, "0.0010500000000000002"),
        "cached": _event(2, "0.0015300000000000001"),
        # Thoughts are in the output alone.
        "reasoning": _event(3, "0.0010500000000000002", reasoning_tokens=None),
        "error": _one("claude_code.api_error", **_claude_code(4, session=3) | {"response_id": None}, error_code="429"),
        "span-cached": _one(_REQUEST, **_claude_code(5) | {"metadata": {}}),
        "span-error": _one(_REQUEST, **_claude_code(6) | {"response_id": None, "metadata": {}}, error_code="429"),
        "span-and-event": _span_and_event(7),
        "span-and-event-cached": _span_and_event(8),
        "wrapper-agent-with-tool": _span_and_event(9, calls=2),
    },
    "pydantic_ai": {
        **_openai(_CHAT, _EMBED, reasoning=_REASON),
        # What it reports: 100 × 0.15 + 50 × 0.6 dollars a million, and so on.
        "plain": _one(_CHAT, reported_cost_usd="0.000045"),
        "stream": _one(_CHAT, reported_cost_usd="0.000045"),
        "cached": _one(_CHAT, reported_cost_usd="0.000135"),
        "reasoning": _one(_REASON, reported_cost_usd="0.00033"),
        "embedding": _one(_EMBED, reported_cost_usd="0.00000128"),
        "wrapper-agent": _agent(_CHAT, "invoke_agent agent", reported_cost_usd="0.000045"),
        "wrapper-agent-with-tool": _tool(_CHAT, "invoke_agent agent"),
        "v1-wrapper-agent-with-tool": _tool(_CHAT, "agent run"),
    },
    "litellm": {
        **_openai("litellm_request", "litellm_request", usage_flags=["gateway"]),
        "plain": _one("litellm_request", user="u-17", usage_flags=["gateway"]),
        # Its streams are answered under the name that was asked for.
        "stream": _one("litellm_request", model="gpt-4o-mini", usage_flags=["gateway"]),
        # Ids of LiteLLM's own, where the provider's is missing or is replaced.
        "error": _one("litellm_request", response_id="00000000-0000-4000-8000-000000000001", usage_flags=["gateway"]),
        "embedding": _one(
            "litellm_request",
            operation="embeddings",
            response_id="00000000-0000-4000-8000-000000000001",
            usage_flags=["gateway"],
        ),
        "anthropic-cached": _one(
            "litellm_request",
            response_id="chatcmpl-00000000-0000-4000-8000-000000000001",
            usage_flags=["gateway"],
        ),
        # The second generation: what it reports is made with doubles, and no reasoning.
        "v2-plain": _litellm_2(_CHAT, "0.000044999999999999996"),
        "v2-stream": _litellm_2(_CHAT, "0.000044999999999999996", model="gpt-4o-mini"),
        "v2-cached": _litellm_2(_CHAT, "0.00013499999999999997"),
        "v2-reasoning": _litellm_2(_REASON, "0.00033", reasoning_tokens=None),
        "v2-error": _litellm_2(_CHAT, "0", input_tokens=0, output_tokens=0),
        "v2-embedding": _litellm_2(_EMBED, "0.00000128"),
        "v2-anthropic-cached": _litellm_2(
            _CLAUDE, "0.0015300000000000001", response_id="chatcmpl-00000000-0000-4000-8000-000000000001"
        ),
        **_proxy("proxy", "litellm_request", "litellm_request", "litellm_request"),
        "proxy-plain": _one("litellm_request", model="gpt-4o-mini", user="u-17", usage_flags=["gateway"]),
        "proxy-error": _one(
            "litellm_request", response_id="00000000-0000-4000-8000-000000000001", usage_flags=["gateway"]
        ),
        "proxy-embedding": _one(
            "litellm_request",
            operation="embeddings",
            response_id="00000000-0000-4000-8000-000000000001",
            usage_flags=["gateway"],
        ),
        **_proxy("v2-proxy", _CHAT, _REASON, _CLAUDE),
        "v2-proxy-plain": _one(_CHAT, model="gpt-4o-mini", usage_flags=["gateway"]),
        "v2-proxy-reasoning": _one(_REASON, reasoning_tokens=None, usage_flags=["gateway"]),
        "v2-proxy-error": _one(_CHAT, input_tokens=0, output_tokens=0, usage_flags=["gateway"]),
        "v2-proxy-embedding": _one(_EMBED, usage_flags=["gateway"]),
        "v2-wrapper-sdk": Claim((Row("ChatCompletion", 0, _SERVED_ONLY),), (Shadow(_CHAT, "gateway"),)),
    },
    "openlit": {
        **_openai(_CHAT, _EMBED, reasoning=_REASON, plain={"user": "u-17"}),
        # Reasoning is in none of its attributes; output has it.
        "reasoning": _one(_REASON, reasoning_tokens=None),
        **{f"anthropic-{name}": _one(_CLAUDE) for name in ("plain", "cached", "stream", "error")},
        "anthropic-reasoning": _one(_CLAUDE, reasoning_tokens=None),
        **_gemini(_CHAT_GEMINI),
        # LangChain's span replaces the one of the SDK; the workflow has the numbers of its last call.
        "wrapper-langchain": _one(_CHAT),
        "wrapper-langchain-agent": Claim(
            (Row(_CHAT), Row(f"{_CHAT}#2", 1)), (Shadow("invoke_workflow LangGraph", "agent_total", 0, (1,)),)
        ),
    },
    "google_adk": {
        **{
            name: _one(_GENERATE, session_id=f"s-{name}", response_id=None)
            for name in ("plain", "cached", "reasoning", "stream", "error")
        },
        # Version 1 reports no cache, no user, and at first no thoughts.
        "v1.20-plain": _adk_1("s-plain"),
        "v1.20-cached": _adk_1("s-cached", cache_read_tokens=None),
        "v1.20-reasoning": _adk_1("s-reasoning", output_tokens=30, reasoning_tokens=None),
        "v1.20-error": _one(
            "call_llm", provider="unknown", model="unknown", request_model=None, operation="generate_content"
        ),
        **{
            f"v1.39-{name}": Claim(
                (
                    Row(
                        "call_llm", 0, {**changes, "session_id": f"s-{name}", "operation": "generate_content", **_NO_ID}
                    ),
                ),
                (Shadow(_GENERATE, "wrapper", changes={**changes, **inner, "usage_flags": ["emitter_miscounts"]}),),
            )
            for name, changes, inner in (
                ("plain", {}, {}),
                ("cached", {"cache_read_tokens": None}, {}),
                ("reasoning", {}, {"output_tokens": 30, "reasoning_tokens": None}),
            )
        },
        "wrapper-agent-with-tool": _two(_GENERATE, **_ADK_WITH_TOOL),
        "v1.20-wrapper-agent-with-tool": _two(
            "call_llm",
            operation="generate_content",
            usage_flags=["emitter_miscounts", "wrapper"],
            **_ADK_WITH_TOOL,
        ),
        "v1.39-wrapper-agent-with-tool": Claim(
            tuple(
                Row(name, number, {"operation": "generate_content", **_ADK_WITH_TOOL})
                for number, name in enumerate(("call_llm", "call_llm#2"))
            ),
            tuple(
                Shadow(name, "wrapper", number, (number,), {"usage_flags": ["emitter_miscounts"]})
                for number, name in enumerate((_GENERATE, f"{_GENERATE}#2"))
            ),
        ),
        "v1.39-error": Claim((Row(_GENERATE),), (Shadow("call_llm", "wrapper"),)),
    },
    "strands": {
        name: Claim(
            (Row("chat", 0, _SOMEBODY | _NO_ID | {"model": "gpt-4o-mini"}),),
            (Shadow("invoke_agent Strands Agents", "agent_total", changes=_SOMEBODY | _NO_ID),),
        )
        for name in ("plain", "cached")
    }
    | {
        "reasoning": Claim(
            # Reasoning is in none of its attributes; output has it.
            (Row("chat", 0, _SOMEBODY | _NO_ID | {"reasoning_tokens": None}),),
            (Shadow("invoke_agent Strands Agents", "agent_total", changes={"reasoning_tokens": None}),),
        ),
        "error": _one("chat", **_SOMEBODY, error_code="ModelThrottledException"),
        "wrapper-agent-with-tool": _tool(
            "chat", "invoke_agent Strands Agents", **(_SOMEBODY | _NO_ID | {"model": "gpt-4o-mini"})
        ),
    },
    "semantic_kernel": {
        "plain": _one(_CHAT, model="gpt-4o-mini"),
        "stream": _one(_CHAT, model="gpt-4o-mini"),
        # It reports no part of the totals, and the model that was asked for.
        "cached": _one(_CHAT, model="gpt-4o-mini", cache_read_tokens=None),
        "reasoning": _one(_REASON, reasoning_tokens=None),
        "error": _one(_CHAT, error_code="ServiceResponseException"),
        # Its agent and the loop inside have no tokens.
        "wrapper-agent-with-tool": _two(_CHAT, model="gpt-4o-mini"),
    },
    "mlflow": {
        **{name: _one("Completions", **_SERVED_ONLY) for name in ("plain", "stream", "cached")},
        # Reasoning is in none of its attributes; output has it.
        "reasoning": _one("Completions", reasoning_tokens=None),
        "error": _one("Completions"),
        # It reports no tokens of embeddings.
        "embedding": _one("Embeddings", input_tokens=None, output_tokens=None),
        **_beside_native("Messages.create"),
        "anthropic-error": Claim((Row(_NATIVE), Row("Messages.create"))),
        # It does not read streams of messages: a call of unknown usage, in a trace of its own.
        "anthropic-stream": Claim(
            (Row(_NATIVE), Row("Messages.create", 0, {"input_tokens": None, "output_tokens": None, **_NO_ID}))
        ),
        "wrapper-agent": _one("Completions", **_SERVED_ONLY),
        "wrapper-chain": _two("Completions", **_SERVED_ONLY),
    },
    "vercel": {
        **{name: _agent(_CHAT, "invoke_agent gpt-4o-mini") for name in ("plain", "stream", "cached")},
        "reasoning": Claim(
            (Row(_REASON, 0, {"reasoning_tokens": None}),),
            (Shadow("invoke_agent o4-mini", "agent_total", changes={"reasoning_tokens": None}),),
        ),
        "error": _one(_CHAT, error_code="AI_APICallError"),
        "embedding": _one(f"{_EMBED}#2"),
        "wrapper-agent-with-tool": _tool(_CHAT, "invoke_agent gpt-4o-mini"),
        **{
            f"v6-{name}": Claim(
                (Row(f"ai.{method}.{leaf}", 0, {**_SOMEBODY, "metadata": {"team": "radiology"}}),),
                (Shadow(f"ai.{method}", "wrapper"),),
            )
            for name, method, leaf in (
                ("plain", "generateText", "doGenerate"),
                ("cached", "generateText", "doGenerate"),
                ("reasoning", "generateText", "doGenerate"),
                ("stream", "streamText", "doStream"),
                ("embedding", "embed", "doEmbed"),
            )
        },
        **_vercel("v3", cached={"cache_read_tokens": None}, reasoning={"reasoning_tokens": None}),
        **_vercel("v4"),
        **_vercel("v5", cached={"cache_read_tokens": None}, reasoning={"reasoning_tokens": None}),
        # Version 3 tells nothing of the cache, and Anthropic's input is without it.
        "v3-anthropic-plain": _vercel_one("generateText", "doGenerate"),
        **{
            f"v3-anthropic-{name}": _vercel_one(
                method, leaf, input_tokens=10, cache_read_tokens=None, cache_write_tokens=None
            )
            for name, method, leaf in (
                ("cached", "generateText", "doGenerate"),
                ("stream-cached", "streamText", "doStream"),
            )
        },
        **{
            f"v{version}-anthropic-{name}": _vercel_one(method, leaf)
            for version in (4, 5, 6)
            for name, method, leaf in (
                ("plain", "generateText", "doGenerate"),
                ("cached", "generateText", "doGenerate"),
                ("stream-cached", "streamText", "doStream"),
            )
        },
        "v6-error": _one("ai.generateText.doGenerate", error_code="AI_APICallError"),
        "v6-wrapper-agent-with-tool": Claim(
            (Row("ai.generateText.doGenerate"), Row("ai.generateText.doGenerate#2", 1)),
            (Shadow("ai.generateText", "wrapper", 0, (0, 1)),),
        ),
    },
}


def expected_of(dialect: str, case: Case, spans: list[dict[str, Any]], records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows and shadows of a case. Raises ``RuntimeError`` when there is no claim, or no such span."""
    claim = CLAIMS[dialect].get(case.name)
    if claim is None:
        raise RuntimeError(f"no claim for {case.name}; its spans are {list(_names(spans))}")
    ids = dict(_names(spans))
    numbers = dict(_names_of_records(records))
    try:
        rows = [
            {
                **_where(row.span, ids, numbers),
                **_of_call(case.calls[row.call]),
                **_operation(dialect, row.span),
                **row.changes,
            }
            for row in claim.rows
        ]
        shadows = [
            {
                **_where(shadow.span, ids, numbers),
                "restates": rows[shadow.row].get("span_id", f"record {rows[shadow.row].get('record')}"),
                "reason": shadow.reason,
                **_tokens(case.calls, shadow.calls),
                **{
                    key: value
                    for key, value in shadow.changes.items()
                    if key.endswith("tokens") or key == "usage_flags"
                },
            }
            for shadow in claim.shadows
        ]
    except KeyError as error:
        raise RuntimeError(f"{case.name}: no span {error}; there are {list(ids)}") from None
    return {"rows": rows, "shadows": shadows}


def _names(spans: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (name, id) of every span, in order; from the second of a name on with its number."""
    seen: dict[str, int] = {}
    found = [span for resource in spans for scope in resource["scopeSpans"] for span in scope["spans"]]
    for span in sorted(found, key=lambda span: (int(span["startTimeUnixNano"]), span["spanId"])):
        seen[span["name"]] = number = seen.get(span["name"], 0) + 1
        yield span["name"] if number == 1 else f"{span['name']}#{number}", span["spanId"]


def name_of(record: dict[str, Any]) -> str:
    """Return the full name of an event."""
    values = {pair["key"]: pair["value"].get("stringValue", "") for pair in record.get("attributes", ())}
    short = str(values.get("event.name", ""))
    return short if "." in short else str((record.get("body") or {}).get("stringValue", short))


def _names_of_records(records: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield (name, position) of every log record; from the second of a name on with its number."""
    seen: dict[str, int] = {}
    found = [record for resource in records for scope in resource["scopeLogs"] for record in scope["logRecords"]]
    for position, record in enumerate(found):
        name = name_of(record)
        seen[name] = number = seen.get(name, 0) + 1
        yield name if number == 1 else f"{name}#{number}", position


def _where(name: str, ids: dict[str, str], numbers: dict[str, int]) -> dict[str, Any]:
    return {"record": numbers[name]} if name in numbers else {"span_id": ids[name]}


def _operation(dialect: str, span: str) -> dict[str, str]:
    if "mbed" in span:
        return {"operation": "embeddings"}
    return {"operation": "generate_content" if span.startswith("generate_content") else "chat"}


def _of_call(call: Call) -> dict[str, Any]:
    failed = call.status >= 400
    return {
        "provider": PROVIDERS[call.provider],
        "model": call.model,
        "request_model": call.request_model,
        **_tokens([call], (0,)),
        "success": not failed,
        "error_code": "RateLimitError" if failed else None,
        "response_id": call.response_id,
    }


def _tokens(calls: list[Call], numbers: tuple[int, ...]) -> dict[str, Any]:
    """Return tokens in the meaning of the rows: totals with all their parts, and every part that is not 0."""
    if all(calls[number].status >= 400 for number in numbers):
        return {"input_tokens": None, "output_tokens": None}
    chosen = [calls[number].tokens for number in numbers]
    found: dict[str, Any] = {"input_tokens": sum(tokens.input for tokens in chosen)}
    found["output_tokens"] = sum(tokens.output for tokens in chosen)
    for name, column in _PARTS.items():
        if count := sum(int(getattr(tokens, name)) for tokens in chosen):
            found[column] = count
    return found
