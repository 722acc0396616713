"""A wrong parameter is named with its value and the fix; a database that is away is not the caller's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import httpx2
import pytest

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.storage.reader import UsageReader
from tests.integration.api.conftest import ADMIN_TOKEN, BASE_URL
from tests.integration.api.reference import PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG = "x" * 2_000
BAD = (
    # path and query, the field that is wrong, what the message says: the value, and the fix
    ("/summary?days=0", "days", "'0' should be greater than or equal to 1"),
    ("/summary?days=3661", "days", "'3661' should be less than or equal to 3660"),
    ("/summary?days=many", "days", "'many' should be a valid integer"),
    ("/summary?days=7&from=2026-11-01", "days", "give one of the two"),
    ("/summary?days=7&days=8", "days", "given 2 times: give it once"),
    ("/summary?from=yesterday", "from", "'yesterday' is no ISO 8601 time: write 2026-11-24"),
    ("/summary?from=2026-02-30", "from", "'2026-02-30' is no ISO 8601 time"),
    ("/summary?from=2999-01-01", "from", "not between 2000 and 2200"),
    ("/summary?from=2150-01-01", "from", "lies in the future: give a to beside it"),
    ("/summary?from=2001-01-01&to=2026-01-01", "from", "longer than 3660 days"),
    ("/summary?to=2026-11-01", "to", "needs from beside it"),
    ("/summary?from=2026-11-02&to=2026-11-01", "to", "'2026-11-01' is not after from ('2026-11-02')"),
    ("/summary?tz=Mars/Olympus", "tz", "'Mars/Olympus' is no IANA time zone: write e.g. Europe/Berlin"),
    ("/summary?tz=../../etc/passwd", "tz", "no IANA time zone"),
    ("/summary?success=perhaps", "success", "'perhaps' should be a valid boolean"),
    ("/summary?servce=cv", "servce", "'servce' is no parameter of this route: did you mean service?"),
    ("/summary?group_by=model", "group_by", "'group_by' is no parameter of this route"),
    ("/meta?days=3", "days", "'days' is no parameter of this route: there are none"),
    (f"/summary?model={LONG}", "model", "should have at most 1000 characters"),
    ("/summary?model=a%00b", "model", "contains a character that no stored value has"),
    ("/summary?" + "&".join(f"user=u{n}" for n in range(101)), "user", "at most 100 items"),
    ("/timeseries?interval=decade", "interval", "'decade' should be 'auto', '15m', 'hour', 'day', 'week' or 'month'"),
    ("/timeseries?days=3660&interval=15m", "interval", "take a longer interval or shorter period"),
    ("/timeseries?group_by=colour", "group_by", "'colour' should be 'user', 'service'"),
    ("/timeseries?limit=51", "limit", "'51' should be less than or equal to 50"),
    ("/breakdown", "group_by", "is missing"),
    ("/breakdown?group_by=colour", "group_by", "'colour' should be 'user', 'service'"),
    ("/breakdown?group_by=user,model&group_by=service,action", "group_by", "at most 3 items"),
    ("/breakdown?group_by=model,model", "group_by", "'model,model' names a dimension twice"),
    ("/breakdown?group_by=model&sort=beauty", "sort", "'beauty' should be 'cost', 'requests'"),
    ("/breakdown?group_by=model&order=up", "order", "'up' should be 'desc' or 'asc'"),
    ("/breakdown?group_by=model&limit=0", "limit", "'0' should be greater than or equal to 1"),
    ("/breakdown?group_by=model&compare=next", "compare", "'next' should be 'previous'"),
    ("/logs?limit=501", "limit", "'501' should be less than or equal to 500"),
    ("/logs?cursor=%2B%2B", "cursor", "'++' is no cursor: give next_cursor of the page before"),
    ("/logs/one", "id", "'one' should be a valid UUID"),
    ("/users/a%00b", "id", "contains a character that no stored value has"),
    ("/export.csv?from=x", "from", "'x' is no ISO 8601 time"),
    ("/export.parquet?compression=rar", "compression", "'rar' should be 'zstd', 'snappy' or 'none'"),
)


def client_of(pool: asyncpg.Pool[asyncpg.Record]) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=create_app(UsageReader(pool), AdminToken(ADMIN_TOKEN), Sessions(pool)))
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    return httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture
async def away() -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of an application whose database cannot be reached."""
    pool = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/nowhere", min_size=0)
    async with client_of(pool) as client:
        yield client
    await pool.close()


@pytest.mark.parametrize(("path", "field", "message"), BAD, ids=[path[:60] for path, *_ in BAD])
async def test_is_named_with_its_value_and_the_fix(
    away: httpx2.AsyncClient, path: str, field: str, message: str
) -> None:
    response = await away.get(PREFIX + path)  # whatever is wrong is noticed before the database is asked

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    [error] = problem["errors"]
    assert error["field"] == field
    assert message in error["message"]
    assert len(error["message"]) < 400
    assert problem["detail"] == f"{field}: {error['message']}"
    assert (problem["status"], problem["code"]) == (422, "invalid_parameters")


async def test_every_wrong_parameter_is_named_at_once(away: httpx2.AsyncClient) -> None:
    problem = (await away.get(f"{PREFIX}/breakdown?days=0&group_by=colour&limit=x")).json()

    assert {error["field"] for error in problem["errors"]} == {"days", "group_by", "limit"}


async def test_somebody_unknown_learns_nothing_about_parameters(anonymous: httpx2.AsyncClient) -> None:
    assert (await anonymous.get(f"{PREFIX}/summary?servce=cv")).status_code == 401


async def test_dimensions_may_be_separated_by_commas(admin: httpx2.AsyncClient) -> None:
    one = (await admin.get(f"{PREFIX}/breakdown?group_by=service,model")).json()
    other = (await admin.get(f"{PREFIX}/breakdown?group_by=service&group_by=model")).json()

    assert one["group_by"] == other["group_by"] == ["service", "model"]


@pytest.mark.parametrize("path", ["/summary", "/logs", "/export.csv", "/meta", "/users/anna"])
async def test_a_database_that_is_away_is_said_to_be_without_its_address(away: httpx2.AsyncClient, path: str) -> None:
    response = await away.get(PREFIX + path)

    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["code"] == "not_available"
    assert "127.0.0.1" not in response.text


async def test_a_question_that_takes_too_long_is_said_to(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    pool = await asyncpg.create_pool(database_url, min_size=1, command_timeout=0.2)
    async with client_of(pool) as client, connection.transaction():
        await connection.execute("LOCK TABLE ai_usage_rollups IN ACCESS EXCLUSIVE MODE")
        response = await client.get(f"{PREFIX}/summary")
    await pool.close()

    assert response.status_code == 503
    assert "ask for a shorter period" in response.json()["detail"]
