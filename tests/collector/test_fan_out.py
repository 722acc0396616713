"""The tracing backend gets a sample, ai-usage gets every call; what goes wrong with the one never reaches the other."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ai_usage import semconv
from tests.collector.outage import count_outage
from tests.collector.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.collector.installation import Installation

pytestmark = [pytest.mark.timeout(600), pytest.mark.parametrize("installation", ["fan-out"], indirect=True)]

_CALLS, _FAILING, _UNSAMPLED = 600, 20, 20


def test_sampled_there_complete_here(
    installation: Installation, record_property: Callable[[str, object], None]
) -> None:
    app, receiver, sink = installation.app, installation.receiver, installation.sink
    for _ in range(_CALLS):
        app.call()
    failing = {app.call(fails=True) for _ in range(_FAILING)}
    unsampled = {app.call(**{semconv.UNSAMPLED: True}) for _ in range(_UNSAMPLED)}
    app.finish()
    wait_until(lambda: receiver.rows_by_call() == Counter(app.calls), "a row of every call")
    # A trace is decided about a second after it began.
    wait_until(lambda: decided_traces(installation) == len(app.calls), "a decision on every trace")
    wait_until(lambda: failing <= sink.calls(), "the traces of all failed calls")
    sampled = len(sink.calls()) - _FAILING
    scenario = f"none; tracing backend got {sampled + _FAILING}"
    record_property("outage", count_outage("fan-out", scenario, Counter(app.calls), receiver.rows_by_call()))
    # 10 % of 600: outside this range less than once in ten million runs.
    assert 20 <= sampled <= 110
    assert not unsampled & sink.calls()
    assert all(len(trace) == 2 for trace in sink.traces()), "a sampled trace is whole"


def decided_traces(installation: Installation) -> float:
    name = "otelcol_processor_tail_sampling_global_count_traces_sampled"
    return sum(map(float, re.findall(rf"^{name}\S* (\S+)$", installation.collectors[0].metrics(), re.MULTILINE)))


def test_a_tracing_backend_that_is_away_costs_no_call(
    installation: Installation, record_property: Callable[[str, object], None]
) -> None:
    app, receiver = installation.app, installation.receiver
    installation.sink.stop()
    app.start_load()
    app.wait_for_more_calls(600)
    app.finish()
    made = Counter(app.calls)
    wait_until(lambda: receiver.rows_by_call() == made, "a row of every call")
    record_property("outage", count_outage("fan-out", "tracing backend away", made, receiver.rows_by_call()))
    assert receiver.refused_requests() == 0
