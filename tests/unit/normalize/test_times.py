"""The start of a call is kept to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.normalize.reading import EARLIEST_NS, LATEST_NS
from tests.factories import make_span


@given(start_ns=st.integers(EARLIEST_NS, LATEST_NS - 1))
@example(start_ns=EARLIEST_NS)
@example(start_ns=LATEST_NS - 1)
def test_the_start_is_exact_to_the_microsecond(start_ns: int) -> None:
    record = normalize(make_span(start_ns=start_ns, end_ns=start_ns))
    assert record is not None
    assert record.created_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start_ns // 1000)
