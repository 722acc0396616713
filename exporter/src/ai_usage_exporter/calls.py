"""One provider call, many spans: which span is the row, which are shadows, and why.

Pure, and a function of the set of spans alone: the order in which they came cannot matter. ADR 0030 has the rule as a
table with an example per line.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.evidence import DOUBTFUL, ROLES
from ai_usage_exporter.matching import SKEW_US, contradict, is_passed_on, is_retrieved, is_within, strength
from ai_usage_exporter.normalize.reading import WRAPPER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from ai_usage_exporter.evidence import Evidence

PARTLY_COVERED: Final = "partly_covered"
"""Flag of a shadow that sums up more tokens than the calls below it have: some of its calls were not traced."""


class Reason(StrEnum):
    """Say why a span is no row."""

    WRAPPER = "wrapper"
    """Made by a library around the call."""
    SECOND_INSTRUMENTOR = "second_instrumentor"
    """Made by another library that traces the same SDK."""
    GATEWAY = "gateway"
    """Made by a proxy that passed the call on."""
    AGENT_TOTAL = "agent_total"
    """Sums up the calls of an agent."""
    RETRIEVE = "retrieve"
    """Read a stored response again."""
    REPLAY_WITH_OTHER_CONTENT = "replay_with_other_content"
    """The same span sent again, saying something else."""


class Verdict(NamedTuple):
    """Say of a span that is no row why, and which row it restates."""

    reason: Reason
    row_id: UUID
    is_partly_covered: bool = False


_EMITTER_RANKS: Final = {"ai_usage": 0, "anthropic_sdk": 1, "otel": 2, "logfire": 3, "openllmetry": 4, "openlit": 5}
_OTHER_EMITTERS: Final = 9


def decide(spans: Iterable[Evidence]) -> dict[UUID, Verdict]:
    """Return the verdict of every span that is no row; all others are rows. Ids must differ."""
    ordered = sorted(spans, key=_order)
    calls = _Calls([span for span in ordered if not span.is_sum])
    sums = [span for span in ordered if span.is_sum]
    sums += calls.take_unmarked_sums()
    verdicts = calls.verdicts()
    verdicts.update(_judge_sums(sums, calls, _Tree(ordered)))
    return verdicts


class _Calls:
    """Join spans that speak of one call, the surest pairs first."""

    def __init__(self, spans: Sequence[Evidence]) -> None:
        self.spans = list(spans)
        self._group_of: dict[UUID, list[Evidence]] = {}
        self._retrieved: set[UUID] = set()
        self._passed_on: set[UUID] = set()
        self._joined = False

    def take_unmarked_sums(self) -> list[Evidence]:
        """Remove and return spans that have exactly the tokens of two or more calls directly below them."""
        below: dict[tuple[bytes, bytes], list[Evidence]] = defaultdict(list)
        for span in self.spans:
            if span.parent_span_id is not None:
                below[span.trace_id, span.parent_span_id].append(span)
        found = []
        for span in self.spans:
            children = [child for child in below.get((span.trace_id, span.span_id), ()) if child.scope != span.scope]
            for scope in {child.scope for child in children}:
                one_library = [child for child in children if child.scope == scope and child.tokens]
                if (
                    len(one_library) > 1
                    and sum(child.input_tokens for child in one_library) == span.input_tokens
                    and sum(child.output_tokens for child in one_library) == span.output_tokens
                ):
                    found.append(span)
                    break
        taken = {span.id for span in found}
        self.spans = [span for span in self.spans if span.id not in taken]
        return found

    def verdicts(self) -> dict[UUID, Verdict]:
        """Return the verdicts of the calls' spans."""
        found: dict[UUID, Verdict] = {}
        for span in self.spans:
            row = self.row_of(span)
            if row.id != span.id:
                found[span.id] = Verdict(self._reason(span, row), row.id)
        return found

    def row_of(self, span: Evidence) -> Evidence:
        """Return the row of the call a span speaks of."""
        if not self._joined:
            self._join()
        return min(self._group_of[span.id], key=_rank)

    def _join(self) -> None:
        self._joined = True
        self._group_of = {span.id: [span] for span in self.spans}
        pairs: list[tuple[int, int, Evidence, Evidence]] = []
        for one, other in _neighbours(self.spans):
            if one.scope == other.scope:
                if is_retrieved(one, other):
                    self._retrieved |= {one.id, other.id}
                    self._merge(one, other)
                elif is_passed_on(one, other):
                    self._passed_on |= {one.id, other.id}
                    self._merge(one, other)
            elif sureness := strength(one, other):
                apart_us = abs(one.start_us - other.start_us) + abs(one.end_us - other.end_us)
                pairs.append((-sureness, apart_us, one, other))
        pairs.sort(key=lambda pair: (pair[0], pair[1], _order(pair[2]), _order(pair[3])))
        for _, _, one, other in pairs:
            if self._can_merge(self._group_of[one.id], self._group_of[other.id]):
                self._merge(one, other)

    def _can_merge(self, group: list[Evidence], others: list[Evidence]) -> bool:
        """Tell whether two groups can be one call: each library made one span of it, and no two contradict."""
        if group is others:
            return False
        scopes = {span.scope for span in group}
        return not any(span.scope in scopes for span in others) and not any(
            contradict(one, other) for one in group for other in others
        )

    def _merge(self, one: Evidence, other: Evidence) -> None:
        group, others = self._group_of[one.id], self._group_of[other.id]
        if group is not others:
            group.extend(others)
            for span in others:
                self._group_of[span.id] = group

    def _reason(self, span: Evidence, row: Evidence) -> Reason:
        if span.scope == row.scope:
            return Reason.RETRIEVE if span.id in self._retrieved else Reason.GATEWAY
        if span.id in self._retrieved and any(
            other.scope == span.scope and _order(other) < _order(span) for other in self._group_of[span.id]
        ):
            return Reason.RETRIEVE
        if span.is_gateway:
            return Reason.GATEWAY
        return Reason.WRAPPER if span.is_framework else Reason.SECOND_INSTRUMENTOR


class _Tree:
    """Tell what lies below what, as far as parents are known: spans that are no usage are not."""

    def __init__(self, spans: Sequence[Evidence]) -> None:
        self._by_place = {(span.trace_id, span.span_id): span for span in spans}

    def is_below(self, span: Evidence, total: Evidence) -> bool:
        """Tell whether a span lies below a total: through its parents, else, where they are not known, by time."""
        if span.trace_id != total.trace_id:
            return False
        seen = {span.id}
        top = span
        while (parent := self._parent(top)) is not None and parent.id not in seen:
            if parent.id == total.id:
                return True
            seen.add(parent.id)
            top = parent
        return top.parent_span_id is not None and top.id != total.id and is_within(top, total)

    def _parent(self, span: Evidence) -> Evidence | None:
        if span.parent_span_id is None:
            return None
        return self._by_place.get((span.trace_id, span.parent_span_id))


def _judge_sums(sums: Sequence[Evidence], calls: _Calls, tree: _Tree) -> dict[UUID, Verdict]:
    """Return the verdicts of sums: a shadow where calls below it count, or a larger sum around it; else a row."""
    found: dict[UUID, Verdict] = {}
    by_trace: dict[bytes, list[Evidence]] = defaultdict(list)
    for span in calls.spans:
        by_trace[span.trace_id].append(span)
    uncovered: list[Evidence] = []
    for total in sums:
        rows = {
            row.id: row
            for span in by_trace.get(total.trace_id, ())
            if tree.is_below(span, total) and ((row := calls.row_of(span)).tokens or not total.tokens)
        }
        if rows:
            counted = sum(row.tokens for row in rows.values())
            first = min(rows.values(), key=_order)
            found[total.id] = Verdict(_reason_of_sum(total), first.id, counted < total.tokens)
        else:
            uncovered.append(total)
    # The largest first: what is around it is no larger, so it can only be below one that was looked at before.
    uncovered.sort(key=lambda total: (-total.tokens, *_order(total)))
    kept: list[Evidence] = []
    for total in uncovered:
        around = next((other for other in kept if _is_one_sum(total, other, tree)), None)
        if around is None:
            kept.append(total)
        else:
            found[total.id] = Verdict(_reason_of_sum(total), around.id)
    return found


def _is_one_sum(total: Evidence, larger: Evidence, tree: _Tree) -> bool:
    """Tell whether a larger or equal sum has what a sum has: it is around it, or the same one seen from inside."""
    if total.scope == larger.scope and total.parent_span_id is not None and _are_siblings(total, larger):
        return False
    return tree.is_below(total, larger) or (total.tokens == larger.tokens and tree.is_below(larger, total))


def _are_siblings(one: Evidence, other: Evidence) -> bool:
    return (one.trace_id, one.parent_span_id) == (other.trace_id, other.parent_span_id)


def _reason_of_sum(total: Evidence) -> Reason:
    return Reason.WRAPPER if WRAPPER in total.flags or not total.is_sum else Reason.AGENT_TOTAL


def _neighbours(spans: Sequence[Evidence]) -> Iterator[tuple[Evidence, Evidence]]:
    """Give each pair that could match: of one trace and overlapping in time, with one response id, or unlinked."""
    by_id: dict[str, list[Evidence]] = defaultdict(list)
    by_numbers: dict[tuple[int, int], list[Evidence]] = defaultdict(list)
    by_trace: dict[bytes, list[Evidence]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
        if span.response_id is not None:
            by_id[span.response_id].append(span)
        if span.may_be_unlinked:
            by_numbers[span.input_tokens, span.output_tokens].append(span)
    given: set[tuple[UUID, UUID]] = set()
    # One library's spans are one call by their response id alone; pairs of them are most pairs of a long trace.
    groups = [(group, True) for group in by_id.values()] + [(group, False) for group in by_numbers.values()]
    for group, has_id in groups:
        for number, one in enumerate(group):
            for other in group[number + 1 :]:
                if (has_id or other.scope != one.scope) and (one.id, other.id) not in given:
                    given.add((one.id, other.id))
                    yield one, other
    for group in by_trace.values():
        open_spans: list[Evidence] = []
        for span in group:  # in order of their starts
            open_spans = [other for other in open_spans if other.end_us + SKEW_US >= span.start_us]
            for other in open_spans:
                if other.scope != span.scope and (other.id, span.id) not in given:
                    yield other, span
            open_spans.append(span)


def _order(span: Evidence) -> tuple[int, int, bytes]:
    return span.start_us, -span.end_us, span.id.bytes


def _rank(span: Evidence) -> tuple[bool, bool, bool, bool, int, bool, int, bool, int, int, bytes]:
    """Return what orders the spans of one call by how good evidence they are, the best first."""
    return (
        not span.tokens,
        not DOUBTFUL.isdisjoint(span.flags),
        not ROLES.isdisjoint(span.flags),
        span.is_framework,
        _EMITTER_RANKS.get(span.emitter, _OTHER_EMITTERS),
        span.model == "unknown",
        -span.parts,
        span.response_id is None,
        *_order(span),
    )
