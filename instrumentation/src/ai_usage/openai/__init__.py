"""OpenAI: chat, responses, completions, embeddings, images, audio; Azure and compatible servers too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from ai_usage import _guard, semconv
from ai_usage._invocation import Telemetry
from ai_usage._stainless import BaseClientHook, Endpoint, Injection, is_read_by_caller, server_of
from ai_usage._version import VERSION
from ai_usage.openai import reply
from ai_usage.openai.background import BackgroundResponses, Retrieval

if TYPE_CHECKING:
    from collections.abc import Collection

STREAM_USAGE_SETTING: Final = "AI_USAGE_INSTRUMENTATION_STREAM_USAGE"
"""``false`` leaves requests for streams as they are; plain chat streams then report no usage."""

_CHAT: Final = Endpoint("chat", reply.read_chat, reply.read_chat_stream, {semconv.OPENAI_API_TYPE: "chat_completions"})
_RESPONSES_ATTRIBUTES: Final = {semconv.OPENAI_API_TYPE: "responses"}
_ENDPOINTS: Final = {
    "/chat/completions": _CHAT,
    "/responses/compact": Endpoint("chat", reply.read_response, reply.read_response_stream, _RESPONSES_ATTRIBUTES),
    "/decisions": Endpoint("chat", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/completions": Endpoint("text_completion", reply.read_chat, reply.read_chat_stream),
    "/embeddings": Endpoint("embeddings", reply.read_chat, reply.read_chat_stream),
    "/images/generations": Endpoint("image_generation", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/images/edits": Endpoint("image_generation", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/images/variations": Endpoint("image_generation", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/audio/transcriptions": Endpoint("transcription", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/audio/translations": Endpoint("translation", reply.read_tokens_only, reply.read_tokens_only_stream),
    "/audio/speech": Endpoint("speech", reply.read_tokens_only, reply.read_tokens_only_stream),
}
_ASK_FOR_USAGE: Final = {"/chat/completions", "/completions"}
_HOSTS: Final = (
    (".azure.com", "azure.ai.openai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
)


class OpenAIHook(BaseClientHook):
    """Know OpenAI's endpoints, who is behind a base URL, and how to make streams report usage."""

    sdk = "openai"

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(telemetry)
        self._asks_for_usage = os.environ.get(STREAM_USAGE_SETTING, "true").strip().lower() != "false"
        self._refusing: set[str] = set()
        self._background = background = BackgroundResponses()
        self._endpoints = {
            **_ENDPOINTS,
            "/responses": Endpoint(
                "chat", background.read_created, background.read_created_stream, _RESPONSES_ATTRIBUTES
            ),
        }

    def endpoint_of(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a POST to it."""
        return self._endpoints.get(path) if method.lower() == "post" else None

    def follow_other(self, client: Any, method: str, path: str) -> tuple[Retrieval, Endpoint, None] | None:
        """Follow the reading of a response: the only source of a background response's usage."""
        if method.lower() != "get" or not path.startswith("/responses/") or path.count("/") != 2:
            return None
        retrieval = Retrieval(
            self._telemetry,
            self._background,
            self.provider_of(client),
            {**_RESPONSES_ATTRIBUTES, **server_of(client)},
        )
        return retrieval, Endpoint("chat", retrieval.read, retrieval.read_stream), None

    def provider_of(self, client: Any) -> str:
        """Tell by the client's class, then by its host."""
        if "Azure" in type(client).__name__:
            return "azure.ai.openai"
        host = client.base_url.host
        for suffix, provider in _HOSTS:
            if host.endswith(suffix):
                return provider
        return "openai"

    def inject(self, client: Any, options: Any) -> Injection | None:
        """Ask for usage at the end of a chat stream when the caller did not decide."""
        body = options.json_data
        if (
            not self._asks_for_usage
            or not isinstance(body, dict)
            or "stream_options" in body
            or options.url.partition("?")[0] not in _ASK_FOR_USAGE
            or is_read_by_caller(options)
            or (self._refusing and str(client.base_url) in self._refusing)
        ):
            return None

        def undo() -> None:
            self._refusing.add(str(client.base_url))
            options.json_data = body

        injection = Injection(undo, _is_refused, _is_usage_only)
        options.json_data = {**body, "stream_options": {"include_usage": True}}
        return injection


def _is_refused(error: BaseException) -> bool:
    return getattr(error, "status_code", None) in {400, 422} and "stream_options" in str(error)


def _is_usage_only(chunk: Any) -> bool:
    try:
        if getattr(chunk, "choices", None):
            return False  # first: it is so for every chunk but one
        if isinstance(chunk, dict):
            return not chunk.get("choices") and chunk.get("usage") is not None
        return getattr(chunk, "usage", None) is not None
    except Exception:
        _guard.caught("hiding a chunk")
        return False


class OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instrument the openai package (3.x)."""

    _hook: OpenAIHook | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what is instrumented."""
        return ("openai >= 2.20, < 4",)

    def _instrument(self, **kwargs: Any) -> None:
        from openai._base_client import AsyncAPIClient, SyncAPIClient

        from ai_usage.setup import ensure_processor

        ensure_processor(kwargs.get("tracer_provider"))
        telemetry = Telemetry(
            "ai_usage.openai",
            VERSION,
            tracer_provider=kwargs.get("tracer_provider"),
            meter_provider=kwargs.get("meter_provider"),
        )
        self._hook = OpenAIHook(telemetry)
        self._hook.install(SyncAPIClient, AsyncAPIClient)

    def _uninstrument(self, **_kwargs: Any) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
