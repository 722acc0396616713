"""One provider call as one span: started once, finished once, whatever happens in between."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.trace import Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation import _SPAN_KEY

from ai_usage import _baggage, _clean, _foreign, _guard, semconv
from ai_usage._context import attach, detach
from ai_usage._context import current as current_context
from ai_usage._fields import word
from ai_usage._telemetry import Telemetry as Telemetry  # noqa: TC001 - SDK folders take it from here
from ai_usage._text import valid
from ai_usage.attribution import current_attributes
from ai_usage.pricing import CostStatus
from ai_usage.pricing.book import nearest_cost_of
from ai_usage.tokens import NOT_REPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from ai_usage.tokens import TokenUsage

_PRICED: Final = CostStatus.PRICED  # looking a member up is slow
ACTIVE: Final = context.create_key("ai_usage.invocation")
# Set while a call of ours runs, so that the official instrumentations stand down inside it.
_OFFICIAL_INFERENCE_KEY: Final = "opentelemetry.genai.client.inference.context"
# The SDK's own key, the one of older releases, and OpenLLMetry's.
_SUPPRESS_KEYS: Final = (
    _SUPPRESS_INSTRUMENTATION_KEY,
    "suppress_instrumentation",
    "suppress_language_model_instrumentation",
)

_USAGE_ATTRIBUTES: Final = (
    # In the order of TokenUsage.
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ_TOKENS,
    semconv.USAGE_CACHE_WRITE_TOKENS,
    semconv.USAGE_CACHE_WRITE_1H_TOKENS,
    semconv.USAGE_REASONING_TOKENS,
    semconv.USAGE_INPUT_AUDIO_TOKENS,
    semconv.USAGE_OUTPUT_AUDIO_TOKENS,
    semconv.USAGE_CACHE_READ_AUDIO_TOKENS,
    semconv.USAGE_INPUT_IMAGE_TOKENS,
    semconv.USAGE_OUTPUT_IMAGE_TOKENS,
)


# Of a call's attributes what is not also true of another model's work for it.
_OF_ONE_MODEL: Final = frozenset({semconv.REQUEST_MODEL, semconv.INPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS})


class Reply(NamedTuple):
    """Hold what a provider's answer says about the call."""

    usage: TokenUsage = NOT_REPORTED
    model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    service_tier: str | None = None
    """As served."""
    extra: Mapping[str, AttributeValue] | None = None
    is_complete: bool = True
    """False when a stream ended before the provider's final numbers."""
    beside: tuple[Reply, ...] = ()
    """What other models did for the same answer: each is billed at its own price."""


reply_of: Final[Callable[[tuple[Any, ...]], Reply]] = functools.partial(tuple.__new__, Reply)
"""Make a ``Reply`` of all its fields, without the function of Python that ``Reply(*fields)`` runs."""


def is_suppressed(current: Context | None = None) -> bool:
    """Tell whether a call made now is to be left alone: suppressed, or part of a call already counted."""
    current = current_context() if current is None else current
    if not current:
        return False
    return current.get(ACTIVE) is not None or any(current.get(key) for key in _SUPPRESS_KEYS)


class Invocation:
    """Follow one provider call: safe to use at any time and from any thread; only the first end counts."""

    __slots__ = ("_attributes", "_model", "_operation", "_provider", "_span", "_start", "_telemetry", "first_chunk_s")

    def __init__(
        self,
        telemetry: Telemetry,
        operation: str,
        provider: str,
        model: str | None,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        duration_ms: float | None = None,
        within: Context | None = None,
    ) -> None:
        """Start the span. ``attributes`` are further facts of the request.

        ``duration_ms`` is given for a call that is over: its span starts that long ago. ``within`` is what it is part
        of, where that is not what is current.
        """
        current = current_context() if within is None else within
        start: dict[str, AttributeValue] = {semconv.OPERATION_NAME: operation, semconv.PROVIDER_NAME: provider}
        model = word(model)
        if model is not None:
            start[semconv.REQUEST_MODEL] = model
        if attributes:
            start.update(attributes)
        if current:
            start.update(current_attributes(current))
        if _guard.requires_owner:
            _guard.check_owner(start)
        self._telemetry = telemetry
        self._operation = operation
        self._provider = provider
        self._model = model
        self._attributes = start
        self.first_chunk_s: float | None = None
        self._span: Span | None = telemetry.start_span(
            f"{operation} {model}" if model else operation,
            current,
            start,
            None if duration_ms is None else time.time_ns() - round(duration_ms * 1_000_000),
        )
        if _SPAN_KEY in current:
            _foreign.mark_counted(current[_SPAN_KEY], self._span)
        self._start = time.perf_counter() - (duration_ms or 0) / 1000

    def activate(self) -> Any:
        """Make the call current while SDK code runs; give the result to ``deactivate`` in the same task."""
        try:
            current = current_context()
            inside: dict[str, object] = {**current, ACTIVE: self, _OFFICIAL_INFERENCE_KEY: self}
            if self._span is not None:
                inside[_SPAN_KEY] = self._span
            if _BAGGAGE_KEY in current:
                inside[_BAGGAGE_KEY] = _baggage.without_ours(current[_BAGGAGE_KEY])
            return attach(Context(inside))
        except Exception:
            _guard.caught("making a call current")
            return None

    @staticmethod
    def deactivate(token: Any) -> None:
        """Restore what was current before ``activate``."""
        try:
            if token is not None:
                detach(token)
        except Exception:
            _guard.caught("restoring the context of a call")

    @property
    def is_done(self) -> bool:
        """Tell whether the call was ended."""
        return self._span is None

    def abandon(self) -> None:
        """End the span of a call whose answer could not be read: usage is not known."""
        self.finish(Reply(is_complete=False))

    def note_first_chunk(self) -> None:
        """Take the time of a stream's first chunk; never raises."""
        try:
            self.first_chunk_s = time.perf_counter() - self._start
        except Exception:
            _guard.caught("timing a stream")

    def finish(self, reply: Reply) -> None:
        """End the span of a call that was answered."""
        try:
            self._end(None, reply, None)
        except Exception:
            _guard.caught("ending a call")

    def fail(self, error: BaseException, reply: Reply | None = None) -> None:
        """End the span of a call that failed; ``reply`` holds what was known by then."""
        try:
            self._end(Status(StatusCode.ERROR, summarize_error(error)), reply or Reply(), error_type(error))
        except Exception:
            _guard.caught("ending a failed call")
            self.fail_with("_OTHER", None, reply or Reply())  # what was raised could not be read

    def fail_with(self, kind: str, message: str | None, reply: Reply) -> None:
        """End the span of a call that failed without an exception; ``message`` is the app's own words."""
        try:
            self._end(Status(StatusCode.ERROR, message), reply, kind)
        except Exception:
            _guard.caught("ending a failed call")

    def rename(self, provider: str, model: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Correct who answers and add facts, for calls that learn them late."""
        if self._span is None:
            return
        changed: dict[str, AttributeValue] = dict(attributes)
        if provider != self._provider:
            self._provider = changed[semconv.PROVIDER_NAME] = provider
        if model != self._model:
            self._model = changed[semconv.REQUEST_MODEL] = model
            self._span.update_name(f"{self._operation} {model}")
        if changed:
            self._attributes.update(changed)
            self._span.set_attributes(changed)

    def _end(self, status: Status | None, reply: Reply, error: str | None) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        try:
            if status is not None:
                span.set_status(status)
            usage, model, response_id, finish_reasons, service_tier, extra, is_complete, _ = reply
            end: dict[str, AttributeValue] = {}
            for name, count in zip(_USAGE_ATTRIBUTES, usage):  # noqa: B905 - a keyword costs more than the rest of it
                if count is not None:
                    end[name] = count  # noqa: PERF403 - a function less
            if model:
                end[semconv.RESPONSE_MODEL] = model
            if response_id:
                end[semconv.RESPONSE_ID] = response_id
            if finish_reasons:
                end[semconv.RESPONSE_FINISH_REASONS] = finish_reasons
            if self.first_chunk_s is not None:
                end[semconv.TIME_TO_FIRST_CHUNK] = self.first_chunk_s
            if error is not None:
                end[semconv.ERROR_TYPE] = error
            if not is_complete:
                end[semconv.USAGE_PARTIAL] = True
            add_cost(end, self._provider, model or self._model, usage, service_tier)
            if extra:
                if semconv.COST_SOURCE in extra:
                    end.pop(semconv.COST_STATUS, None)  # it belongs to the cost computed here
                end.update(extra)
            _clean.set_attributes(span, end)
            self._telemetry.measure(self._attributes, self._start, usage, model, error)
        finally:
            span.end()
        for other in reply.beside:
            self._tell_of(other, span)

    def _tell_of(self, other: Reply, span: Span) -> None:
        """Give what another model did inside the call a span below that of the call."""
        attributes = {key: value for key, value in self._attributes.items() if key not in _OF_ONE_MODEL}
        within = set_span_in_context(span, Context())
        Invocation(self._telemetry, self._operation, self._provider, other.model, attributes, within=within).finish(
            other
        )


def add_cost(
    attributes: dict[str, AttributeValue],
    provider: str,
    model: str | None,
    usage: TokenUsage,
    service_tier: str | None,
) -> None:
    """Add the attributes that carry a call's cost; none when there is no amount."""
    amount, status = nearest_cost_of(provider, model or "", usage, service_tier)
    if amount is None:
        return
    attributes[semconv.COST_AMOUNT] = amount
    attributes[semconv.COST_CURRENCY] = "USD"
    attributes[semconv.COST_SOURCE] = "local"
    if status is not _PRICED:
        attributes[semconv.COST_STATUS] = status.value


def error_type(error: BaseException) -> str:
    """Return ``error.type``: the class with its module, builtins without."""
    kind = type(error)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def summarize_error(error: BaseException) -> str:
    """Return what the provider's structured error says (HTTP status, code or type), else the class.

    Never the message: providers quote prompts and keys in theirs.
    """
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    body = getattr(error, "body", None) or getattr(error, "details", None)
    detail = body.get("error", body) if isinstance(body, dict) else None
    words = [str(status)] if isinstance(status, int) else []
    if isinstance(detail, dict):
        named = (detail.get("code"), detail.get("type"), detail.get("status"))
        words += [next((name for name in named if isinstance(name, str)), "")]
    return valid(" ".join(said for said in words if said)) or type(error).__name__
