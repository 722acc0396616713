"""A batch is looked at again unless all that was committed meanwhile is known to have nothing to do with it."""

from __future__ import annotations

import pytest

from ai_usage_exporter.storage.overlap import MOST_TRANSACTIONS, Footprint, Overlaps, Snapshot

NOTHING = Footprint(frozenset(), frozenset(), frozenset(), frozenset())


def _snapshot(next_xid: int, *running: int) -> Snapshot:
    return Snapshot(next_xid, frozenset(running))


def _writing(trace: bytes) -> Footprint:
    return NOTHING._replace(traces={trace})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("730:730:", _snapshot(730)), ("730:735:730", _snapshot(735, 730)), ("7:99:7,12", _snapshot(99, 7, 12))],
)
def test_a_snapshot_is_read_as_postgresql_writes_it(text: str, expected: Snapshot) -> None:
    assert Snapshot.parse(text) == expected


@pytest.mark.parametrize(
    ("one", "other", "touches"),
    [
        (NOTHING._replace(traces={b"a", b"b"}), NOTHING._replace(traces={b"b"}), True),
        (NOTHING._replace(traces={b"a"}), NOTHING._replace(traces={b"b"}), False),
        (NOTHING._replace(response_ids={"resp_1"}), NOTHING._replace(response_ids={"resp_1"}), True),
        (NOTHING._replace(response_ids={"resp_1"}), NOTHING._replace(response_ids={"resp_2"}), False),
        (NOTHING._replace(parentless={(3, 5)}), NOTHING._replace(framework={(3, 5)}), True),
        (NOTHING._replace(parentless={(3, 5)}), NOTHING._replace(framework={(5, 3)}), False),
        (NOTHING._replace(parentless={(3, 5)}), NOTHING._replace(parentless={(3, 5)}), False),
    ],
)
def test_calls_are_tied_by_trace_response_id_or_equal_tokens_under_a_framework(
    one: Footprint, other: Footprint, touches: bool
) -> None:
    assert one.touches(other) is touches
    assert other.touches(one) is touches


def test_a_batch_is_alone_when_nothing_else_was_committed() -> None:
    overlaps = Overlaps()
    visit = overlaps.enter(10, _snapshot(11, 10))
    visit.footprint = _writing(b"a")
    assert overlaps.is_alone(visit, _snapshot(11))


@pytest.mark.parametrize("rival_xid", [9, 11])
@pytest.mark.parametrize(("trace", "is_alone"), [(b"a", False), (b"b", True)])
def test_another_of_this_process_counts_only_with_the_same_calls(rival_xid: int, trace: bytes, is_alone: bool) -> None:
    running = {10, rival_xid}
    overlaps = Overlaps()
    visit = overlaps.enter(10, _snapshot(11, *(running - {11})))
    rival = overlaps.enter(rival_xid, _snapshot(12, *running))
    visit.footprint, rival.footprint = _writing(b"a"), _writing(trace)
    overlaps.leave(rival)  # it has answered its senders: what it wrote must still be known
    assert overlaps.is_alone(visit, _snapshot(max(running) + 1)) is is_alone


def test_one_that_is_still_running_looks_for_itself() -> None:
    overlaps = Overlaps()
    visit = overlaps.enter(10, _snapshot(11, 10))
    rival = overlaps.enter(11, _snapshot(12, 10, 11))
    visit.footprint = rival.footprint = _writing(b"a")
    assert overlaps.is_alone(visit, _snapshot(12, 11))
    overlaps.leave(visit)
    assert not overlaps.is_alone(rival, _snapshot(12))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(_snapshot(11, 10), _snapshot(12), id="began and committed meanwhile"),
        pytest.param(_snapshot(11, 9, 10), _snapshot(11), id="was running before"),
        pytest.param(_snapshot(11, 10), _snapshot(12 + MOST_TRANSACTIONS, *range(11, 200)), id="too many to tell"),
    ],
)
def test_a_stranger_may_have_written_anything(before: Snapshot, after: Snapshot) -> None:
    overlaps = Overlaps()
    visit = overlaps.enter(10, before)
    visit.footprint = _writing(b"a")
    assert not overlaps.is_alone(visit, after)


def test_a_batch_that_is_not_known_yet_is_a_stranger() -> None:
    overlaps = Overlaps()
    visit = overlaps.enter(10, _snapshot(11, 10))
    rival = overlaps.enter(11, _snapshot(12, 10, 11))
    visit.footprint = _writing(b"a")
    assert not overlaps.is_alone(visit, _snapshot(12))
    rival.footprint = _writing(b"b")
    assert overlaps.is_alone(visit, _snapshot(12))


def test_what_was_written_is_forgotten_when_nobody_can_have_missed_it() -> None:
    overlaps = Overlaps()
    first = overlaps.enter(10, _snapshot(11, 10))
    second = overlaps.enter(11, _snapshot(12, 10, 11))
    overlaps.leave(first)
    third = overlaps.enter(12, _snapshot(13, 11, 12))
    overlaps.leave(second)
    overlaps.leave(third)
    assert not overlaps._known
    assert not overlaps._under_way
