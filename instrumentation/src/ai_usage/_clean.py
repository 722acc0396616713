"""Write many attributes on a span at once, without having the SDK look at each of them again.

The SDK checks, copies and locks value by value, which is a third of what a span costs. What this package writes at
the end of a call is made of plain values, so one look at all their types is enough. Everything that is not as known
(another tracer, limits that would cut something, a later SDK) takes the public way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

# Tuples: finish reasons are strings, and nothing else that is written at the end is a tuple.
_PLAIN: Final = frozenset({str, int, float, bool, tuple})


def set_attributes(span: Span, attributes: dict[str, AttributeValue]) -> None:
    """Do what ``span.set_attributes`` does; tuples hold strings only."""
    store: Any = getattr(span, "_attributes", None)
    if type(store) is BoundedAttributes and _PLAIN.issuperset(map(type, attributes.values())):
        try:
            known, most = store._dict, store.maxlen
            if store.max_value_len is None and (most is None or len(known) + len(attributes) <= most):
                with store._lock:
                    if not store._immutable:
                        known.update(attributes)
                        return
        except AttributeError:
            pass
    span.set_attributes(attributes)
