"""Prompts and answers on the span, only when the app asks for them by the official setting.

Everything is read by shape, so that SDK objects and plain dicts of all providers go the same way. Files, images and
sound are named and never copied; headers and keys are not looked at.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from ai_usage import _guard, semconv
from ai_usage._fields import field, word
from ai_usage._text import encodable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.util.types import AttributeValue

    from ai_usage._invocation import Reply

CONTENT_SETTING: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPAN: Final = frozenset({"SPAN_ONLY", "SPAN_AND_EVENT", "TRUE"})

Part = dict[str, Any]


def is_captured() -> bool:
    """Tell whether the app wants content on spans; events of content are not written by this package."""
    return os.environ.get(CONTENT_SETTING, "").strip().upper() in _ON_SPAN


def input_attributes(body: Any) -> dict[str, AttributeValue]:
    """Return the attributes of a request's content; empty when it has none or cannot be read."""
    try:
        return _input_attributes(body)
    except Exception:
        _guard.caught("capturing a prompt")
        return {}


def _input_attributes(body: Any) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    said = next((said for key in ("messages", "input", "contents", "prompt") if (said := field(body, key))), None)
    messages = [{"role": "user", "parts": _parts(said)}] if isinstance(said, str) else _messages(said or ())
    if messages:
        found[semconv.INPUT_MESSAGES] = _json(messages)
    config = field(body, "config")
    system = field(body, "system") or field(body, "instructions") or field(config, "system_instruction")
    if system:
        found[semconv.SYSTEM_INSTRUCTIONS] = _json(_parts(system))
    return found


def with_output(reply: Reply, answer: Any) -> Reply:
    """Add an answer's content to a reply."""
    try:
        messages = _answers(answer)
    except Exception:
        _guard.caught("capturing an answer")
        return reply
    return _with_messages(reply, messages)


def reading(read: Callable[[Any], Reply]) -> Callable[[Any], Reply]:
    """Return ``read`` with an answer's content added to what it returns."""
    return lambda answer: with_output(read(answer), answer)


class StreamContent:
    """Collect the text of a stream as it passes."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._whole: Any = None

    def watch(self, inner: Iterator[Any]) -> Iterator[Any]:
        """Yield what ``inner`` yields."""
        for chunk in inner:
            self.take(chunk)
            yield chunk

    async def watch_async(self, inner: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what ``inner`` yields."""
        async for chunk in inner:
            self.take(chunk)
            yield chunk

    def take(self, chunk: Any) -> None:
        """Read one chunk or event."""
        try:
            self._take(chunk)
        except Exception:
            _guard.caught("capturing a chunk")

    def reading(self, read: Callable[[Any, Any], Reply]) -> Callable[[Any, Any], Reply]:
        """Return ``read`` with the content added to what it returns."""
        return lambda first, last: self.add_to(read(first, last))

    def add_to(self, reply: Reply) -> Reply:
        """Add what was collected to a reply."""
        if self._whole is not None:
            return with_output(reply, self._whole)
        if not self._pieces:
            return reply
        return _with_messages(reply, [_message("assistant", _parts("".join(self._pieces)), reply.finish_reasons)])

    def _take(self, chunk: Any) -> None:
        if str(field(chunk, "type") or "").startswith("response.") or field(chunk, "interaction") is not None:
            answer = field(chunk, "response") or field(chunk, "interaction")
            if answer is not None:
                self._whole = answer
            return
        for choice in field(chunk, "choices") or ():
            self._add(field(field(choice, "delta"), "content") or field(choice, "text"))
        self._add(field(field(chunk, "delta"), "text"))
        for candidate in field(chunk, "candidates") or ():
            for part in field(field(candidate, "content"), "parts") or ():
                self._add(field(part, "text"))

    def _add(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self._pieces.append(text)


def _with_messages(reply: Reply, messages: list[Part]) -> Reply:
    if not messages:
        return reply
    return reply._replace(extra={**(reply.extra or {}), semconv.OUTPUT_MESSAGES: _json(messages)})


def _messages(said: Any) -> list[Part]:
    found: list[Part] = []
    for one in said if isinstance(said, list | tuple) else [said]:
        content = field(one, "content")
        if content is None:
            content = field(one, "parts")
        if isinstance(one, str):
            found.append(_message("user", _parts(one)))
        elif field(one, "tool_call_id"):
            result = {"type": "tool_call_response", "id": field(one, "tool_call_id"), "response": _result(content)}
            found.append(_message("tool", [result]))
        elif content is None and field(one, "role") is None:
            found.append(_message("user", [_part(one)]))  # an item or a part that stands by itself
        else:
            calls = [_part(call) for call in field(one, "tool_calls") or ()]
            found.append(_message(word(field(one, "role")) or "user", _parts(content) + calls))
    return found


def _answers(answer: Any) -> list[Part]:
    found: list[Part] = []
    for choice in field(answer, "choices") or ():
        message = field(choice, "message")
        said = field(message, "content") if message is not None else field(choice, "text")
        parts = _parts(said) + [_part(call) for call in field(message, "tool_calls") or ()]
        found.append(_message("assistant", parts, (word(field(choice, "finish_reason")) or "",)))
    for item in field(answer, "output") or field(answer, "steps") or ():
        content = field(item, "content")
        found.append(_message("assistant", _parts(content) if content is not None else [_part(item)]))
    for candidate in field(answer, "candidates") or ():
        reason = word(field(candidate, "finish_reason")) or word(field(candidate, "finishReason")) or ""
        parts = _parts(field(field(candidate, "content"), "parts"))
        found.append(_message("assistant", parts, (reason.lower(),)))
    if field(answer, "type") == "message":
        reason = word(field(answer, "stop_reason")) or ""
        found.append(_message("assistant", _parts(field(answer, "content")), (reason,)))
    return found


def _message(role: str, parts: list[Part], reasons: tuple[str, ...] = ()) -> Part:
    message: Part = {"role": role, "parts": parts}
    if reasons and reasons[0]:
        message["finish_reason"] = reasons[0]
    return message


def _parts(content: Any) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if isinstance(content, list | tuple):
        return [part for one in content for part in (_parts(one) if isinstance(one, str) else [_part(one)])]
    inner = field(content, "parts")
    return _parts(inner) if inner is not None else [_part(content)]


def _part(part: Any) -> Part:
    kind = word(field(part, "type")) or ""
    text = field(part, "text")
    if isinstance(text, str):
        is_thought = field(part, "thought") is True or kind == "summary_text"
        return {"type": "reasoning" if is_thought else "text", "content": text}
    if isinstance(field(part, "thinking"), str):
        return {"type": "reasoning", "content": field(part, "thinking")}
    call = field(part, "function") or field(part, "function_call") or field(part, "functionCall")
    if call is None and kind in {"function_call", "tool_use"}:
        call = part
    if call is not None:
        arguments = next((a for key in ("arguments", "args", "input") if (a := field(call, key)) is not None), None)
        name = word(field(call, "name"))
        return {
            "type": "tool_call",
            "id": word(field(part, "call_id")) or word(field(part, "id")),
            "name": name,
            "arguments": _plain(arguments),
        }
    result = field(part, "function_response") or field(part, "functionResponse")
    if result is not None or kind in {"tool_result", "function_call_output"}:
        known = next((r for key in ("content", "output") if (r := field(part, key)) is not None), None)
        return {
            "type": "tool_call_response",
            "id": word(field(part, "tool_use_id")) or word(field(part, "call_id")),
            "response": _plain(field(result, "response")) if result is not None else _result(known),
        }
    return {"type": kind or "blob"}


def _result(content: Any) -> Any:
    return _parts(content) if isinstance(content, list | tuple) else _plain(content)


def _plain(value: Any) -> Any:
    """Return text, numbers and their containers; of anything else, only that it was there."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _part(value)


def _json(value: Any) -> str:
    return encodable(json.dumps(value, ensure_ascii=False))
