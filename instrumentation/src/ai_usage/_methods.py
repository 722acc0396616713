"""Wrap a method of one object for a while: the object holds its wrapper, and that holds the object."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap_method(owner: Any, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Set a method on one object and return what takes it off again, so that no reference cycle stays."""
    original = getattr(owner, name)
    setattr(owner, name, wrapper)
    return functools.partial(_unwrap, owner, name, wrapper, original)


def _unwrap(owner: Any, name: str, wrapper: Callable[..., Any], original: Callable[..., Any]) -> None:
    """Take a wrapper off again."""
    if getattr(owner, name) is not wrapper:
        return  # wrapped once more by somebody else
    delattr(owner, name)
    if getattr(owner, name, None) != original:  # it was the object's own, not its class's
        setattr(owner, name, original)
