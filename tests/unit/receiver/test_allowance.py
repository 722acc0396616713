"""How many spans a sender may send, by a clock that the test moves."""

from __future__ import annotations

import pytest

from ai_usage_exporter.errors import RateLimitedError
from ai_usage_exporter.receiver.allowance import BURST_S, Allowance


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_ten_seconds_worth_may_come_at_once_and_then_the_rate() -> None:
    clock = Clock()
    allowance = Allowance("aiu_x", 100, clock=clock)
    for _ in range(int(BURST_S)):
        allowance.take(100)
    with pytest.raises(RateLimitedError, match="key aiu_x may send 100 spans a second and sent more"):
        allowance.take(1)
    clock.now_s += 1
    allowance.take(100)
    with pytest.raises(RateLimitedError):
        allowance.check()
    clock.now_s += 3_600
    allowance.take(1_000)
    with pytest.raises(RateLimitedError):
        allowance.check()


def test_a_request_larger_than_all_there_can_be_is_taken_and_waited_for() -> None:
    clock = Clock()
    allowance = Allowance("aiu_x", 10, clock=clock)
    allowance.take(8_192)
    with pytest.raises(RateLimitedError) as refused:
        allowance.check()
    assert refused.value.retry_after_s == 2, "stock exporters give up on longer hints"
    clock.now_s += 808
    with pytest.raises(RateLimitedError):
        allowance.check()
    clock.now_s += 10
    allowance.check()


def test_spans_that_were_not_stored_are_not_counted() -> None:
    allowance = Allowance("aiu_x", 1, clock=Clock())
    for _ in range(100):
        allowance.take(50)
        allowance.give_back(50)
    allowance.check()
