"""One call, one row, in the writer's transaction: what is stored of the same traces decides together with what comes.

Most spans are alone: one library, no role, nothing stored that could speak of the same call. A probe tells, and they go
the fast way. The others' traces are locked, loaded as a whole, decided by ``calls.decide`` and changed where the
decision differs from what is stored. ADR 0030 has the rule, ADR 0031 why this holds for concurrent receivers.
Long, because probing, locking, loading and changing are steps of one transaction, read from top to bottom.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.calls import decide
from ai_usage_exporter.evidence import ROLES, Evidence, evidence_of_record, evidence_of_stored, is_detached_scope
from ai_usage_exporter.matching import is_passed_on, is_retrieved, strength
from ai_usage_exporter.storage.arrays import array_of, array_of_moments, array_of_texts, joined
from ai_usage_exporter.storage.move import Known, Moves, move
from ai_usage_exporter.storage.overlap import Footprint
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from ai_usage_exporter.calls import Verdict
    from ai_usage_exporter.record import UsageRecord
    from ai_usage_exporter.storage.connection import DatabaseConnection
    from ai_usage_exporter.storage.rollups import RollupEntry

TRACE_LENGTH: Final = timedelta(days=1)
"""Spans of a trace that start further apart are not looked at together."""
CALL_LENGTH: Final = timedelta(hours=1)
"""Spans of two traces that start further apart are not one call."""
MATES: Final = 64
"""A response id that more spans than this have within that time is none: some servers answer with a constant."""
LOCK_CLASS: Final = 0x61697574
"""First half of the advisory locks on traces ("aiut")."""
LOCKS: Final = 256
"""Traces share this many locks, so that a batch of many cannot fill PostgreSQL's lock table."""
_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime(1, 1, 3, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 29, tzinfo=UTC)
BY_KEY: Final = "; ".join(
    (
        *(
            f"SET LOCAL enable_{name} = off"
            for name in ("seqscan", "hashjoin", "mergejoin", "sort", "incremental_sort")
        ),
        "SET LOCAL plan_cache_mode = force_custom_plan",
    )
)
"""Every statement here looks up keys. A plan made while a partition was new and empty must not read it all later: for
no rows any index will do, and the one by time is cheapest. So plans are made for the size a table has when asked."""
ROUNDS: Final = 8
"""How far spans are followed from trace to trace."""
MOST_TRACES: Final = 20_000
"""No more are looked for when as many are decided at once."""


class Settlement(NamedTuple):
    """Say what to do with the records of a batch, by position, and what was done to stored rows."""

    survey: Survey
    shadows: dict[int, Verdict]
    """Positions of records that restate a call."""
    repeated: list[int]
    """Positions of records whose id is stored, or came before in the batch."""
    entries: list[RollupEntry]
    """What moving stored rows changes in the sums."""
    traces: dict[bytes, int]
    """The traces decided as a whole, with how many spans each has when this batch is in."""


async def settle(connection: DatabaseConnection, records: Sequence[UsageRecord]) -> Settlement:
    """Decide which records are rows and move stored rows where that changes; inside the writer's transaction.

    There is at least one record; those not named in the outcome are rows. Raises ``SettlementRaceError`` when another
    transaction was in the way.
    """
    survey = Survey(records)
    contested = await _find_contested(connection, survey)
    if not contested:
        return Settlement(survey, {}, [], [], {})
    return await _decide(connection, contested, survey)


async def find_unsettled(connection: DatabaseConnection, settlement: Settlement) -> set[bytes]:
    """Return traces that a transaction which was under way at the same time wrote to; in a transaction after COMMIT."""
    survey, settled = settlement.survey, settlement.traces
    unsettled: set[bytes] = set()
    if settled:
        rows = await connection.fetch(load_statement("settle_count"), list(settled), *survey.trace_time)
        counted = {row["trace_id"]: row["spans"] for row in rows}
        unsettled = {trace_id for trace_id, spans in settled.items() if counted.get(trace_id, 0) != spans}
    return unsettled | await _find_contested(connection, survey, settled)


async def settle_again(connection: DatabaseConnection, traces: set[bytes], settlement: Settlement) -> list[RollupEntry]:
    """Decide stored spans of ``traces`` anew, in a transaction of their own, after ``find_unsettled``."""
    return (await _decide(connection, traces, settlement.survey, is_stored=True)).entries


class Survey:
    """Look at a batch once: which traces have one library and no roles, and what has which response id."""

    def __init__(self, records: Sequence[UsageRecord]) -> None:
        self.records = records
        self.scopes: dict[bytes, str] = {}
        self.contested: set[bytes] = set()
        self.by_response: dict[str, UsageRecord] = {}
        self.unlinked: list[UsageRecord] = []
        self._by_trace: dict[bytes, list[int]] | None = None
        first = last = records[0].created_at
        self._others: dict[str, list[UsageRecord]] = defaultdict(list)
        for record in records:
            trace_id, scope = record.trace_id, record.scope
            if self.scopes.setdefault(trace_id, scope) != scope:
                self.contested.add(trace_id)
            if record.usage_flags and not ROLES.isdisjoint(record.usage_flags):
                self.contested.add(trace_id)
            response_id = record.response_id
            if response_id and self.by_response.setdefault(response_id, record) is not record:
                self._others[response_id].append(record)
            usage = record.usage
            if (record.parent_span_id is None or is_detached_scope(scope)) and (usage[0] or usage[1]):
                self.unlinked.append(record)
            created_at = record.created_at
            if created_at < first:
                first = created_at
            elif created_at > last:
                last = created_at
        self.first: datetime = first
        self.last: datetime = last
        for response_id in self._others:
            self._compare(self.with_response(response_id))
        if any(is_detached_scope(record.scope) for record in self.unlinked):
            for group in by_numbers(map(evidence_of_record, self.unlinked)).values():
                self._compare_spans(group[: MATES + 1])

    def with_response(self, response_id: str) -> list[UsageRecord]:
        """Return the records with a response id."""
        first = self.by_response.get(response_id)
        if first is None:
            return []
        others = self._others.get(response_id)
        return [first] if others is None else [first, *others][: MATES + 1]

    @property
    def footprint(self) -> Footprint:
        """Return what ties these records to spans that other transactions write."""
        unlinked = self.unlinked
        return Footprint(
            self.scopes.keys(),
            self.by_response.keys(),
            {_tokens_of(record) for record in unlinked if record.parent_span_id is None},
            {_tokens_of(record) for record in unlinked if is_detached_scope(record.scope)},
        )

    @property
    def trace_time(self) -> tuple[datetime, datetime]:
        """Return the time in which spans of the same traces are looked for."""
        return _around(self.first, self.last, TRACE_LENGTH)

    @property
    def call_time(self) -> tuple[datetime, datetime]:
        """Return the time in which spans of the same calls are looked for."""
        return _around(self.first, self.last, CALL_LENGTH)

    @property
    def by_trace(self) -> dict[bytes, list[int]]:
        """Return the positions of each trace's records."""
        if self._by_trace is None:
            self._by_trace = defaultdict(list)
            for position, record in enumerate(self.records):
                self._by_trace[record.trace_id].append(position)
        return self._by_trace

    def _compare(self, records: list[UsageRecord]) -> None:
        self._compare_spans([evidence_of_record(record) for record in records])

    def _compare_spans(self, spans: list[Evidence]) -> None:
        for number, one in enumerate(spans):
            for other in spans[number + 1 :]:
                if one.id != other.id and can_be_one_call(one, other):
                    self.contested |= {one.trace_id, other.trace_id}


def can_be_one_call(one: Evidence, other: Evidence) -> bool:
    """Tell whether two spans may speak of one call."""
    if one.scope == other.scope:
        return is_retrieved(one, other) or is_passed_on(one, other)
    return bool(strength(one, other))


def by_numbers(spans: Iterable[Evidence]) -> dict[tuple[int, int], list[Evidence]]:
    """Return spans by their tokens."""
    found: dict[tuple[int, int], list[Evidence]] = defaultdict(list)
    for span in spans:
        found[span.input_tokens, span.output_tokens].append(span)
    return found


async def _find_contested(
    connection: DatabaseConnection, survey: Survey, settled: Mapping[bytes, int] | None = None
) -> set[bytes]:
    """Return the traces to decide as a whole; of those in ``settled`` only others they turn out to be tied to."""
    settled = settled or {}
    contested = survey.contested - settled.keys()
    alone = [trace_id for trace_id in survey.scopes if trace_id not in contested and trace_id not in settled]
    long = []
    for row in await connection.fetch(load_statement("settle_probe"), *_libraries(alone, survey), *survey.trace_time):
        if row["is_contested"]:
            contested.add(row["trace_id"])
        elif row["is_long"]:
            long.append(row["trace_id"])
    if long:
        rows = await connection.fetch(
            load_statement("settle_probe_long"), *_libraries(long, survey), *survey.trace_time
        )
        contested |= {row["trace_id"] for row in rows}
    if survey.by_response:
        spans = {id_: record.span_id for id_, record in survey.by_response.items()}
        for mate in await _load_mates(connection, spans, survey):
            if mate.trace_id in settled or mate.trace_id in contested:
                continue
            for record in survey.with_response(str(mate.response_id)):
                if record.id != mate.id and can_be_one_call(evidence_of_record(record), mate):
                    contested |= {record.trace_id, mate.trace_id}
    if survey.unlinked and (mates := await _load_unlinked(connection, survey.unlinked)):
        given = by_numbers(map(evidence_of_record, survey.unlinked))
        for mate in mates:
            if mate.trace_id in settled or mate.trace_id in contested:
                continue
            for span in given[mate.input_tokens, mate.output_tokens]:
                if span.id != mate.id and can_be_one_call(span, mate):
                    contested |= {span.trace_id, mate.trace_id}
    return contested


def _libraries(traces: Sequence[bytes], survey: Survey) -> tuple[bytes, str]:
    """Return traces and the library of each, as statements take them."""
    return joined(traces, _TRACE_ID_BYTES), array_of_texts([survey.scopes[trace_id] for trace_id in traces])


def _tokens_of(record: UsageRecord) -> tuple[int, int]:
    return record.usage[0] or 0, record.usage[1] or 0


async def _load_unlinked(connection: DatabaseConnection, given: Sequence[UsageRecord | Evidence]) -> list[Evidence]:
    """Return stored spans with the tokens of ``given`` that may be around or inside them, in other traces."""
    rows: list[Any] = []
    for name, chosen in (
        ("settle_inside", [span for span in given if is_detached_scope(span.scope)]),
        ("settle_around", [span for span in given if span.parent_span_id is None]),
    ):
        if not chosen:
            continue
        facts = [_place_of(span) for span in chosen]
        ids, inputs, outputs, starts, ends = zip(*facts, strict=True)
        rows += await connection.fetch(
            load_statement(name),
            joined(ids, _SPAN_ID_BYTES),
            array_of(inputs),
            array_of(outputs),
            array_of_moments(starts),
            MATES + 1,
            *([array_of_moments(ends)] if name == "settle_inside" else []),
        )
    return list({mate.id: mate for mate in map(evidence_of_stored, rows)}.values())


def _place_of(span: UsageRecord | Evidence) -> tuple[bytes, int, int, datetime, datetime]:
    """Return span id, input and output tokens, start and end."""
    if isinstance(span, Evidence):
        start, end = (_EPOCH + timedelta(microseconds=moment) for moment in (span.start_us, span.end_us))
        return span.span_id, span.input_tokens, span.output_tokens, start, end
    start = span.created_at
    usage = span.usage
    return span.span_id, usage[0] or 0, usage[1] or 0, start, start + timedelta(milliseconds=span.duration_ms or 0)


async def _load_mates(connection: DatabaseConnection, spans: Mapping[str, bytes], survey: Survey) -> list[Evidence]:
    """Return stored spans with the given response ids; ``spans`` maps each to a span to leave out."""
    rows = await connection.fetch(
        load_statement("settle_mates"),
        array_of_texts(spans),
        joined(spans.values(), _SPAN_ID_BYTES),
        *survey.call_time,
        MATES + 1,
    )
    if not rows:
        return []
    found: dict[str, list[Evidence]] = defaultdict(list)
    for row in rows:
        mate = evidence_of_stored(row)
        found[str(mate.response_id)].append(mate)
    return [mate for mates in found.values() if len(mates) <= MATES for mate in mates]


async def _decide(
    connection: DatabaseConnection, contested: set[bytes], survey: Survey, *, is_stored: bool = False
) -> Settlement:
    by_trace = {} if is_stored else survey.by_trace
    stored, traces = await _lock_and_load(connection, contested, survey)
    incoming: dict[Any, int] = {}
    spans: list[Evidence] = [known.evidence for known in stored.values()]
    repeated: list[int] = []
    for trace_id in traces:
        for position in by_trace.get(trace_id, ()):
            record = survey.records[position]
            if record.id in stored or record.id in incoming:
                repeated.append(position)
            else:
                incoming[record.id] = position
                spans.append(evidence_of_record(record))
    verdicts = decide(spans)
    shadows = {position: verdicts[id_] for id_, position in incoming.items() if id_ in verdicts}
    entries = await move(connection, Moves.between(stored, verdicts))
    counts = dict.fromkeys(traces, 0)
    for span in spans:
        counts[span.trace_id] += 1
    return Settlement(survey, shadows, repeated, entries, counts)


async def _lock_and_load(
    connection: DatabaseConnection, contested: set[bytes], survey: Survey
) -> tuple[dict[Any, Known], set[bytes]]:
    """Return what is stored of the traces and of those tied to them by response ids, locked against other settlements.

    Locks are taken in order. When loading finds more traces, their locks may be out of order; PostgreSQL ends a circle
    of waiting as a deadlock, and the writer tries again.
    """
    traces = set(contested)
    locked: set[int] = set()
    stored: dict[Any, Known] = {}
    asked: set[str] = set()
    asked_of: set[UUID] = set()
    for _ in range(ROUNDS):
        keys = {hash_of_trace(trace_id) for trace_id in traces} - locked
        if keys:
            await connection.execute(load_statement("settle_lock"), LOCK_CLASS, sorted(keys))
            locked |= keys
        rows = await connection.fetch(load_statement("settle_load"), list(traces), *survey.trace_time)
        stored = {row["id"]: Known.of(row) for row in rows}
        here = [known.evidence for known in stored.values()]
        here += [
            evidence_of_record(survey.records[position])
            for trace_id in traces
            for position in survey.by_trace.get(trace_id, ())
        ]
        found = await _follow(connection, here, asked, asked_of, survey) - traces
        if not found or len(traces) > MOST_TRACES:
            break
        traces |= found
    return stored, traces


async def _follow(
    connection: DatabaseConnection, spans: list[Evidence], asked: set[str], asked_of: set[UUID], survey: Survey
) -> set[bytes]:
    """Return the traces of stored or incoming spans that may be one call with one of ``spans``, in other traces."""
    spans = [span for span in spans if span.id not in asked_of]
    asked_of |= {span.id for span in spans}
    return await _follow_numbers(connection, spans, survey) | await _follow_ids(connection, spans, asked, survey)


async def _follow_numbers(connection: DatabaseConnection, spans: list[Evidence], survey: Survey) -> set[bytes]:
    unlinked = [span for span in spans if span.may_be_unlinked]
    if not unlinked:
        return set()
    mates = await _load_unlinked(connection, unlinked)
    mates += [evidence_of_record(record) for record in survey.unlinked]
    given = by_numbers(unlinked)
    return {
        mate.trace_id
        for mate in mates
        if any(
            span.id != mate.id and can_be_one_call(span, mate)
            for span in given.get((mate.input_tokens, mate.output_tokens), ())
        )
    }


async def _follow_ids(
    connection: DatabaseConnection, spans: Iterable[Evidence], asked: set[str], survey: Survey
) -> set[bytes]:
    by_response: dict[str, list[Evidence]] = defaultdict(list)
    for span in spans:
        if span.response_id is not None and span.response_id not in asked:
            by_response[span.response_id].append(span)
    if not by_response:
        return set()
    asked |= by_response.keys()
    mates = await _load_mates(connection, {id_: group[0].span_id for id_, group in by_response.items()}, survey)
    for id_ in by_response:
        mates += map(evidence_of_record, survey.with_response(id_))
    return {
        mate.trace_id
        for mate in mates
        if any(span.id != mate.id and can_be_one_call(span, mate) for span in by_response[str(mate.response_id)])
    }


def hash_of_trace(trace_id: bytes) -> int:
    """Return the number of a trace's lock."""
    return int.from_bytes(trace_id[-4:]) % LOCKS


def _around(first: datetime, last: datetime, length: timedelta) -> tuple[datetime, datetime]:
    return max(first, _EARLIEST) - length, min(last, _LATEST) + length
