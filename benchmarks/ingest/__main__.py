"""Measure ingest: ``make bench-ingest`` (ends with one JSON line).

Starts a server of its own (``ai-usage serve``) on a PostgreSQL of its own, both in a temporary directory and with the
settings users get. Then, in every round and on the same emptied tables: a bare COPY of the very rows, 512 a commit on
one connection, and the spans through the receiver as fast as it acknowledges them. Then again at half that rate, for
as long as asked, while single spans are sent and ``summary`` is asked until it has them. Figures are medians of the
rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import grpc
import httpx2
import psutil

from ai_usage_exporter.normalize import normalize
from ai_usage_exporter.price import price
from ai_usage_exporter.receiver.protobuf import decode
from ai_usage_exporter.storage import rollups
from ai_usage_exporter.storage.row import COLUMNS, to_row
from benchmarks.ingest.spans import encode_requests, encode_span

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
WATCHED = 100
"""Services of the spans that are looked for: few enough to add nothing to the sums, each with few calls to read."""
TABLES = "ai_usage_logs, ai_usage_rollups, ai_usage_rollup_keys, ai_usage_quarantine"


class Receiver:
    """Run ``ai-usage serve`` as users do, in its own process."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_USAGE_")}
        environment.pop("DATABASE_URL", None)
        environment |= {
            "AI_USAGE_DATA_DIR": str(folder / "data"),
            "AI_USAGE_OTLP_GRPC_LISTEN": "127.0.0.1:0",
            "AI_USAGE_OTLP_HTTP_LISTEN": "127.0.0.1:0",
            "AI_USAGE_API_LISTEN": "127.0.0.1:0",
            "AI_USAGE_READY_FILE": str(folder / "ready.json"),
            "AI_USAGE_LOG_LEVEL": "warning",
            "AI_USAGE_WORKERS": str(workers),
        }
        command = [str(Path(sys.executable).with_name("ai-usage")), "serve"]
        self.process = subprocess.Popen(command, env=environment)
        self.addresses = self._wait()
        pid_file = folder / "data" / "postgresql" / "postmaster.pid"
        self.postgres = psutil.Process(int(pid_file.read_text().split()[0]))
        server = psutil.Process(self.process.pid)
        postgres = {self.postgres, *self.postgres.children(recursive=True)}
        self.processes = [server, *(one for one in server.children(recursive=True) if one not in postgres)]

    def cpu_s(self) -> float:
        return cpu_s(self.processes)

    def postgres_cpu_s(self) -> float:
        return cpu_s([self.postgres, *self.postgres.children(recursive=True)])

    def rss_mib(self) -> float:
        return sum(process.memory_info().rss for process in self.processes) / 2**20

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def _wait(self) -> dict[str, str]:
        ready = self._folder / "ready.json"
        deadline = time.monotonic() + 60
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the receiver did not start; see above")
            time.sleep(0.05)
        return json.loads(ready.read_text())


def cpu_s(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds processes have used so far."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


async def bare_copy(connection: Any, batches: list[list[Any]]) -> float:
    """Return rows a second of COPY, one commit a batch; nothing but rows and indexes is kept, no sums."""
    await connection.execute(rollups.APPLIED.replace("SET LOCAL", "SET"))
    started = time.perf_counter()
    for rows in batches:
        await connection.copy_records_to_table("ai_usage_logs", records=rows, columns=COLUMNS)
    took_s = time.perf_counter() - started
    await connection.execute("RESET ai_usage.rollups")
    return sum(map(len, batches)) / took_s


async def send(
    address: str, requests: list[bytes], *, concurrency: int, requests_per_s: float | None = None
) -> tuple[float, list[float]]:
    """Send everything and return the seconds it took and how long each acknowledgement took.

    With a rate, requests start on a schedule and an acknowledgement is timed from when its request was due.
    """
    async with contextlib.AsyncExitStack() as stack:
        # A connection for each sender, as different apps have.
        local = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(address, options=local) for _ in range(concurrency)]
        for channel in channels:
            await stack.enter_async_context(channel)
            await channel.channel_ready()
        took: list[float] = []
        numbered = iter(enumerate(requests))
        started = time.perf_counter()

        async def sender(channel: grpc.aio.Channel) -> None:
            export = channel.unary_unary(EXPORT)
            for number, request in numbered:
                due = time.perf_counter()
                if requests_per_s is not None:
                    due = started + number / requests_per_s
                    if (wait := due - time.perf_counter()) > 0:
                        await asyncio.sleep(wait)
                while True:
                    try:
                        await export(request, timeout=30)
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                        await asyncio.sleep(0.2)
                took.append(time.perf_counter() - due)

        await asyncio.gather(*map(sender, channels))
        return time.perf_counter() - started, took


def percentile_ms(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)


class Round(NamedTuple):
    """Hold what one round measured; microseconds are CPU time a span."""

    copy_rows_per_s: float
    copy_postgres_us: float
    spans_per_s: float
    ratio: float
    receiver_us: float
    postgres_us: float
    client_us: float
    ack_p50_ms: float
    ack_p99_ms: float


async def run_round(connection: Any, receiver: Receiver, requests: list[bytes], concurrency: int) -> Round:
    """COPY the rows of ``requests``, then send them to the receiver; both into empty tables."""
    rows = [
        [to_row(price(record), {}) for span in decode(request).spans if (record := normalize(span))]
        for request in requests
    ]
    spans = sum(map(len, rows))
    await empty(connection)
    before = receiver.postgres_cpu_s()
    copy_rate = await bare_copy(connection, rows)
    copy_us = (receiver.postgres_cpu_s() - before) / spans * 1e6
    del rows
    await empty(connection)
    cpu_before = (receiver.cpu_s(), receiver.postgres_cpu_s(), time.process_time())
    took_s, acks = await send(receiver.addresses["otlp_grpc"], requests, concurrency=concurrency)
    cpu_after = (receiver.cpu_s(), receiver.postgres_cpu_s(), time.process_time())
    stored = await connection.fetchval("SELECT count(*) FROM ai_usage_logs")
    if stored != spans:
        raise SystemExit(f"{spans} spans were acknowledged, {stored} are stored")
    rate = spans / took_s
    used_us = [(end - start) / spans * 1e6 for start, end in zip(cpu_before, cpu_after, strict=True)]
    measured = Round(
        copy_rate, copy_us, rate, rate / copy_rate, *used_us, percentile_ms(acks, 0.5), percentile_ms(acks, 0.99)
    )
    print(
        f"bare COPY {copy_rate:8,.0f} rows/s   receiver {rate:8,.0f} spans/s = {measured.ratio:.2f}   CPU a span: "
        f"receiver {measured.receiver_us:.1f} µs, PostgreSQL {measured.postgres_us:.1f} µs (COPY {copy_us:.1f} µs), "
        f"client {measured.client_us:.1f} µs   acknowledged in p50 {measured.ack_p50_ms} ms, p99 "
        f"{measured.ack_p99_ms} ms",
        flush=True,
    )
    return measured


async def empty(connection: Any) -> None:
    """Start from empty tables, with nothing left to write."""
    await connection.execute(f"TRUNCATE {TABLES}")
    await connection.execute("CHECKPOINT")


async def run_half(
    receiver: Receiver, options: argparse.Namespace, requests_per_s: float
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Send at a steady rate; returns how long acknowledgements took, until spans were seen, and (minute, MiB)."""
    acks: list[float] = []
    memory: list[tuple[float, float]] = []
    started = time.perf_counter()
    done = asyncio.Event()

    async def load() -> None:
        # Encoded as they are needed: ten minutes of requests do not fit into memory.
        sent = 0
        while not sent or time.perf_counter() - started < options.minutes * 60:
            bodies = await asyncio.to_thread(
                encode_requests, options.requests, options.spans, end_ns=time.time_ns(), seed=2 + sent
            )
            _, took = await send(
                receiver.addresses["otlp_grpc"],
                bodies,
                concurrency=options.concurrency * 2,
                requests_per_s=requests_per_s,
            )
            acks.extend(took)
            sent += options.requests
            print(
                f"  {(time.perf_counter() - started) / 60:5.1f} min: acknowledged p50 {percentile_ms(took, 0.5)} ms, "
                f"p99 {percentile_ms(took, 0.99)} ms, {receiver.rss_mib():.0f} MiB",
                flush=True,
            )
        done.set()

    async def watch() -> None:
        while not done.is_set():
            memory.append(((time.perf_counter() - started) / 60, receiver.rss_mib()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), 1)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load())
        tasks.create_task(watch())
        seen = tasks.create_task(watch_summary(receiver.addresses, done))
    return acks, seen.result(), memory


async def watch_summary(addresses: dict[str, str], done: asyncio.Event) -> list[float]:
    """Send single spans and return how long it took each, from being sent, to be counted by ``summary``."""
    took: list[float] = []
    url = f"http://{addresses['api']}/api/admin/ai-usage/summary"
    headers = {"authorization": f"Bearer {addresses['admin_token']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as client,
        grpc.aio.insecure_channel(addresses["otlp_grpc"]) as channel,
    ):
        export = channel.unary_unary(EXPORT)
        while not done.is_set():
            service, before = f"seen-{len(took) % WATCHED}", len(took) // WATCHED
            started = time.perf_counter()
            sending = asyncio.ensure_future(export(encode_span(service, time.time_ns()), timeout=30))
            while (await client.get(url, params={"days": 1, "service": service})).json()["total_requests"] <= before:
                await asyncio.sleep(0.01)
            took.append(time.perf_counter() - started)
            await sending
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), 0.2)
    return took


def slope(points: list[tuple[float, float]]) -> float:
    """Return how much the second value grows with the first: least squares over the last three quarters."""
    settled = points[len(points) // 4 :]
    if len(settled) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*settled, strict=True)).slope


async def measure(options: argparse.Namespace, receiver: Receiver) -> dict[str, Any]:
    connection = await asyncpg.connect(receiver.addresses["database_url"])
    rounds = [
        await run_round(
            connection,
            receiver,
            encode_requests(options.requests, options.spans, end_ns=time.time_ns(), seed=number),
            options.concurrency,
        )
        for number in range(options.rounds)
    ]
    middle = Round(*(statistics.median(values) for values in zip(*rounds, strict=True)))
    acks, seen, memory = await run_half(receiver, options, middle.spans_per_s / options.spans / 2)
    await connection.close()
    p50, p99 = percentile_ms(acks, 0.5), percentile_ms(acks, 0.99)
    growth = slope(memory)
    print(f"at half that rate: acknowledged in p50 {p50} ms, p99 {p99} ms")
    print(f"  a span is in summary after p50 {percentile_ms(seen, 0.5)} ms, p99 {percentile_ms(seen, 0.99)} ms")
    print(f"  memory {memory[0][1]:.0f} MiB at first, {memory[-1][1]:.0f} MiB after {memory[-1][0]:.1f} min,")
    print(f"  {growth:+.2f} MiB a minute over the last three quarters of it")
    return {
        "spans_per_s": round(middle.spans_per_s),
        "copy_rows_per_s": round(middle.copy_rows_per_s),
        "ratio_to_copy": round(middle.ratio, 3),
        "ack_p50_ms": p50,
        "ack_p99_ms": p99,
        "ack_p99_ms_full_speed": middle.ack_p99_ms,
        "visible_p50_ms": percentile_ms(seen, 0.5),
        "visible_p99_ms": percentile_ms(seen, 0.99),
        "receiver_us_per_span": round(middle.receiver_us, 1),
        "postgres_us_per_span": round(middle.postgres_us, 1),
        "copy_postgres_us_per_row": round(middle.copy_postgres_us, 1),
        "client_us_per_span": round(middle.client_us, 1),
        "rss_mib": round(max(mib for _, mib in memory)),
        "rss_growth_mib_per_min": round(growth, 2),
        "half_rate_minutes": round(memory[-1][0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast the receiver commits spans.")
    parser.add_argument("--requests", type=int, default=400, help="OTLP requests (default 400)")
    parser.add_argument("--spans", type=int, default=512, help="spans a request (default 512)")
    parser.add_argument("--rounds", type=int, default=5, help="COPY and receiver in turn (default 5)")
    parser.add_argument("--minutes", type=float, default=0.5, help="at half the rate (default 0.5)")
    parser.add_argument("--concurrency", type=int, default=32, help="requests in flight (default 32)")
    parser.add_argument("--workers", type=int, default=1, help="AI_USAGE_WORKERS of the server (default 1)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ai-usage-bench-"))
    try:
        receiver = Receiver(folder, options.workers)
        try:
            result = asyncio.run(measure(options, receiver))
        finally:
            receiver.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
