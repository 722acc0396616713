"""Read SDK objects and plain dicts alike: replies come as either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ai_usage._text import LONGEST, valid

if TYPE_CHECKING:
    from collections.abc import Callable

    Get = Callable[[str], Any]

_NOTHING: Final[dict[str, Any]] = {}
_MOST: Final = (1 << 63) - 1


def field(holder: Any, name: str) -> Any:
    """Return a member of an SDK object or a dict, ``None`` when there is none."""
    if isinstance(holder, dict):
        return holder.get(name)
    return getattr(holder, name, None)


def getter(holder: Any) -> Get:
    """Return ``field`` of one holder, for looking up several names.

    An SDK's model is read from where pydantic keeps its fields: asking it for one it does not have runs a search in
    Python that ends in an exception.
    """
    if holder is None:
        return _NOTHING.get
    undeclared = getattr(holder, "__pydantic_extra__", _NOTHING)
    if undeclared is _NOTHING:
        return holder.get if isinstance(holder, dict) else _attribute_getter(holder)
    fields: dict[str, Any] = holder.__dict__
    return {**fields, **undeclared}.get if undeclared else fields.get


def _attribute_getter(holder: Any) -> Get:
    return lambda name: getattr(holder, name, None)


def whole(value: Any) -> int | None:
    """Return a reported count, ``None`` for anything that is no whole number of 64 bits."""
    if value is None or (type(value) is int and not value >> 63):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST else None


def wholes(*values: Any) -> tuple[int | None, ...]:
    """Return ``whole`` of each value."""
    for value in values:
        if value is not None and (type(value) is not int or value >> 63):
            return tuple(map(whole, values))
    return values


def word(value: Any) -> str | None:
    """Return a non-empty string (or the value of a string enum) as valid text, else ``None``."""
    if type(value) is str and len(value) <= LONGEST and value.isprintable():
        return value or None  # as ``valid`` leaves it, for nearly all there are
    if value is None:
        return None
    value = getattr(value, "value", value)
    return valid(value) if isinstance(value, str) and value else None


def words(*values: Any) -> tuple[str | None, ...]:
    """Return ``word`` of each value."""
    for value in values:
        if value is not None and (type(value) is not str or not 0 < len(value) <= LONGEST or not value.isprintable()):
            return tuple(map(word, values))
    return values
