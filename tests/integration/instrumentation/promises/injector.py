"""Faults at every internal call: found by watching what is called, never by a list of names."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import opentelemetry.sdk.trace

import ai_usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

OURS = str(Path(ai_usage.__file__).parent)
OPENTELEMETRY = str(Path(opentelemetry.sdk.trace.__file__).parents[2])
_PASSES_THROUGH = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_TRACERS: list[object] = []
"""Kept for good: CPython 3.11 may go on calling one after it was taken away because it raised."""


class Fault(Exception):  # noqa: N818 - it is none of the app's errors
    """Stand for anything that may go wrong inside."""


class Injector:
    """Watch the calls of a run; raise at one of them, given by its code and how often it was called before."""

    def __init__(self, at: tuple[CodeType, int] | None = None) -> None:
        self._at = at
        self.seen: Counter[CodeType] = Counter()
        self.has_struck = False

    def watch(self, run: Callable[[], Any]) -> Any:
        """Return what ``run`` returns."""
        before = sys.gettrace()
        tracer = self._on_event
        _TRACERS.append(tracer)
        sys.settrace(tracer)
        try:
            return run()
        finally:
            sys.settrace(before)

    def _on_event(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or self.has_struck or not _may_fail(frame):
            return
        before = self.seen[frame.f_code]
        self.seen[frame.f_code] += 1
        if (frame.f_code, before) == self._at:
            self.has_struck = True
            raise Fault(frame.f_code.co_qualname)


def _may_fail(frame: FrameType) -> bool:
    """Tell whether a call is internal: made by this package, or inside OpenTelemetry on its behalf.

    Left out are the app's own calls that pass through (the wrapped function, generators that hand chunks on) and
    functions whose whole body is guarded: nothing in them can fail before the guard.
    """
    code, caller = frame.f_code, frame.f_back.f_code if frame.f_back is not None else None
    if caller is None or not _is_on_our_behalf(frame.f_back):
        return False
    if code.co_flags & _PASSES_THROUGH:
        return False
    if code.co_filename.startswith(OURS):
        return not _is_guarded(code)
    if code.co_filename.startswith(OPENTELEMETRY):
        return True
    return caller.co_filename.startswith(OURS) and not _is_door(frame.f_back)


def _is_on_our_behalf(frame: FrameType | None) -> bool:
    """Tell whether a frame is of this package, or of OpenTelemetry called by it (SDKs use OpenTelemetry, too)."""
    while frame is not None and frame.f_code.co_filename.startswith(OPENTELEMETRY):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(OURS)


def _is_door(frame: FrameType | None) -> bool:
    """Tell whether a frame was entered from the app or an SDK."""
    caller = frame.f_back if frame is not None else None
    return caller is None or not caller.f_code.co_filename.startswith(OURS)


@functools.cache
def _guarded_lines(filename: str) -> frozenset[int]:
    """Return the first lines of functions that are, but for plain assignments, one ``try`` that catches everything."""
    found = set()
    for node in ast.walk(ast.parse(Path(filename).read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        while body and _is_harmless(body[0]):
            body = body[1:]
        if body and isinstance(body[-1], ast.Return):
            body = body[:-1]
        if len(body) == 1 and isinstance(body[0], ast.Try) and any(_catches_all(h) for h in body[0].handlers):
            found.add(min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]))
    return frozenset(found)


def _is_harmless(statement: ast.stmt) -> bool:
    """Tell whether a statement gives a name a constant, an argument or an empty container."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.List):
        return not value.elts
    return isinstance(value, ast.Constant | ast.Name) or (isinstance(value, ast.Dict) and not value.keys)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.type, ast.Name) and handler.type.id == "Exception"


def _is_guarded(code: CodeType) -> bool:
    return code.co_firstlineno in _guarded_lines(code.co_filename)
