"""Downloads: the calls that are listed, in constant memory, harmless in a spreadsheet, over as soon as nobody reads."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pyarrow.parquet
import pytest

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.export import MAX_EXPORTS
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.config import Address
from ai_usage_exporter.listen import HttpListener
from ai_usage_exporter.storage.reader import UsageReader
from tests.factories import make_call
from tests.integration.api.conftest import ADMIN_TOKEN
from tests.integration.api.reference import PREFIX, write_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

PERIOD = {"from": "2026-11-20", "to": "2026-11-21"}
START = datetime(2026, 11, 20, tzinfo=UTC)

FILL = """
SET ai_usage.rollups = 'applied';
INSERT INTO ai_usage_logs (created_at, user_ref, user_email, service_name, service_action, provider, model,
    input_tokens, output_tokens, total_tokens, cost_usd, error_message)
SELECT '2026-11-20'::timestamptz + n * interval '400 milliseconds', 'user-' || n % 1000, 'user@example.com', 'service',
    'action', 'openai', 'gpt-4o-mini', n, 1, n + 1, n * 0.000000000001, repeat('refused ', 8)
FROM generate_series(1, 200000) AS n
"""


async def listed(admin: httpx2.AsyncClient, **asked: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await admin.get(f"{PREFIX}/logs", params=PERIOD | asked | cursor | {"limit": "100"})).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def test_parquet_and_csv_hold_the_calls_that_are_listed(
    admin: httpx2.AsyncClient, connection: Connection
) -> None:
    calls = [
        make_call(
            created_at=START + timedelta(seconds=n),
            service_name=("cv", "xray")[n % 2],
            service_action=None if n % 3 else "größe\n,\"x\"",
            amount_usd=Decimal(n).scaleb(-12),
        )
        for n in range(250)
    ]  # fmt: skip
    await write_calls(connection, calls)

    for asked in ({}, {"service": "cv"}, {"not_service": "cv"}, {"user": "nobody"}):
        items = await listed(admin, **asked)
        body = (await admin.get(f"{PREFIX}/export.parquet", params=PERIOD | asked)).content
        table = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
        text = (await admin.get(f"{PREFIX}/export.csv", params=PERIOD | asked)).text
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["id"] for row in table] == [line["id"] for line in lines] == [item["id"] for item in items]
        for row, line, item in zip(table, lines, items, strict=True):
            assert row["cost_usd"] == Decimal(line["cost_usd"]) == Decimal(item["cost_usd"])
            assert row["created_at"] == datetime.fromisoformat(line["created_at"])
            assert (row["service_action"] or "") == line["service_action"] == (item["action"] or "")
            assert row["success"] is item["success"] is (line["success"] == "true")
            assert str(row["input_tokens"]) == line["input_tokens"] == str(item["input_tokens"])
            assert row["trace_id"] == line["trace_id"] == item["trace_id"]
    assert len(await listed(admin)) == 250


async def test_breakdown_as_csv_is_the_breakdown(admin: httpx2.AsyncClient, connection: Connection) -> None:
    await write_calls(connection, [make_call(created_at=START, model=f"m{n % 5}", user="@x") for n in range(30)])
    asked = PERIOD | {"group_by": "model,user", "limit": "3"}

    answer = (await admin.get(f"{PREFIX}/breakdown", params=asked)).json()
    lines = list(csv.DictReader(io.StringIO((await admin.get(f"{PREFIX}/breakdown.csv", params=asked)).text)))

    shown = [*answer["rows"], answer["other"]]
    assert [line["cost_usd"] for line in lines] == [row["cost_usd"] for row in shown]
    assert [line["requests"] for line in lines] == [str(row["requests"]) for row in shown]
    assert [line["model"] for line in lines] == [*(row["group"]["model"] for row in answer["rows"]), "other (2)"]
    assert lines[0]["user"] == "'@x"


FORMULAS = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＋1", "－1", "＠1")


async def test_no_cell_is_a_formula(admin: httpx2.AsyncClient, connection: Connection) -> None:
    await write_calls(
        connection,
        [
            make_call(
                created_at=START - timedelta(seconds=n - 60),
                user=text,
                user_email=text,
                service_name=text,
                model=text,
                error_message=text,
                success=False,
            )
            for n, text in enumerate(FORMULAS)
        ],
    )

    body = (await admin.get(f"{PREFIX}/export.csv", params=PERIOD)).text

    for row, text in zip(csv.DictReader(io.StringIO(body, newline="")), FORMULAS, strict=True):
        for name in ("user", "user_email", "service_name", "model", "error_message"):
            assert row[name] == f"'{text}"
        assert row["cost_usd"] == "0.000270000000"  # numbers stay numbers


@pytest.fixture
async def server(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[str]:
    """Give the URL of the API on a real socket."""
    app = create_app(UsageReader(pool), AdminToken(ADMIN_TOKEN), Sessions(pool))
    listener = HttpListener(app, Address("127.0.0.1", 0), "AI_USAGE_API_LISTEN", grace_s=1)
    await listener.start()
    yield f"http://{listener.address}{PREFIX}"
    await listener.stop()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
async def test_two_hundred_thousand_calls_take_no_more_memory_than_a_few(
    server: str, connection: Connection, suffix: str
) -> None:
    await connection.execute(FILL, timeout=60)
    process = psutil.Process()
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}

    async def download(seconds: int) -> tuple[int, int]:
        """Return how many bytes came and by how many the process was larger meanwhile, at most."""
        end = START + timedelta(seconds=seconds)
        asked = {"from": START.isoformat(), "to": end.isoformat()}
        before, most, size = process.memory_info().rss, 0, 0
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as client,
            client.stream("GET", f"{server}/export.{suffix}", params=asked) as response,
        ):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                most = max(most, process.memory_info().rss - before)
        return size, most

    await download(20_000)  # 50,000 calls: what is imported and kept once is kept now
    size, growth = await download(86_400)

    assert size > (30 if suffix == "csv" else 3) * 1024 * 1024
    # Arrow keeps freed pages for itself; 200,000 calls at once would be over 90 MB.
    assert growth < (16 if suffix == "csv" else 32) * 1024 * 1024


async def test_an_export_nobody_reads_any_more_gives_its_place_and_connection_back(
    server: str, connection: Connection, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    await connection.execute(FILL, timeout=60)
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for _ in range(MAX_EXPORTS + 1):
        async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
            async with client.stream("GET", f"{server}/export.csv", params=PERIOD) as response:
                assert response.status_code == 200
                await anext(response.aiter_raw())
        async with asyncio.timeout(10):
            while pool.get_idle_size() < pool.get_size():  # noqa: ASYNC110 - the server's own task has no event here
                await asyncio.sleep(0.01)


async def test_more_exports_than_there_are_places_are_told_to_come_again(
    server: str, connection: Connection, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    await connection.execute(FILL, timeout=60)
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
        async with (
            client.stream("GET", f"{server}/export.csv", params=PERIOD) as one,
            client.stream("GET", f"{server}/export.parquet", params=PERIOD) as other,
        ):
            assert (one.status_code, other.status_code) == (200, 200)
            third = await client.get(f"{server}/export.csv", params=PERIOD)
            assert third.status_code == 429
            assert third.headers["retry-after"]
            assert (await client.get(f"{server}/summary", params=PERIOD)).status_code == 200
        async with asyncio.timeout(10):
            while (await client.get(f"{server}/export.csv", params={"days": "1"})).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
