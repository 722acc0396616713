"""The time a question is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ai_usage_exporter.api.period import last_days

NOW = datetime(2026, 11, 24, 14, 3, 10, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "start"),
    [
        (NOW, datetime(2026, 11, 23, 14, 0, tzinfo=UTC)),
        (NOW.replace(minute=59), datetime(2026, 11, 23, 14, 45, tzinfo=UTC)),
        (datetime(2026, 11, 24, 14, 15, tzinfo=UTC), datetime(2026, 11, 23, 14, 15, tzinfo=UTC)),
    ],
)
def test_the_last_days_begin_at_a_quarter_of_an_hour_and_end_now(now: datetime, start: datetime) -> None:
    period = last_days(1, now=now)

    assert (period.start, period.end) == (start, now)
    assert period.days == 1
    assert period.read_until == datetime(2026, 11, 25, tzinfo=UTC)
