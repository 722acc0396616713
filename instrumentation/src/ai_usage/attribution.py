"""Who and what pays: carried in the OpenTelemetry context, and across services in W3C baggage."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar

from opentelemetry import context

from ai_usage import _baggage, _guard, semconv
from ai_usage._context import detach
from ai_usage._text import as_attribute, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    P = ParamSpec("P")
    R = TypeVar("R")

_KEY: Final = context.create_key("ai_usage.attribution")


class Attribution(NamedTuple):
    """Hold the span attributes that say who and what pays."""

    attributes: Mapping[str, AttributeValue]


_NOBODY: Final[Mapping[str, AttributeValue]] = {}


def current_attributes(of: Context | None = None) -> Mapping[str, AttributeValue]:
    """Return the attribution of a context (default: the current one) as span attributes.

    What this process said wins over what came in as baggage. The mapping is shared: do not change it.
    """
    of = context.get_current() if of is None else of
    own = context.get_value(_KEY, of)
    received = _baggage.received(of)
    if not isinstance(own, Attribution):
        return received or _NOBODY
    return {**received, **own.attributes} if received else own.attributes


def paid_by(attributes: Mapping[str, AttributeValue], before: Context) -> Context:
    """Return a context whose calls are paid as the attributes say."""
    return _baggage.put(attributes, context.set_value(_KEY, Attribution(attributes), before))


class usage_context:  # noqa: N801 - used like a function: with usage_context(...):
    """Say who and what pays for the AI calls inside.

    Works as ``with``, ``async with`` and decorator (of functions and coroutine functions). Nested contexts add to the
    outer ones; what is given wins, what is not given is inherited. ``user_id`` is any string, ``metadata`` holds
    strings, numbers and booleans and ends up in ``request_metadata``.
    """

    def __init__(
        self,
        *,
        user_id: object = None,
        user_email: str | None = None,
        service_name: str | None = None,
        service_action: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self._given: dict[str, AttributeValue] = {}
        self._tokens: list[Any] = []
        try:
            said = {
                semconv.USER_ID: user_id,
                semconv.USER_EMAIL: user_email,
                semconv.SERVICE_NAME: service_name,
                semconv.SERVICE_ACTION: service_action,
            }
            for key, value in said.items():
                if value is not None:
                    self._given[key] = as_text(value)
            self._given.update(metadata_attributes(metadata))
        except Exception:
            _guard.caught("reading who pays")

    def __enter__(self) -> usage_context:
        """Attach to the current context."""
        try:
            self._tokens.append(None)
            self._tokens[-1] = context.attach(self._inside(context.get_current()))
        except Exception:
            _guard.caught("saying who pays")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore what was current before."""
        try:
            token = self._tokens.pop()
            if token is not None:
                detach(token)
        except Exception:
            _guard.caught("restoring who pays")

    async def __aenter__(self) -> usage_context:
        """Attach to the current context."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore what was current before."""
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Run every call of ``function`` inside this context."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                return function(*args, **kwargs)

        return run

    def _inside(self, before: Context) -> Context:
        inherited = current_attributes(before)
        # A user of one's own without an email must not be shown with the email of somebody else.
        if semconv.USER_ID in self._given and self._given[semconv.USER_ID] != inherited.get(semconv.USER_ID):
            inherited = {key: value for key, value in inherited.items() if key != semconv.USER_EMAIL}
        return paid_by({**inherited, **self._given}, before)

    def _again(self) -> usage_context:
        """Return a fresh context: one decorator serves calls that overlap."""
        fresh = usage_context()
        fresh._given = self._given
        return fresh


def metadata_attributes(metadata: Mapping[str, object] | None) -> dict[str, AttributeValue]:
    """Return free metadata as span attributes; they end up in ``request_metadata``."""
    return {semconv.METADATA_PREFIX + as_text(name): as_attribute(item) for name, item in (metadata or {}).items()}
