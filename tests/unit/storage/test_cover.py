"""Periods are covered by buckets exactly, whichever way is shorter."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ai_usage_exporter.storage.cover import Piece, at_or_after, at_or_before, cover_by_difference, starts_of
from ai_usage_exporter.storage.rollups import DAY_S, THIRTY_DAYS_S

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 7, 1), timezones=st.just(UTC))


def days_of(pieces: list[Piece]) -> Counter[datetime]:
    return Counter(day for piece in pieces for day in starts_of(Piece(DAY_S, piece.start, piece.end)))


@given(MOMENTS, st.timedeltas(timedelta(), timedelta(days=100)))
def test_what_is_added_less_what_is_taken_away_is_every_whole_day_once(start: datetime, length: timedelta) -> None:
    end = start + length
    added, taken = cover_by_difference(start, end, THIRTY_DAYS_S, DAY_S)
    whole = Piece(DAY_S, at_or_after(start, DAY_S), at_or_before(end, DAY_S))

    assert days_of(added) - days_of(taken) == Counter(starts_of(whole))
    assert not days_of(taken) - days_of(added)
    assert max(Counter(days_of(added)).values(), default=1) == 1


@given(MOMENTS, st.timedeltas(timedelta(), timedelta(days=100)))
def test_an_end_is_made_of_half_a_long_bucket_at_most(start: datetime, length: timedelta) -> None:
    added, taken = cover_by_difference(start, start + length, THIRTY_DAYS_S, DAY_S)

    assert sum(len(starts_of(piece)) for piece in added + taken if piece.grain_s == DAY_S) <= 2 * 15
