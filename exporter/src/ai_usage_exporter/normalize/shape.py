"""Where facts stand among a span's attributes: worked out once for each shape, which is their keys and types.

An app's spans have few shapes, and what a shape says is then one step instead of one an attribute.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.normalize.keys import FACTS, METADATA_PREFIXES, PLACE_OF, TEXTS, Fact
from ai_usage_exporter.normalize.values import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_usage_exporter.record import Attributes, AttributeValue

_MEMO_SIZE: Final = 1_024
_MOST_KEYS: Final = 64
_MOST_TEXT: Final = 4_096
"""Shapes with more keys, or more characters in them, are worked out every time."""
_NONE_TYPE: Final = type(None)
_COUNT_TYPES: Final = frozenset({int, _NONE_TYPE})
_COUNTS: Final = slice(Fact.INPUT, Fact.COST)


class Shape(NamedTuple):
    """Say where facts and labels stand in the values of attributes, which ``None`` follows for what is not there."""

    pick: Callable[[tuple[AttributeValue, ...]], tuple[Any, ...]]
    """Gives the facts in the order of ``Fact``."""
    labels: tuple[tuple[str, int], ...]
    """Names and positions; of two with one name the last counts."""
    has_whole_counts: bool
    """Each count is an integer or not there."""
    has_own_cost: bool
    """The cost stands under its most trusted key."""


# Keys, then types → shape, of attributes without facts that say nothing.
_memo: dict[tuple[object, ...], Shape] = {}


def read_facts(attributes: Attributes) -> tuple[Shape, tuple[Any, ...], tuple[AttributeValue, ...]]:
    """Return the shape of attributes, the facts in the order of ``Fact`` and the values the shape's labels are among.

    Of several keys of one fact the most trusted that says something counts. Texts are texts, whatever they came as.
    """
    values = (*attributes.values(), None)
    shape = _memo.get((*attributes, *map(type, values)))
    if shape is None or "" in values:
        shape, values = _look_closer(attributes)
    return shape, shape.pick(values), values


def _look_closer(attributes: Attributes) -> tuple[Shape, tuple[AttributeValue, ...]]:
    """Return shape and values of attributes of an unknown shape, or with facts that say nothing."""
    cleaned = _cleaned(attributes)
    values = (*cleaned.values(), None)
    key = (*cleaned, *map(type, values))
    shape = _memo.get(key)
    if shape is None:
        shape = _work_out(cleaned)
        if len(cleaned) <= _MOST_KEYS and sum(map(len, cleaned)) <= _MOST_TEXT:
            if len(_memo) >= _MEMO_SIZE:
                _memo.clear()
            _memo[key] = shape
    return shape, values


def _is_text(key: str) -> bool:
    place = PLACE_OF.get(key)
    return place is not None and place[0] in TEXTS


def _cleaned(attributes: Attributes) -> Attributes:
    """Return attributes without facts that say nothing, and with texts as such: a structure is none, and hides none."""
    kept: dict[str, AttributeValue] = {}
    for key, value in attributes.items():
        if key in PLACE_OF:
            said = text(value) if _is_text(key) else value
            if said is None or said == "":
                continue
            kept[key] = said
        else:
            kept[key] = value
    return kept


def _work_out(attributes: Attributes) -> Shape:
    places = [len(attributes)] * FACTS
    ranks = [len(PLACE_OF)] * FACTS
    types: list[type] = [_NONE_TYPE] * FACTS
    labels: list[tuple[int, str, int]] = []
    for position, (key, value) in enumerate(attributes.items()):
        place = PLACE_OF.get(key)
        if place is not None:
            fact, rank = place
            if rank < ranks[fact] and value is not None:
                places[fact], ranks[fact], types[fact] = position, rank, type(value)
        elif key.startswith(METADATA_PREFIXES):
            labels += [(-n, key[len(p) :], position) for n, p in enumerate(METADATA_PREFIXES) if key.startswith(p)]
    # Of two labels with one name the one whose prefix comes first.
    labels.sort(key=itemgetter(0))
    return Shape(
        itemgetter(*places),
        tuple((name, position) for _, name, position in labels),
        _COUNT_TYPES.issuperset(types[_COUNTS]),
        ranks[Fact.COST] == 0,
    )
