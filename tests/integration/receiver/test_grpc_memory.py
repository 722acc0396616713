"""Requests leave nothing behind in memory."""

from __future__ import annotations

import time

import grpc
import psutil
from benchmarks.ingest.spans import encode_requests

from ai_usage_exporter.config import Address
from ai_usage_exporter.receiver.grpc import SERVICE_NAME, start_grpc
from ai_usage_exporter.receiver.limits import Admission, Limits
from ai_usage_exporter.receiver.service import ExportService
from ai_usage_exporter.storage.batch import WriteOutcome


async def test_memory_stays_flat_over_many_requests() -> None:
    async def submit(*_: object, **__: object) -> WriteOutcome:
        return WriteOutcome()

    limits = Limits()
    service = ExportService(submit, normalize=lambda _: None, price=lambda _: None)  # type: ignore[arg-type, return-value]
    receiver = await start_grpc(service, Admission(limits), Address("127.0.0.1", 0), limits=limits)
    (body,) = encode_requests(1, 512, end_ns=time.time_ns())
    process = psutil.Process()
    async with grpc.aio.insecure_channel(str(receiver.address)) as channel:
        export = channel.unary_unary(f"/{SERVICE_NAME}/Export")
        for _ in range(50):
            await export(body)
        before = process.memory_info().rss
        for _ in range(150):
            await export(body)
        grown = process.memory_info().rss - before
    await receiver.stop(1)
    assert grown < 50 * len(body)  # kept, they would be 150 times as much
