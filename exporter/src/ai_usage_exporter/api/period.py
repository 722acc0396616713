"""The time a request asks about, in the caller's time zone: the last N days or from … to, and its steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ai_usage_exporter.api.problem import invalid_parameter
from ai_usage_exporter.storage.cover import at_or_before
from ai_usage_exporter.storage.rollups import QUARTER_S

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DAYS: Final = 3660
MAX_BUCKETS: Final = 1500
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

_DAY: Final = timedelta(days=1)


class Interval(StrEnum):
    """Name the length of a step; days, weeks (from Monday) and months are those of the time zone."""

    AUTO = "auto"
    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """Hold a half-open range of time; ``read_until`` is where reading stops when ``end`` is simply now.

    A period that ends now takes the whole of the current UTC day: there is nothing later yet, and a whole day is
    read faster than a broken one.
    """

    start: datetime
    end: datetime
    zone: ZoneInfo
    read_until: datetime

    @property
    def days(self) -> int:
        """Return its length in whole days, at least 1."""
        return max(1, round((self.end - self.start) / _DAY))


def last_days(days: int, zone: ZoneInfo = ZoneInfo("UTC"), *, now: datetime | None = None) -> Period:  # noqa: B008 - immutable
    """Return the last ``days`` times 24 hours, up to now, from the beginning of a quarter of an hour.

    Sums are kept by quarters; what begins inside one has to be read from the calls.
    """
    now = now or datetime.now(UTC)
    start = at_or_before(now - timedelta(days=days), QUARTER_S)
    return Period(start, now, zone, _end_of_utc_day(now))


def parse_period(
    start: str | None, end: str | None, days: int | None, time_zone: str, *, now: datetime | None = None
) -> Period:
    """Read the parameters ``from``, ``to``, ``days`` and ``tz``. Raises ``ProblemError`` naming the wrong one."""
    now = now or datetime.now(UTC)
    zone = parse_zone(time_zone)
    if start is None:
        if end is not None:
            raise invalid_parameter("to", "needs from beside it: or leave both out and give days")
        return last_days(30 if days is None else days, zone, now=now)
    if days is not None:
        raise invalid_parameter("days", "cannot stand beside from: give one of the two")
    first = parse_moment("from", start, zone)
    if end is None:
        last = now
        if first >= last:
            raise invalid_parameter("from", f"{start!r} lies in the future: give a to beside it")
    else:
        last = parse_moment("to", end, zone)
    if first >= last:
        raise invalid_parameter("to", f"{end!r} is not after from ({start!r}): to is exclusive")
    if last - first > timedelta(days=MAX_DAYS):
        raise invalid_parameter("from", f"the period is longer than {MAX_DAYS} days")
    return Period(first, last, zone, _end_of_utc_day(now) if end is None else last)


def parse_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name. Raises ``ProblemError``."""
    try:
        # Looked up in the list first: a zone's name is a path, and this one comes from outside.
        if name in _zone_names():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # pragma: no cover - the list and the files disagree
        pass
    raise invalid_parameter("tz", f"{name[:80]!r} is no IANA time zone: write e.g. Europe/Berlin or UTC")


@cache
def _zone_names() -> set[str]:
    return available_timezones()  # reads a tree of files every time


def parse_moment(field: str, text: str, zone: ZoneInfo) -> datetime:
    """Read ISO 8601; a date is its midnight, and what has no offset is in ``zone``. Raises ``ProblemError``."""
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            moment = datetime(day.year, day.month, day.day, tzinfo=zone)
        else:
            # A plus sign in a query string arrives as a space.
            moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid_parameter(
            field, f"{text[:80]!r} is no ISO 8601 time: write 2026-11-24 or 2026-11-24T14:03:10Z"
        ) from None
    if not EARLIEST <= moment <= LATEST:
        raise invalid_parameter(field, f"{text[:80]!r} is not between {EARLIEST.year} and {LATEST.year}")
    return moment


def choose_interval(period: Period) -> Interval:
    """Return an interval that gives a readable number of steps."""
    length = period.end - period.start
    for limit, interval in (
        (timedelta(hours=6), Interval.QUARTER),
        (timedelta(days=3), Interval.HOUR),
        (timedelta(days=92), Interval.DAY),
        (timedelta(days=550), Interval.WEEK),
    ):
        if length <= limit:
            return interval
    return Interval.MONTH


def edges_of(period: Period, interval: Interval) -> list[datetime]:
    """Return where the steps begin, and where the last one ends; the first and last contain the period's ends.

    In UTC; a local day has 23, 24, 24.5 or 25 hours as the zone has it. Raises ``ProblemError`` for too many.
    """
    if interval is Interval.AUTO:
        interval = choose_interval(period)
    steps = _FIXED_S.get(interval)
    return _fixed(period, steps) if steps is not None else _calendar(period, _NEXT[interval], interval)


def _fixed(period: Period, step_s: int) -> list[datetime]:
    # Aligned to local wall-clock steps at the start: an hour of Kathmandu starts at :15 UTC.
    offset = period.start.astimezone(period.zone).utcoffset() or timedelta()
    shift = int(offset.total_seconds()) % step_s
    first = int(period.start.timestamp() // 1) + shift
    first -= first % step_s + shift
    end = period.end.timestamp()
    count = -int(-(end - first) // step_s)
    if count > MAX_BUCKETS:
        raise _too_many(count)
    return [datetime.fromtimestamp(first + step * step_s, UTC) for step in range(count + 1)]


def _calendar(period: Period, following: Callable[[date], date], interval: Interval) -> list[datetime]:
    day = period.start.astimezone(period.zone).date()
    if interval is Interval.WEEK:
        day -= timedelta(days=day.weekday())
    elif interval is Interval.MONTH:
        day = day.replace(day=1)
    edges = [_midnight(day, period.zone)]
    while edges[-1] < period.end:
        day = following(day)
        edges.append(_midnight(day, period.zone))
        if len(edges) - 1 > MAX_BUCKETS:
            raise _too_many(len(edges) - 1)
    return edges


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a local day; where midnight is skipped, that is the first moment after it."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


_FIXED_S: Final = {Interval.QUARTER: 900, Interval.HOUR: 3600}
_NEXT: Final[dict[Interval, Callable[[date], date]]] = {
    Interval.DAY: lambda day: day + _DAY,
    Interval.WEEK: lambda day: day + timedelta(days=7),
    Interval.MONTH: _next_month,
}


def _too_many(count: int) -> Exception:
    return invalid_parameter(
        "interval", f"gives {count} or more steps, of {MAX_BUCKETS} possible: take a longer interval or shorter period"
    )


def _end_of_utc_day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
