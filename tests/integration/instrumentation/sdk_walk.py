"""Walk an installed SDK: every public method whose reply carries usage, told by annotations and reply models."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pydantic

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREADABLE = object()
"""A return type imported for type checkers only: it may carry usage, so somebody has to look."""
USAGE_FIELDS = frozenset({"usage", "usage_metadata", "svg_usage"})


class Found(NamedTuple):
    """Name one method: ``chat.completions.completions.Completions.create``."""

    owner: type
    method: str

    @property
    def name(self) -> str:
        module = self.owner.__module__.partition(".resources.")[2] or self.owner.__module__.partition(".genai.")[2]
        return f"{module}.{self.owner.__qualname__}.{self.method}"


def usage_methods(package: str, bases: tuple[type, ...] = (object,)) -> Iterator[Found]:
    """Yield the methods of every class below ``bases`` whose reply carries usage, at any depth of its model."""
    for owner in _classes(package):
        if not issubclass(owner, bases) or issubclass(owner, pydantic.BaseModel):
            continue
        for name, function in vars(owner).items():
            if not name.startswith("_") and inspect.isfunction(function) and reply_carries_usage(function):
                yield Found(owner, name)


def reply_carries_usage(function: Any) -> bool:
    """Tell by the return types of a function and its overloads."""
    return any(_carries(kind, set()) for kind in _returns(function))


def _classes(package: str) -> Iterator[type]:
    seen: set[type] = set()
    for module in _modules(package):
        for thing in list(vars(module).values()):
            if inspect.isclass(thing) and thing.__module__ == module.__name__ and thing not in seen:
                seen.add(thing)
                yield thing


def _modules(package: str) -> Iterator[Any]:
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.iter_modules(root.__path__, f"{package}."):
        last = info.name.rpartition(".")[2]
        if last in {"tests", "local_tokenizer", "_local_tokenizer_loader", "_test_api_client"}:
            continue  # of google-genai: its own tests, and modules that need packages it does not depend on
        if info.ispkg:
            yield from _modules(info.name)
        else:
            yield importlib.import_module(info.name)


def _returns(function: Any) -> Iterator[Any]:
    for variant in (*typing.get_overloads(function), function):
        yield _returned(variant)


def _returned(function: Any) -> Any:
    inner = inspect.unwrap(function)
    annotation = inner.__annotations__.get("return")
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, inner.__globals__)  # noqa: S307 - the SDK's own annotation
    except (NameError, TypeError):
        return UNREADABLE


def _carries(kind: Any, seen: set[Any]) -> bool:
    if kind is UNREADABLE:
        return True
    if isinstance(kind, list) or kind in seen:  # a list is the first part of Callable[[…], …]
        return False
    seen.add(kind)
    if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel):
        return any(
            name in USAGE_FIELDS or _carries(field.annotation, seen) for name, field in _fields(kind).items()
        ) or any(_carries(part, seen) for part in kind.__pydantic_generic_metadata__["args"])
    if isinstance(kind, typing.TypeVar):
        return False
    return any(_carries(part, seen) for part in typing.get_args(kind))


@cache
def _fields(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    return model.model_fields
