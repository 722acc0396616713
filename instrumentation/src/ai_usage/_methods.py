"""Wrap a method of one object for a while: the object holds its wrapper, and that holds the object."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap_method(owner: Any, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Set a method on one object and return what takes it off again, so that no reference cycle stays."""
    own = vars(owner)
    before = own.get(name)
    own[name] = wrapper
    return functools.partial(_unwrap, own, name, wrapper, before)


def _unwrap(own: dict[str, Any], name: str, wrapper: Callable[..., Any], before: Callable[..., Any] | None) -> None:
    if own.get(name) is not wrapper:
        return  # wrapped once more by somebody else
    if before is None:
        del own[name]  # its class has it
    else:
        own[name] = before
