"""Cover a period with buckets: whole days, then hours, then quarters, and rows where it begins or ends inside one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Piece(NamedTuple):
    """Hold a part of a period and how to read it: from buckets of ``grain_s`` seconds, from rows when that is 0.

    ``part`` numbers the step of a time series the piece belongs to.
    """

    grain_s: int
    start: datetime
    end: datetime
    part: int = 0


def cover(start: datetime, end: datetime, grains_s: Sequence[int], part: int = 0) -> list[Piece]:
    """Return the fewest pieces that make up ``[start, end)`` exactly; ``grains_s`` go from long to short.

    Buckets start at multiples of their length since 1970, so a day is a UTC day.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    return list(_pieces(start, end, grains_s, part)) if start < end else []


def _pieces(start: datetime, end: datetime, grains_s: Sequence[int], part: int) -> Iterator[Piece]:
    if not grains_s:
        yield Piece(0, start, end, part)
        return
    grain_s, finer_s = grains_s[0], grains_s[1:]
    first, last = at_or_after(start, grain_s), at_or_before(end, grain_s)
    if first >= last:
        yield from _pieces(start, end, finer_s, part)
        return
    if start < first:
        yield from _pieces(start, first, finer_s, part)
    yield Piece(grain_s, first, last, part)
    if last < end:
        yield from _pieces(last, end, finer_s, part)


def cover_by_difference(start: datetime, end: datetime, long_s: int, short_s: int) -> tuple[list[Piece], list[Piece]]:
    """Return pieces to add, and pieces to take away from them again: what there are of short buckets in a period.

    A long bucket of which the period holds the greater part is added whole, and the rest of it taken away.
    """
    added, taken = [], []
    first, last = at_or_after(start, short_s), at_or_before(end, short_s)
    while first < last:
        lower = at_or_before(first, long_s)
        upper = lower + timedelta(seconds=long_s)
        until = min(upper, last)
        if until - first > (upper - lower) / 2:
            added.append(Piece(long_s, lower, upper))
            taken += [Piece(short_s, *rest) for rest in ((lower, first), (until, upper)) if rest[0] < rest[1]]
        else:
            added.append(Piece(short_s, first, until))
        first = until
    return added, taken


def starts_of(piece: Piece) -> list[datetime]:
    """Return where the buckets of a piece start."""
    step = timedelta(seconds=piece.grain_s)
    return [piece.start + number * step for number in range((piece.end - piece.start) // step)]


def at_or_before(moment: datetime, grain_s: int) -> datetime:
    """Return the start of the bucket a moment is in."""
    second = int(moment.timestamp() // 1)
    return datetime.fromtimestamp(second - second % grain_s, UTC)


def at_or_after(moment: datetime, grain_s: int) -> datetime:
    """Return the moment itself where it starts a bucket, else the end of the bucket it is in."""
    before = at_or_before(moment, grain_s)
    return before if before == moment else datetime.fromtimestamp(before.timestamp() + grain_s, UTC)
