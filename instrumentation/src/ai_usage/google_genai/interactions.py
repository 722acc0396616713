"""Interactions and decisions: Gemini's newer endpoints, made by another generator than ``models``.

Wrapped where exactly one HTTP call is made; the public methods continue an interrupted answer in a loop.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import wrapt

from ai_usage import _content, _guard, semconv
from ai_usage._fields import field, whole, word
from ai_usage._invocation import Invocation, Reply, is_suppressed
from ai_usage._raw_body import RawBodyWatch
from ai_usage._server import server_attributes
from ai_usage._stream import StreamWatch
from ai_usage.tokens import NOT_REPORTED, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ai_usage._invocation import Telemetry

# Module, sync and async class of each ``create``.
_TARGETS: Final = (
    ("google.genai._gaos.interactions", "Interactions", "AsyncInteractions"),
    ("google.genai._gaos.decisions", "Decisions", "AsyncDecisions"),
)


def read_usage(usage: Any) -> TokenUsage:
    """Return the tokens of an interaction: output leaves out thoughts and input leaves out tool results."""
    prompt = whole(field(usage, "total_input_tokens"))
    output = whole(field(usage, "total_output_tokens"))
    if prompt is None and output is None:
        return NOT_REPORTED
    thoughts = whole(field(usage, "total_thought_tokens"))
    return TokenUsage(
        input_tokens=(prompt or 0) + (whole(field(usage, "total_tool_use_tokens")) or 0),
        output_tokens=(output or 0) + (thoughts or 0),
        cache_read_tokens=whole(field(usage, "total_cached_tokens")),
        reasoning_tokens=thoughts,
        input_audio_tokens=_modality(usage, "audio", "input_tokens_by_modality"),
        output_audio_tokens=_modality(usage, "audio", "output_tokens_by_modality"),
        cache_read_audio_tokens=_modality(usage, "audio", "cached_tokens_by_modality"),
        input_image_tokens=_modality(usage, "image", "input_tokens_by_modality"),
        output_image_tokens=_modality(usage, "image", "output_tokens_by_modality"),
    )


def read_interaction(answer: Any) -> Reply:
    """Read an interaction or a decision; one still at work in the background has no usage yet."""
    status = word(field(answer, "status"))
    tier = word(field(answer, "service_tier"))
    usage = read_usage(field(answer, "usage"))
    return Reply(
        usage=usage,
        model=word(field(answer, "model")),
        response_id=word(field(answer, "id")),
        finish_reasons=(status,) if status else (),
        service_tier=tier,
        extra={semconv.SERVICE_TIER: tier} if tier else None,
        is_complete=usage.is_reported or status != "in_progress",
    )


def read_interaction_stream(first: Any, last: Iterable[Any]) -> Reply:
    """Read streamed events: the one that completes holds the whole."""
    answer = field(first, "interaction")
    is_complete = False
    for event in last:
        if word(field(event, "event_type")) == "interaction.completed":
            answer, is_complete = field(event, "interaction"), True
    return read_interaction(answer)._replace(is_complete=is_complete)


class InteractionsHook:
    """Wrap ``create`` of the generated classes, sync and async."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._is_active = True
        self._captures_content = _content.is_captured()
        self._originals: list[tuple[type, Callable[..., Any]]] = []

    def install(self) -> None:
        """Wrap what this version of the SDK has, when the app first imports it: the SDK itself waits that long."""
        for path, sync_name, async_name in _TARGETS:
            wrapt.register_post_import_hook(functools.partial(self._wrap, (sync_name, async_name)), path)

    def _wrap(self, names: tuple[str, str], module: Any) -> None:
        if not self._is_active:
            return
        for name, make in zip(names, (self._sync_call, self._async_call), strict=True):
            owner: Any = getattr(module, name, None)
            if owner is not None:
                original = owner.create
                self._originals.append((owner, original))
                owner.create = functools.wraps(original)(make(original))

    def remove(self) -> None:
        """Restore the classes; wrappers somebody captured pass calls through from now on."""
        self._is_active = False
        while self._originals:
            owner, original = self._originals.pop()
            owner.create = original  # type: ignore[attr-defined]

    def _sync_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def create(sdk: Any, **kwargs: Any) -> Any:
            invocation = self._start(sdk, kwargs)
            if invocation is None:
                return original(sdk, **kwargs)
            token = invocation.activate()
            try:
                result = original(sdk, **kwargs)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.deactivate(token)
            self._conclude(invocation, result)
            return result

        return create

    def _async_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def create(sdk: Any, **kwargs: Any) -> Any:
            invocation = self._start(sdk, kwargs)
            if invocation is None:
                return await original(sdk, **kwargs)
            token = invocation.activate()
            try:
                result = await original(sdk, **kwargs)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.deactivate(token)
            self._conclude(invocation, result)
            return result

        return create

    def _start(self, sdk: Any, kwargs: dict[str, Any]) -> Invocation | None:
        try:
            if not self._is_active or is_suppressed():
                return None
            body = field(kwargs.get("request"), "body") or kwargs
            model = word(field(body, "model")) or word(field(body, "agent"))
            attributes = server_attributes(sdk._get_url(None, None))
            if field(body, "stream") is True:
                attributes[semconv.REQUEST_STREAM] = True
            if self._captures_content:
                attributes.update(_content.input_attributes(body))
            is_vertex = "aiplatform" in str(attributes.get(semconv.SERVER_ADDRESS, ""))
            provider = "gcp.vertex_ai" if is_vertex else "gcp.gemini"
            return Invocation(
                self._telemetry, "generate_content", provider, model.rpartition("/")[2] if model else None, attributes
            )
        except Exception:
            _guard.caught("starting an interaction of google-genai")
            return None

    def _conclude(self, invocation: Invocation, result: Any) -> None:
        try:
            content = _content.StreamContent() if self._captures_content else None
            read = read_interaction if content is None else _content.reading(read_interaction)
            read_stream = read_interaction_stream if content is None else content.reading(read_interaction_stream)
            raw = getattr(result, "http_response", None)
            generator = getattr(result, "generator", None)
            if raw is not None:
                RawBodyWatch(invocation, read, read_stream, content).watch(raw)
            elif generator is None:
                invocation.finish(read(result))
            else:
                stream = StreamWatch(invocation, read_stream)
                if hasattr(generator, "__anext__"):
                    events = generator if content is None else content.watch_async(generator)
                    result.generator = stream.iterate_async(events)
                else:
                    events = generator if content is None else content.watch(generator)
                    result.generator = stream.iterate(events)
                stream.watch_close(result, result.response)
        except Exception:
            _guard.caught("reading an interaction of google-genai")
            invocation.abandon()


def _modality(usage: Any, modality: str, name: str) -> int | None:
    found = [
        whole(field(part, "tokens")) for part in field(usage, name) or () if word(field(part, "modality")) == modality
    ]
    known = [count for count in found if count is not None]
    return sum(known) if known else None
