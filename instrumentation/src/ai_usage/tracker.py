"""The manual API, for calls that no instrumented SDK makes; same span, same row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_usage import _guard
from ai_usage._fields import field, whole
from ai_usage._invocation import Invocation, Reply, Telemetry
from ai_usage._text import as_text
from ai_usage._version import VERSION
from ai_usage.attribution import metadata_attributes, usage_context
from ai_usage.tokens import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.util.types import AttributeValue

_telemetry: Telemetry | None = None


def _manual_telemetry() -> Telemetry:
    global _telemetry
    if _telemetry is None:
        from ai_usage.setup import ensure_processor

        ensure_processor()
        _telemetry = Telemetry("ai_usage.manual", VERSION)
    return _telemetry


class AIUsageTracker:
    """Record one AI call by hand: the block is the call.

    Use with ``with`` or ``async with``. An error that leaves the block is recorded and raised on. What was never said
    (``set_response`` or ``set_tokens``) is unknown, not zero.
    """

    def __init__(
        self,
        user_id: object = None,
        user_email: str | None = None,
        service_name: str | None = None,
        service_action: str | None = None,
        provider: str = "unknown",
        model: str = "unknown",
    ) -> None:
        self._context = usage_context(
            user_id=user_id, user_email=user_email, service_name=service_name, service_action=service_action
        )
        self._provider = _named(provider)
        self._model = _named(model)
        self._reply = Reply()
        self._error: tuple[str, str | None] | None = None
        self._metadata: dict[str, AttributeValue] = {}
        self._invocation: Invocation | None = None
        self._token: Any = None

    def __enter__(self) -> AIUsageTracker:
        """Start the call."""
        self._context.__enter__()
        try:
            # The operation is not known to be any other; the span's name follows provider and model as they stand.
            self._invocation = Invocation(_manual_telemetry(), "chat", self._provider, self._model)
            self._token = self._invocation.activate()
        except Exception:
            _guard.caught("starting a tracked call")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the call."""
        try:
            invocation = self._invocation
            if invocation is not None:
                if self._token is not None:
                    invocation.deactivate(self._token)
                invocation.rename(self._provider, self._model, self._metadata)
                if error is not None:
                    invocation.fail(error, self._reply)
                elif self._error is not None:
                    invocation.fail_with(*self._error, self._reply)
                else:
                    invocation.finish(self._reply)
        except Exception:
            _guard.caught("ending a tracked call")
        finally:
            self._context.__exit__(kind, error, traceback)

    async def __aenter__(self) -> AIUsageTracker:
        """Start the call."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the call."""
        self.__exit__(kind, error, traceback)

    def set_response(self, response: Any) -> None:
        """Take tokens, model and id from a provider's answer: an SDK object or a dict of any supported SDK."""
        try:
            provider, reply = read_response(response)
        except Exception:
            _guard.caught("reading a response")
            return
        self._reply = reply
        if self._provider == "unknown" and provider is not None:
            self._provider = provider
        if self._model == "unknown" and reply.model is not None:
            self._model = reply.model

    def set_tokens(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        *,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Set token counts; input includes cached, output includes reasoning."""
        try:
            usage = TokenUsage(
                whole(input_tokens),
                whole(output_tokens),
                whole(cache_read_tokens),
                whole(cache_write_tokens),
                None,
                whole(reasoning_tokens),
            )
            self._reply = self._reply._replace(usage=usage)
        except Exception:
            _guard.caught("taking tokens")

    def set_provider_model(self, provider: str, model: str) -> None:
        """Set who answered."""
        self._provider, self._model = _named(provider), _named(model)

    def set_error(self, message: object, code: str | None = None) -> None:
        """Record the call as failed without an exception leaving the block."""
        self._error = ("_OTHER", None)
        try:
            kind = type(message).__name__ if isinstance(message, BaseException) else "_OTHER"
            self._error = (kind if code is None else as_text(code), as_text(message) or None)
        except Exception:
            _guard.caught("reading an error")

    def add_metadata(self, key: str, value: object) -> None:
        """Add one entry to the call's ``request_metadata``; what is no string, number or boolean becomes text."""
        try:
            self._metadata.update(metadata_attributes({key: value}))
        except Exception:
            _guard.caught("adding metadata")


def _named(name: object) -> str:
    try:
        return as_text(name)
    except Exception:
        _guard.caught("reading a name")
        return "unknown"


def log_ai_usage(
    user_id: object = None,
    user_email: str | None = None,
    service_name: str | None = None,
    service_action: str | None = None,
    provider: str = "unknown",
    model: str = "unknown",
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    *,
    duration_ms: float | None = None,
    success: bool = True,
    error_message: str | None = None,
    error_code: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> bool:
    """Record an AI call that is over; return whether it was recorded. Never raises.

    ``duration_ms`` is how long it took; it ends now.
    """
    try:
        provider, model, more = as_text(provider), as_text(model), metadata_attributes(metadata)
        with usage_context(
            user_id=user_id, user_email=user_email, service_name=service_name, service_action=service_action
        ):
            invocation = Invocation(_manual_telemetry(), "chat", provider, model, duration_ms=duration_ms)
        invocation.rename(provider, model, more)
        reply = Reply(TokenUsage(whole(input_tokens), whole(output_tokens)))
        if success and error_message is None and error_code is None:
            invocation.finish(reply)
        else:
            message = None if error_message is None else as_text(error_message)
            invocation.fail_with("_OTHER" if error_code is None else as_text(error_code), message, reply)
    except Exception:
        try:
            _guard.caught("logging a call")
        except Exception:
            return False
        return False
    return True


def read_response(response: Any) -> tuple[str | None, Reply]:
    """Return (provider, reply) of an answer of openai, anthropic, google-genai or litellm, told apart by shape."""
    from ai_usage.anthropic import reply as anthropic_reply
    from ai_usage.google_genai import reply as google_reply
    from ai_usage.google_genai.interactions import read_interaction
    from ai_usage.openai import reply as openai_reply

    raw = field(response, "http_response")
    if raw is not None:
        response = raw.json()  # a raw response of an SDK: its body is what counts
    package = type(response).__module__
    if package.startswith("litellm."):
        # LiteLLM answers in OpenAI's shape for every vendor: only its own notes tell them apart.
        from ai_usage.litellm.reply import provider_of, read_answer

        vendor = field(field(response, "_hidden_params"), "custom_llm_provider")
        return provider_of(vendor) if vendor else None, read_answer(response, {})
    if field(response, "usage_metadata") is not None or field(response, "usageMetadata") is not None:
        return "gcp.gemini", google_reply.read_content(response)
    if field(response, "embeddings") is not None:
        return "gcp.gemini", google_reply.read_embedding(response)
    if field(response, "type") == "message" and field(response, "role") == "assistant":
        return "anthropic", anthropic_reply.read_message(response)
    usage = field(response, "usage")
    if package.startswith("google.") or field(usage, "total_input_tokens") is not None:
        return "gcp.gemini", read_interaction(response)
    if field(response, "object") == "response":
        return "openai", openai_reply.read_response(response)
    return "openai", openai_reply.read_chat(response)
