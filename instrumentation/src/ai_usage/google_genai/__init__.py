"""Google Gen AI: content, embeddings and images, on the Gemini API and Vertex AI.

The private methods are wrapped that make exactly one HTTP call each: a public call runs tools and continuations in
a loop and returns only the last reply's usage.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from ai_usage import _content, _foreign, _guard, semconv
from ai_usage._invocation import Invocation, Telemetry, is_suppressed
from ai_usage._server import server_attributes
from ai_usage._stream import StreamWatch
from ai_usage._version import VERSION
from ai_usage.google_genai import reply
from ai_usage.google_genai.interactions import InteractionsHook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ai_usage._invocation import Reply


class _Method(NamedTuple):
    """Say how to read one method's answers."""

    operation: str
    read: Callable[[Any], Reply]
    is_stream: bool = False


_METHODS: Final = {
    "_generate_content": _Method("generate_content", reply.read_content),
    "_generate_content_stream": _Method("generate_content", reply.read_content, is_stream=True),
    "_embed_content": _Method("embeddings", reply.read_embedding),
    "_generate_images": _Method("image_generation", reply.read_nothing),
    "_edit_image": _Method("image_generation", reply.read_nothing),
    "_upscale_image": _Method("image_generation", reply.read_nothing),
}


class _ModelsHook:
    """Wrap the one-call methods of ``Models`` and ``AsyncModels``."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._is_active = True
        self._captures_content = _content.is_captured()
        self._originals: list[tuple[type, str, Callable[..., Any]]] = []

    def install(self, sync_models: type, async_models: type) -> None:
        """Wrap both classes."""
        for name, method in _METHODS.items():
            for owner, make in (
                (sync_models, self._sync_stream if method.is_stream else self._sync_call),
                (async_models, self._async_stream if method.is_stream else self._async_call),
            ):
                original = getattr(owner, name, None)
                if original is not None:
                    self._originals.append((owner, name, original))
                    setattr(owner, name, functools.wraps(original)(make(original, method)))

    def remove(self) -> None:
        """Restore the classes; wrappers somebody captured pass calls through from now on."""
        self._is_active = False
        while self._originals:
            owner, name, original = self._originals.pop()
            setattr(owner, name, original)

    def _sync_call(self, original: Callable[..., Any], method: _Method) -> Callable[..., Any]:
        def call(models: Any, **kwargs: Any) -> Any:
            invocation = self._start(models, kwargs, method)
            if invocation is None:
                return original(models, **kwargs)
            token = invocation.activate()
            try:
                result = original(models, **kwargs)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.deactivate(token)
            self._conclude(invocation, method, result)
            return result

        return call

    def _async_call(self, original: Callable[..., Any], method: _Method) -> Callable[..., Any]:
        async def call(models: Any, **kwargs: Any) -> Any:
            invocation = self._start(models, kwargs, method)
            if invocation is None:
                return await original(models, **kwargs)
            token = invocation.activate()
            try:
                result = await original(models, **kwargs)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.deactivate(token)
            self._conclude(invocation, method, result)
            return result

        return call

    def _sync_stream(self, original: Callable[..., Any], method: _Method) -> Callable[..., Any]:
        def call(models: Any, **kwargs: Any) -> Any:
            # A generator function: the request is made when the first chunk is asked for, and so is the span.
            inner = original(models, **kwargs)
            return self._iterate(models, kwargs, method, inner)

        return call

    def _iterate(self, models: Any, kwargs: dict[str, Any], method: _Method, inner: Any) -> Any:
        invocation = self._start(models, kwargs, method)
        yield from inner if invocation is None else self._watch(invocation, _begin_inside(invocation, inner))

    def _async_stream(self, original: Callable[..., Any], method: _Method) -> Callable[..., Any]:
        async def call(models: Any, **kwargs: Any) -> Any:
            invocation = self._start(models, kwargs, method)
            if invocation is None:
                return await original(models, **kwargs)
            token = invocation.activate()
            try:
                inner = await original(models, **kwargs)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.deactivate(token)
            return self._watch(invocation, inner)

        return call

    def _start(self, models: Any, kwargs: dict[str, Any], method: _Method) -> Invocation | None:
        try:
            if not self._is_active or is_suppressed():
                return None
            client = models._api_client
            provider = "gcp.vertex_ai" if client.vertexai else "gcp.gemini"
            base_url = client._http_options.base_url if client._http_options else None
            attributes = server_attributes(base_url) if base_url else {}
            if method.is_stream:
                attributes[semconv.REQUEST_STREAM] = True
            if self._captures_content:
                attributes.update(_content.input_attributes(kwargs))
            return Invocation(self._telemetry, method.operation, provider, _model(kwargs.get("model")), attributes)
        except Exception:
            _guard.caught("starting a call of google-genai")
            return None

    def _watch(self, invocation: Invocation, inner: Any) -> Any:
        """Return what yields what ``inner`` yields, watched."""
        try:
            content = _content.StreamContent() if self._captures_content else None
            read = reply.read_content_stream if content is None else content.reading(reply.read_content_stream)
            watch = StreamWatch(invocation, read)
            if not hasattr(inner, "__anext__"):
                return watch.iterate(inner if content is None else content.watch(inner))
            stream = watch.iterate_async(inner if content is None else content.watch_async(inner))
            watch.watch_drop(stream)
        except Exception:
            _guard.caught("watching a stream of google-genai")
            invocation.abandon()
            return inner
        return stream

    def _conclude(self, invocation: Invocation, method: _Method, result: Any) -> None:
        try:
            answer = method.read(result)
            invocation.finish(_content.with_output(answer, result) if self._captures_content else answer)
        except Exception:
            _guard.caught("reading a reply of google-genai")
            invocation.abandon()


def _begin_inside(invocation: Invocation, inner: Iterator[Any]) -> Iterator[Any]:
    """Yield what ``inner`` yields, with the call current while the request is made: before the first chunk."""
    token = invocation.activate()
    try:
        first = next(inner, None)
    finally:
        invocation.deactivate(token)
    if first is not None:
        yield first
        yield from inner


def _model(name: object) -> str | None:
    """Return the bare model name of ``models/x`` and ``publishers/google/models/x``."""
    return name.rpartition("/")[2] if isinstance(name, str) and name else None


class GoogleGenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instrument the google-genai package (3.x)."""

    _hook: _ModelsHook | None = None
    _interactions: InteractionsHook | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what is instrumented."""
        return ("google-genai >= 2, < 4",)

    def _instrument(self, **kwargs: Any) -> None:
        from google.genai.models import AsyncModels, Models

        from ai_usage.setup import ensure_processor

        ensure_processor(kwargs.get("tracer_provider"))
        telemetry = Telemetry(
            "ai_usage.google_genai",
            VERSION,
            tracer_provider=kwargs.get("tracer_provider"),
            meter_provider=kwargs.get("meter_provider"),
        )
        _foreign.tell_who_does_what("google_genai")
        self._hook = _ModelsHook(telemetry)
        self._hook.install(Models, AsyncModels)
        self._interactions = InteractionsHook(telemetry)
        self._interactions.install()

    def _uninstrument(self, **_kwargs: Any) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self._interactions is not None:
            self._interactions.remove()
            self._interactions = None
