"""Anthropic: messages and their beta twins, on Anthropic's own servers, Bedrock, Vertex and Foundry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from ai_usage import _guard
from ai_usage._invocation import ACTIVE, Telemetry
from ai_usage._stainless import BaseClientHook, Endpoint
from ai_usage._version import VERSION
from ai_usage.anthropic import reply

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_MESSAGES: Final = Endpoint("chat", reply.read_message, reply.read_message_stream)


class AnthropicHook(BaseClientHook):
    """Know Anthropic's endpoints and platforms, and keep the SDK's own tracing from reporting a call twice."""

    sdk = "anthropic"

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(telemetry)
        self._native_start: Callable[..., Any] | None = None

    def endpoint_of(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a POST to it; counting tokens is free and no call."""
        return _MESSAGES if path == "/v1/messages" and method.lower() == "post" else None

    def provider_of(self, client: Any) -> str:
        """Tell as the SDK itself does for its own spans; releases before that, by the client's class and host."""
        own = getattr(client, "_gen_ai_provider_name", None)
        if isinstance(own, str) and own:
            return own
        kind = type(client).__name__
        host = client.base_url.host
        if "Bedrock" in kind or host.endswith(".amazonaws.com"):
            return "aws.bedrock"
        if "Vertex" in kind or host.endswith("aiplatform.googleapis.com"):
            return "gcp.vertex_ai"
        return "anthropic"

    def switch_off_native_spans(self, base_client: Any) -> None:
        """Have the SDK start no span of its own while a call of ours runs; other requests keep theirs."""
        original = getattr(base_client, "start_api_call_span", None)
        if original is None:
            return

        def start_api_call_span(*args: Any, **kwargs: Any) -> Any:
            return None if _is_inside() else original(*args, **kwargs)

        self._native_start = original
        base_client.start_api_call_span = start_api_call_span

    def switch_on_native_spans(self, base_client: Any) -> None:
        """Take ``switch_off_native_spans`` back."""
        if self._native_start is not None:
            base_client.start_api_call_span = self._native_start
            self._native_start = None


def _is_inside() -> bool:
    try:
        return context.get_value(ACTIVE) is not None
    except Exception:
        _guard.caught("looking for a call of ours")
        return True  # rather a span of the SDK's too few than a call told twice


class AnthropicInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instrument the anthropic package (2.x)."""

    _hook: AnthropicHook | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what is instrumented."""
        return ("anthropic >= 1, < 3",)

    def _instrument(self, **kwargs: Any) -> None:
        import anthropic._base_client

        from ai_usage.setup import ensure_processor

        ensure_processor(kwargs.get("tracer_provider"))
        telemetry = Telemetry(
            "ai_usage.anthropic",
            VERSION,
            tracer_provider=kwargs.get("tracer_provider"),
            meter_provider=kwargs.get("meter_provider"),
        )
        self._hook = AnthropicHook(telemetry)
        self._hook.install(anthropic._base_client.SyncAPIClient, anthropic._base_client.AsyncAPIClient)
        self._hook.switch_off_native_spans(anthropic._base_client)

    def _uninstrument(self, **_kwargs: Any) -> None:
        import anthropic._base_client

        if self._hook is not None:
            self._hook.switch_on_native_spans(anthropic._base_client)
            self._hook.remove()
            self._hook = None
