"""Requests that come together are read in turn, and what else the server does is not kept waiting for them."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from ai_usage_exporter.price import Pricing
from ai_usage_exporter.receiver.protobuf import DecodedRequest
from ai_usage_exporter.receiver.service import SPANS_AT_ONCE, ExportService
from tests.factories import make_span

if TYPE_CHECKING:
    from ai_usage_exporter.record import Span
    from ai_usage_exporter.storage.batch import WriteOutcome

SPANS = 3 * SPANS_AT_ONCE


async def test_requests_are_read_one_after_the_other_and_others_have_their_turn_in_between() -> None:
    seen: list[str] = []

    async def submit(*_: object, **__: object) -> WriteOutcome:
        raise AssertionError("there is no usage to store")

    def normalize(span: Span) -> None:
        seen.append(span.name)

    def decode(name: str) -> DecodedRequest:
        seen.append(name)
        return DecodedRequest(b"", [make_span(name=name) for _ in range(SPANS)])

    async def work() -> None:
        while len(seen) - seen.count("other") < 2 * (SPANS + 1):
            seen.append("other")
            await asyncio.sleep(0)

    service = ExportService(submit, normalize=normalize, price=Pricing().price)
    await asyncio.gather(
        *(service.export(partial(decode, name), transport="grpc") for name in ("first", "second")), work()
    )
    assert [name for name in seen if name != "other"] == ["first"] * (SPANS + 1) + ["second"] * (SPANS + 1)
    assert max(len(list(run)) for name, run in groupby(seen) if name != "other") <= SPANS_AT_ONCE
