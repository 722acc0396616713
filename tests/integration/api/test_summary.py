"""The summary endpoint: base fields, meanings, access."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg
    import httpx2

SUMMARY = "/api/admin/ai-usage/summary"

INSERT = """
INSERT INTO ai_usage_logs (created_at, service_name, provider, model, total_tokens, cost_usd, success)
VALUES (now() - $1::interval, $2, $3, 'm', $4, $5, $6)
"""


async def test_is_all_zero_without_calls(admin: httpx2.AsyncClient) -> None:
    body = (await admin.get(SUMMARY)).json()

    assert {name: body[name] for name in ("period_days", "total_tokens", "total_cost", "total_requests")} == {
        "period_days": 30,
        "total_tokens": 0,
        "total_cost": 0,
        "total_requests": 0,
    }
    assert body["success_rate"] == 0
    assert body["by_provider"] == {}
    assert body["by_service"] == {}


async def test_sums_the_period_by_provider_and_by_service(
    admin: httpx2.AsyncClient, connection: asyncpg.Connection[asyncpg.Record]
) -> None:

    await connection.executemany(
        INSERT,
        [
            (timedelta(minutes=1), "cv", "openai", 100, Decimal("0.000012345678"), True),
            (timedelta(days=29, hours=23), "cv", "anthropic", 50, Decimal("1.5"), True),
            (timedelta(hours=5), "xray", "openai", 7, Decimal(0), False),
            (timedelta(days=30, minutes=16), "cv", "openai", 1000, Decimal(9), True),
        ],
    )

    body = (await admin.get(SUMMARY, params={"days": 30})).json()

    assert body["period_days"] == 30
    assert body["total_tokens"] == 157
    assert body["total_cost"] == 1.5
    assert body["total_requests"] == 3
    assert body["success_rate"] == 66.7
    assert body["by_provider"] == {
        "anthropic": {"tokens": 50, "cost": 1.5, "requests": 1},
        "openai": {"tokens": 107, "cost": 0.0, "requests": 2},
    }
    assert body["by_service"] == {
        "cv": {"tokens": 150, "cost": 1.5, "requests": 2},
        "xray": {"tokens": 7, "cost": 0.0, "requests": 1},
    }


async def test_names_the_wrong_parameter(admin: httpx2.AsyncClient) -> None:
    response = await admin.get(SUMMARY, params={"days": 0})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == "days"


async def test_is_refused_without_a_token(anonymous: httpx2.AsyncClient) -> None:
    response = await anonymous.get(SUMMARY)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_page_asks_to_sign_in_and_then_shows_the_numbers(
    anonymous: httpx2.AsyncClient, connection: asyncpg.Connection[asyncpg.Record]
) -> None:

    await connection.execute(
        INSERT, timedelta(minutes=1), "<script>alert(1)</script>", "openai", 4321, Decimal("2"), True
    )
    form = await anonymous.get("/admin/ai-usage")
    assert form.status_code == 401
    assert 'name="token"' in form.text

    wrong = await anonymous.post(
        "/admin/ai-usage/login", data={"token": "nope"}, headers={"origin": "http://testserver"}
    )
    assert wrong.status_code == 401
    right = await anonymous.post(
        "/admin/ai-usage/login", data={"token": "admin-token-for-tests"}, headers={"origin": "http://testserver"}
    )
    assert right.status_code == 303
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie

    page = await anonymous.get("/admin/ai-usage", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
