"""Cover a period with buckets: whole days, then hours, then quarters, and rows where it begins or ends inside one."""

from __future__ import annotations

from datetime import UTC, datetime
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


def at_or_before(moment: datetime, grain_s: int) -> datetime:
    """Return the start of the bucket a moment is in."""
    second = int(moment.timestamp() // 1)
    return datetime.fromtimestamp(second - second % grain_s, UTC)


def at_or_after(moment: datetime, grain_s: int) -> datetime:
    """Return the moment itself where it starts a bucket, else the end of the bucket it is in."""
    before = at_or_before(moment, grain_s)
    return before if before == moment else datetime.fromtimestamp(before.timestamp() + grain_s, UTC)
