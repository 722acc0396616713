"""Whether two spans speak of one provider call: the rule of ADR 0030, pair by pair."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.evidence import LIKE_NO_OTHERS, is_detached_scope

if TYPE_CHECKING:
    from ai_usage_exporter.evidence import Evidence

SLACK_US: Final = 10_000
"""Clocks of one process: a span around another may seem to end this much before it."""
SKEW_US: Final = 2_000_000
"""Clocks of two hosts."""

_RETRIEVERS: Final = frozenset({"openllmetry", "openinference", "ai_usage"})
"""Emitters whose span of reading a stored response carries its usage; ours does for background responses alone."""
_STORED_RESPONSE: Final = "resp_"
# gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gemini-2.0-flash-001, …-latest
_VERSION: Final = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4}|latest|v\d+(:\d+)?)$")


class Strength(IntEnum):
    """Say how sure it is that two spans speak of one call; the surest pairs are joined first."""

    NONE = 0
    LIKELY = 1
    """Side by side in a trace, one within the other's time, the same model; one of them knows no tokens."""
    SAME_NUMBERS = 2
    """The same with the same tokens."""
    UNLINKED = 3
    """A framework's span around that of an SDK which starts a trace of its own: same service, same tokens."""
    OTHER_TRACE = 4
    """Same response id, model and tokens at the same time, in two traces."""
    NESTED = 5
    """One is the other's parent."""
    SAME_ID = 6
    """Same trace, same response id."""


class Tokens(IntEnum):
    """Compare the tokens of two spans."""

    DIFFERENT = 0
    UNKNOWN = 1
    """At least one of them has none."""
    NEAR = 2
    """One side or the sum agrees, or one of the spans is known to count badly."""
    EQUAL = 3


def strength(one: Evidence, other: Evidence) -> Strength:
    """Return how sure it is that two spans of different libraries speak of one call."""
    if one.is_embedding is not other.is_embedding or not is_same_model(one, other):
        return Strength.NONE
    tokens = compare_tokens(one, other)
    if tokens is Tokens.DIFFERENT:
        return Strength.NONE
    same_id = one.response_id is not None and one.response_id == other.response_id
    if one.trace_id != other.trace_id:
        if same_id and one.success is other.success and overlap(one, other, SKEW_US):
            return Strength.OTHER_TRACE
        return Strength.UNLINKED if is_unlinked(one, other) else Strength.NONE
    if same_id:
        return Strength.SAME_ID
    nested = one.span_id == other.parent_span_id or other.span_id == one.parent_span_id
    if contradict_by_id(one, other) and not (tokens is Tokens.EQUAL and (nested or contain(one, other))):
        return Strength.NONE
    if one.success is not other.success and (one.tokens or other.tokens):
        return Strength.NONE
    if nested:
        return Strength.NESTED
    if not contain(one, other):
        return Strength.NONE
    if tokens is Tokens.EQUAL:
        return Strength.SAME_NUMBERS
    return Strength.LIKELY if tokens is Tokens.UNKNOWN else Strength.NONE


def is_unlinked(one: Evidence, other: Evidence) -> bool:
    """Tell whether a framework's span and one inside its time, in two traces and without two ids, are one call.

    The one inside has no parent: had it one, the trace would say what it belongs to.
    """
    return (
        (one.response_id is None or other.response_id is None)
        and one.service == other.service
        and one.success is other.success
        and compare_tokens(one, other) is Tokens.EQUAL
        and (_is_around(one, other) or _is_around(other, one))
    )


def _is_around(framework: Evidence, inner: Evidence) -> bool:
    return is_detached_scope(framework.scope) and inner.parent_span_id is None and is_within(inner, framework)


def is_retrieved(one: Evidence, other: Evidence) -> bool:
    """Tell whether one span read again the stored response of the other: one library, which traces that as a call."""
    return (
        one.scope == other.scope
        and one.emitter in _RETRIEVERS
        and one.response_id is not None
        and one.response_id == other.response_id
        and one.response_id.startswith(_STORED_RESPONSE)
        and (one.trace_id == other.trace_id or overlap(one, other, SLACK_US))
        and is_same_model(one, other)
        and compare_tokens(one, other) in {Tokens.EQUAL, Tokens.UNKNOWN}
    )


def is_passed_on(one: Evidence, other: Evidence) -> bool:
    """Tell whether two services that use one library saw one call: a client, and the gateway it called."""
    return (
        one.scope == other.scope
        and one.service != other.service
        and one.response_id is not None
        and one.response_id == other.response_id
        and is_same_model(one, other)
        and one.success is other.success
        and compare_tokens(one, other) is Tokens.EQUAL
        and overlap(one, other, SKEW_US)
    )


def contradict(one: Evidence, other: Evidence) -> bool:
    """Tell whether two spans cannot speak of one call, whatever ties each of them to a third."""
    return compare_tokens(one, other) is Tokens.DIFFERENT or contradict_by_id(one, other)


def contradict_by_id(one: Evidence, other: Evidence) -> bool:
    """Tell whether two response ids differ, neither from a layer that gives ids of its own."""
    return (
        one.response_id is not None
        and other.response_id is not None
        and one.response_id != other.response_id
        and not (one.is_gateway or other.is_gateway or one.is_framework or other.is_framework)
    )


def compare_tokens(one: Evidence, other: Evidence) -> Tokens:
    """Compare inclusive totals; 0 and not reported are the same here, because that is how rows hold them."""
    if not one.tokens or not other.tokens:
        return Tokens.UNKNOWN
    same_input = one.input_tokens == other.input_tokens
    same_output = one.output_tokens == other.output_tokens
    if same_input and same_output:
        return Tokens.EQUAL
    if (same_input and one.input_tokens) or (same_output and one.output_tokens):
        return Tokens.NEAR
    if one.tokens == other.tokens:
        return Tokens.NEAR  # one of them took a part for output that the other took for input: Gemini's tool prompt
    return Tokens.DIFFERENT if LIKE_NO_OTHERS.isdisjoint(one.flags | other.flags) else Tokens.NEAR


def is_same_model(one: Evidence, other: Evidence) -> bool:
    """Tell whether two spans name one model: as asked for or as answered, with or without vendor and version."""
    names, others = _names(one.model, one.request_model), _names(other.model, other.request_model)
    if not names or not others:
        return not (one.success or other.success)  # some name no model when the call fails
    return not names.isdisjoint(others)


def overlap(one: Evidence, other: Evidence, slack_us: int) -> bool:
    """Tell whether two spans have a moment in common."""
    return one.start_us <= other.end_us + slack_us and other.start_us <= one.end_us + slack_us


def contain(one: Evidence, other: Evidence) -> bool:
    """Tell whether one of two spans lies within the other."""
    return is_within(one, other) or is_within(other, one)


def is_within(inner: Evidence, outer: Evidence) -> bool:
    """Tell whether one span lies within another."""
    return outer.start_us - SLACK_US <= inner.start_us and inner.end_us <= outer.end_us + SLACK_US


@lru_cache(maxsize=8192)
def _names(model: str, request_model: str | None) -> frozenset[str]:
    found = set()
    for name in (model, request_model):
        if name is None or name == "unknown":
            continue
        bare = name.lower().rpartition("/")[2]
        found |= {bare, _VERSION.sub("", bare)}
    return frozenset(found)
