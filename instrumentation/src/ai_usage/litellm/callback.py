"""The callback: a call begins where LiteLLM hands it to a provider and ends where LiteLLM has its numbers.

Beginning and end come from different threads and tasks; what is between them travels in the dictionary of call
details that LiteLLM keeps for each call. When that dictionary is dropped without an end, a stream was left early.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from litellm.integrations.custom_logger import CustomLogger

from ai_usage import _content, _guard, semconv
from ai_usage._invocation import Invocation, Reply, is_suppressed
from ai_usage._server import server_attributes
from ai_usage.attribution import current_attributes
from ai_usage.litellm.reply import end_user_of, provider_of, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from ai_usage._invocation import Telemetry

_KEY: Final = "ai_usage_call"
_OPERATIONS: Final[Mapping[str, str]] = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "generate_content",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "image_generation": "image_generation",
    "image_edit": "image_generation",
    "transcription": "transcription",
    "speech": "speech",
    "rerank": "rerank",
}
"""Calls that are billed, by LiteLLM's name without the leading ``a`` of async ones."""


class _Call:
    """Tie an invocation to LiteLLM's call details."""

    __slots__ = ("__weakref__", "has_user", "invocation")

    def __init__(self, invocation: Invocation | None, *, has_user: bool = False) -> None:
        """``None`` stands for a call that is not to be counted."""
        self.invocation = invocation
        self.has_user = has_user

    def __deepcopy__(self, memo: dict[int, Any]) -> _Call:
        """Stay one: other callbacks copy the details of a call."""
        return self

    def __repr__(self) -> str:
        """Say nothing: other callbacks print the details of a call."""
        return "<call>"


class AIUsageLogger(CustomLogger):
    """Receive LiteLLM's events."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        self._telemetry = telemetry
        self.is_active = True
        self._captures_content = _content.is_captured()

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002 - LiteLLM's names
        """Begin a call, or an attempt of one."""
        if not self.is_active:
            return
        try:
            earlier = kwargs.get(_KEY)
            if isinstance(earlier, _Call) and (earlier.invocation is None or not earlier.invocation.is_done):
                return  # another attempt of the same call
            kwargs[_KEY] = self._begin(kwargs, is_retry=earlier is not None)
        except Exception:
            _guard.caught("starting a call of litellm")

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """End a call with its answer."""
        if not self.is_active:
            return
        try:
            call = kwargs.get(_KEY)
            if not isinstance(call, _Call):
                call = self._begin(kwargs)
                kwargs[_KEY] = call
            if call.invocation is not None:
                reply = _with_user(read_answer(response_obj, kwargs), call, kwargs)
                call.invocation.finish(_content.with_output(reply, response_obj) if self._captures_content else reply)
        except Exception:
            _guard.caught("reading an answer of litellm")

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """End a call that failed; one that never reached a provider was none."""
        if not self.is_active:
            return
        try:
            call, error = kwargs.get(_KEY), kwargs.get("exception")
            if not isinstance(call, _Call) or call.invocation is None:
                return
            reply = _with_user(Reply(), call, kwargs)
            if isinstance(error, BaseException):
                call.invocation.fail(error, reply)
            else:
                call.invocation.fail_with("_OTHER", None, reply)
        except Exception:
            _guard.caught("reading a failure of litellm")

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """End a call with its answer."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """End a call that failed."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    def _begin(self, kwargs: dict[str, Any], *, is_retry: bool = False) -> _Call:
        operation = _OPERATIONS.get(str(kwargs.get("call_type") or "").removeprefix("a")) or _OPERATIONS.get(
            str(kwargs.get("call_type"))
        )
        if operation is None or _is_mocked(kwargs) or is_suppressed():
            return _Call(None)
        attributes = _server(kwargs)
        is_stream = kwargs.get("stream") is True
        if is_stream:
            attributes[semconv.REQUEST_STREAM] = True
        if self._captures_content:
            attributes.update(_content.input_attributes(kwargs))
        invocation = Invocation(
            self._telemetry, operation, provider_of(kwargs.get("custom_llm_provider")), _model(kwargs), attributes
        )
        call = _Call(invocation, has_user=semconv.USER_ID in current_attributes())
        # A second attempt that fails is not told to callbacks when the first one's failure was; it cost nothing.
        if is_stream or not is_retry:
            weakref.finalize(call, invocation.abandon).atexit = False
        return call


def _with_user(reply: Reply, call: _Call, kwargs: Mapping[str, Any]) -> Reply:
    """Name the user that the proxy or the caller gave to LiteLLM when the app said nobody."""
    user = None if call.has_user else end_user_of(kwargs)
    return reply if user is None else reply._replace(extra={**(reply.extra or {}), semconv.USER_ID: user})


def _model(kwargs: Mapping[str, Any]) -> str | None:
    """Return the model without the provider's name in front, which cache hits still carry."""
    model = kwargs.get("model")
    if not isinstance(model, str) or not model:
        return None
    return model.removeprefix(f"{kwargs.get('custom_llm_provider')}/")


def _server(kwargs: Mapping[str, Any]) -> dict[str, AttributeValue]:
    base = (kwargs.get("litellm_params") or {}).get("api_base") or (kwargs.get("additional_args") or {}).get("api_base")
    return server_attributes(base) if isinstance(base, str) else {}


def _is_mocked(kwargs: Mapping[str, Any]) -> bool:
    """Tell whether LiteLLM makes the answer up itself (``mock_response``): it then says so in place of a key."""
    return kwargs.get("api_key") == "mock-key" and not kwargs.get("additional_args")


def create_logger(telemetry: Telemetry) -> AIUsageLogger:
    """Return a callback that writes its calls to ``telemetry``."""
    return AIUsageLogger(telemetry)
