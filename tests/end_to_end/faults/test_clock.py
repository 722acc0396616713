"""The system clock set forward and back by an hour while the receiver works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.faults.sender import Load

if TYPE_CHECKING:
    from tests.end_to_end.faults.conftest import Account, Receivers

HOUR_S = 3_600


def libfaketime() -> str:
    """Return the path of the library that lies about the time."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1")]
    assert found, "libfaketime is not installed: apt-get install libfaketime"
    return str(found[0])


@pytest.mark.timeout(300)
async def test_clock_that_jumps_by_an_hour_costs_nothing(
    receivers: Receivers, account: Account, database_url: str, folder: Path
) -> None:
    """C45: no request waits longer for it, none is refused, no time is negative, and it stops as fast as ever."""
    clock = folder / "clock"
    clock.write_text("+0")
    receiver = receivers.make(
        LD_PRELOAD=libfaketime(), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1"
    )
    await receiver.start()
    async with Load(receiver.grpc, senders=2) as load:
        for offset_s in (HOUR_S, -HOUR_S, 0):
            clock.write_text(f"{offset_s:+d}")
            await load.acknowledged_more()
        await load.finish()
    assert load.sent_again == 0
    metrics = await receiver.metrics()
    took_s = metrics['receiver_request_duration_seconds_sum{transport="grpc"}']
    assert 0 < took_s < sum(sum(sender.seconds) for sender in load.senders)
    # An hour ahead every span looks an hour old, an hour behind it looks new: the clock did jump.
    assert metrics["ai_usage_ingest_lag_seconds_sum"] > HOUR_S
    assert metrics['ai_usage_ingest_lag_seconds_bucket{le="0.5"}'] > 0
    await account.settle(database_url, load.acknowledged, receiver=receiver)
    await receiver.stop(within_s=12)
