"""Measure questions: ``python -m benchmarks.query`` (ends with one JSON line).

Makes two databases once, with 1 and 10 million calls over 90 days (kept in ``--data``, about 8 GB), asks every
endpoint about 30 days through the application itself, compares the answers with plain GROUP BY on the rows to the last
digit, and times both.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
import uvloop

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.period import last_days
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.storage.embedded import start_embedded
from ai_usage_exporter.storage.reader import UsageReader
from ai_usage_exporter.supervisor import tune_collector
from benchmarks.query import check, plain
from benchmarks.query.data import END, prepare

PREFIX = "/api/admin/ai-usage"
TOKEN = "benchmark-token-of-no-secret"
# What the API makes of days=30, asked a little later: from 14:30, so that half an hour is finer than the hours of
# service × model. At a random moment it is 22 minutes.
START = last_days(30, now=END + timedelta(minutes=34)).start
# Asked "now", a period is read to the end of the UTC day: see api/period.py.
UNTIL = (END + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
PERIOD = {"from": START.isoformat(), "to": UNTIL.isoformat()}
NEW_YORK = {"from": "2026-10-26", "to": "2026-11-25", "tz": "America/New_York"}
TARGET_MS = 20.0
TARGET_GROWTH = 1.5
TARGETED = ("summary", "timeseries", "breakdown")

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "summary": ("/summary", PERIOD),
    "summary_without_users": ("/summary", PERIOD | {"top_users": "0"}),
    "timeseries": ("/timeseries", PERIOD | {"interval": "day", "group_by": "model"}),
    "breakdown": ("/breakdown", PERIOD | {"group_by": ["service", "model"]}),
    "summary_inside_a_quarter": ("/summary", PERIOD | {"from": (END - timedelta(days=30)).isoformat()}),
    "summary_new_york": ("/summary", NEW_YORK),
    "timeseries_new_york": ("/timeseries", NEW_YORK | {"interval": "day", "group_by": "service"}),
    "timeseries_kathmandu": ("/timeseries", PERIOD | {"interval": "day", "group_by": "model", "tz": "Asia/Kathmandu"}),
    "timeseries_users": ("/timeseries", PERIOD | {"interval": "day", "group_by": "user"}),
    "breakdown_one": ("/breakdown", PERIOD | {"group_by": "service"}),
    "breakdown_users": ("/breakdown", PERIOD | {"group_by": "user"}),
    "summary_of_a_service": ("/summary", PERIOD | {"service": "service-7"}),
    "logs": ("/logs", PERIOD),
    "logs_of_a_user": ("/logs", PERIOD | {"user": "user-4321"}),
    "user": ("/users/user-4321", PERIOD),
    "meta": ("/meta", {}),
}


class Application:
    """Ask the application in this process, without a socket: what is timed is the answer, not the network."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._app = create_app(UsageReader(pool), AdminToken(TOKEN), Sessions(pool))

    async def get(self, path: str, parameters: dict[str, Any]) -> bytes:
        """Return the body of an answer."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": PREFIX + path,
            "raw_path": (PREFIX + path).encode(),
            "root_path": "",
            "query_string": urlencode(parameters, doseq=True).encode(),
            "headers": [(b"authorization", f"Bearer {TOKEN}".encode()), (b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        status, body = 0, bytearray()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        if status != 200:
            raise SystemExit(f"{path} answered {status}: {body.decode()}")
        return bytes(body)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def timed(run: Any) -> tuple[float, Any]:
    """Return milliseconds and the result."""
    started = time.perf_counter()
    result = await run
    return (time.perf_counter() - started) * 1000, result


class Cpu:
    """Tell the CPU time of one backend of PostgreSQL and of this process together, which other work hardly changes."""

    def __init__(self, backend: int) -> None:
        self._backend = Path(f"/proc/{backend}/schedstat")

    def ms(self) -> float:
        """Return milliseconds so far; PostgreSQL's part where the system tells it (Linux)."""
        of_backend = int(self._backend.read_text().split()[0]) / 1e6 if self._backend.exists() else 0.0
        return of_backend + time.process_time() * 1000


async def measure(
    url: str, rounds: int
) -> tuple[dict[str, list[float]], dict[str, float], bool, dict[str, float], dict[str, float]]:
    """Return milliseconds by question, those of the plain ways, whether all was equal, and CPU milliseconds of both."""
    # One connection: a question uses no more, and its backend can be watched.
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    try:
        application = Application(pool)
        cpu = Cpu(await pool.fetchval("SELECT pg_backend_pid()"))
        times: dict[str, list[float]] = {name: [] for name in QUESTIONS}
        cpu_ms = dict.fromkeys(QUESTIONS, 0.0)
        plain_cpu_ms: dict[str, float] = {}
        for number in range(rounds + 6):
            for name, (path, parameters) in QUESTIONS.items():
                used = cpu.ms()
                took, _ = await timed(application.get(path, parameters))
                if number >= 6:  # plans are cached from the sixth time on
                    times[name].append(took)
                    cpu_ms[name] += (cpu.ms() - used) / rounds
        plain_ms, equal = {}, True
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("SET work_mem = '256MB'; SET max_parallel_workers_per_gather = 0")
            plain_cpu = Cpu(await connection.fetchval("SELECT pg_backend_pid()"))
            for name in ("summary", "timeseries", "breakdown"):
                path, parameters = QUESTIONS[name]
                answer = json.loads(
                    await application.get(
                        path,
                        parameters
                        | ({"limit": 1000} if name == "breakdown" else {"limit": 50} if name == "timeseries" else {}),
                    )
                )
                used = plain_cpu.ms()
                match name:
                    case "summary":
                        took, expected = await timed(plain.summary(connection, START, UNTIL))
                        same = check.summary(answer, expected)
                    case "timeseries":
                        took, expected = await timed(plain.timeseries(connection, START, UNTIL, "model", "UTC"))
                        same = check.timeseries(answer, expected)
                    case _:
                        took, expected = await timed(plain.breakdown(connection, START, UNTIL, "service_name", "model"))
                        same = check.breakdown(answer, expected)
                plain_ms[name] = took
                plain_cpu_ms[name] = plain_cpu.ms() - used
                equal = equal and same
            for name, column, zone in (
                ("timeseries_new_york", "service_name", "America/New_York"),
                ("timeseries_kathmandu", "model", "Asia/Kathmandu"),
            ):
                path, parameters = QUESTIONS[name]
                answer = json.loads(await application.get(path, parameters | {"limit": 50}))
                start, end = check.moment(answer["from"]), check.moment(answer["to"])
                took, expected = await timed(plain.timeseries(connection, start, end, column, zone))
                plain_ms[name] = took
                equal = equal and check.timeseries(answer, expected)
            took, expected = await timed(plain.breakdown(connection, START, UNTIL, "user_ref"))
            plain_ms["breakdown_users"] = took
            answer = json.loads(await application.get("/breakdown", PERIOD | {"group_by": "user", "limit": 1000}))
            equal = equal and check.breakdown(answer, expected)
            took, added = await timed(plain.fetch_and_add(connection, START, UNTIL))
            plain_ms["fetch_and_add"] = took
            answer = json.loads(await application.get("/breakdown", PERIOD | {"group_by": "service"}))
            equal = equal and check.breakdown(answer, {(name,): sums for name, sums in added.items()})
        finally:
            await connection.close()
        return times, plain_ms, equal, cpu_ms, plain_cpu_ms
    finally:
        await pool.close()


async def run(folder: Path, sizes: list[int], rounds: int) -> int:
    """Make what is missing, measure, print."""
    folder.mkdir(parents=True, exist_ok=True)
    server = await start_embedded(folder, settings={"shared_buffers": "1GB", "max_wal_size": "4GB"})
    try:
        results = {}
        for calls in sizes:
            url = await prepare(server.url, calls, lambda message: print(message, file=sys.stderr, flush=True))
            results[calls] = await measure(url, rounds)
    finally:
        await server.stop()
    first, last = sizes[0], sizes[-1]
    print(f"{'30 days of':22}" + "".join(f"{calls:>16,} calls        GROUP BY" for calls in sizes) + "   growth")
    growth = {}
    for name in QUESTIONS:
        line = f"{name:22}"
        for calls in sizes:
            times, plain_ms, *_ = results[calls]
            by_rows = f"{plain_ms[name]:9.0f} ms" if name in plain_ms else ""
            line += f"{statistics.median(times[name]):8.1f} / {percentile(times[name], 0.95):6.1f} ms {by_rows:>16}"
        growth[name] = statistics.median(results[last][0][name]) / statistics.median(results[first][0][name])
        print(f"{line}   × {growth[name]:.2f}")
    print(
        "p50 / p95; fetching the rows and adding them in Python: "
        + ", ".join(f"{results[calls][1]['fetch_and_add']:,.0f} ms ({calls:,} calls)" for calls in sizes)
    )
    p95 = {name: round(percentile(results[last][0][name], 0.95), 2) for name in QUESTIONS}
    equal = all(result[2] for result in results.values())
    print(
        json.dumps(
            {
                "p95_ms": p95,
                "p50_ms": {name: round(statistics.median(results[last][0][name]), 2) for name in QUESTIONS},
                "cpu_ms": {str(calls): _rounded(results[calls][3]) for calls in sizes},
                "group_by_cpu_ms": {str(calls): _rounded(results[calls][4]) for calls in sizes},
                "growth_1m_to_10m": {name: round(value, 2) for name, value in growth.items()},
                "equal": equal,
            }
        )
    )
    good = all(p95[name] <= TARGET_MS and growth[name] <= TARGET_GROWTH for name in TARGETED)
    return 0 if equal and good else 1


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query", description=__doc__)
    default = Path(os.environ.get("BENCH_DATA_DIR") or "~/.cache/ai-usage/query").expanduser()
    parser.add_argument("--data", type=Path, default=default, help="folder of the databases (default: %(default)s)")
    parser.add_argument("--calls", type=int, nargs="+", default=[1_000_000, 10_000_000], help="sizes to compare")
    parser.add_argument("--rounds", type=int, default=60, help="times each question is asked")
    options = parser.parse_args()
    tune_collector()
    sys.exit(uvloop.run(run(options.data, options.calls, options.rounds)))


if __name__ == "__main__":
    main()
