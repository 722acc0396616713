"""Who may do what over HTTP: every route of the server against every kind of token, and what limited viewers see."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.api.usage import PREFIX
from ai_usage_exporter.keys import Role
from ai_usage_exporter.storage.query import Dimension
from tests.factories import make_call
from tests.integration.access.installation import until
from tests.integration.api.reference import write_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from fastapi import FastAPI

    from ai_usage_exporter.server import Server
    from tests.integration.access.installation import Installation

OPEN = {
    "/livez": 200,
    "/healthz": 200,
    "/readyz": 200,
    "/admin/ai-usage": 401,  # the sign-in form, which holds no data
    "/admin/ai-usage/plain.css": 200,
    "/admin/ai-usage/login": 403,  # a form of another site, or of none
    "/admin/ai-usage/logout": 403,
}
"""Routes that answer without a token, and how: probes, and what it takes to sign in."""
OF_ALL_SERVICES = {"/metrics"}
MINE, THEIRS = "xray", "payroll"
EXAMPLES = {"id": "00000000-0000-4000-8000-000000000000", "name": "no-such-file.js"}
NEEDED = {"/breakdown": "?group_by=service", "/breakdown.csv": "?group_by=service"}


class Route(NamedTuple):
    method: str
    path: str

    @property
    def url(self) -> str:
        """Return the path with parameters put in."""
        filled = re.sub(r"{(\w+)[^}]*}", lambda found: EXAMPLES[found[1]], self.path)
        return filled + NEEDED.get(self.path.removeprefix(PREFIX), "")


def app_of(server: Server) -> FastAPI:
    return create_app(server.reader, AdminToken(server.admin_token), Sessions(server.reader.pool))


def routes_of(server: Server) -> Iterator[Route]:
    """Give every route there is, those that the OpenAPI does not tell of too."""

    def walk(routes: Any) -> Iterator[Route]:
        for route in routes:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            if methods := getattr(route, "methods", None):
                yield from (Route(method, route.path) for method in sorted(methods))
            elif hasattr(inner, "routes"):
                yield from walk(inner.routes)
            else:
                raise AssertionError(f"a route of an unknown kind: {route!r}")

    yield from walk(app_of(server).routes)


async def api(
    installation: Installation, route: Route | str, *, token: str | None = None, **options: Any
) -> httpx2.Response:
    method, path = (route.method, route.url) if isinstance(route, Route) else ("GET", route)
    headers = options.pop("headers", {})
    if token is not None:
        headers = headers | {"authorization": f"Bearer {token}"}
    url = f"http://{installation.server.addresses['api']}{path}"
    return await installation.client.request(method, url, headers=headers, **options)


async def test_every_route_against_every_token(installation: Installation) -> None:
    routes = list(routes_of(installation.server))
    described = app_of(installation.server).openapi()["paths"]
    assert {Route(method.upper(), path) for path, methods in described.items() for method in methods} <= set(routes)
    assert len(routes) > 20

    viewer, limited = await installation.key(Role.VIEWER), await installation.key(Role.VIEWER, services=[MINE])
    admin, ingest = await installation.key(Role.ADMIN), await installation.key(Role.INGEST)
    revoked = await installation.key(Role.ADMIN)
    await installation.revoke(revoked)
    expired = await installation.key(Role.ADMIN, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    strangers = {
        "nobody": None,
        "unknown": "aiu_000000000000_" + "0" * 43,
        "revoked": revoked.token,
        "expired": expired.token,
        "cut": admin.token[:-1],
        "long": "x" * 5_000,
        "quotes": "' OR true --",
    }
    wrong: list[str] = []
    for route in routes:
        if route.path in OPEN:
            expected = OPEN[route.path]
            found = (await api(installation, route)).status_code
            if found != expected:
                wrong.append(f"{route}: {found} without a token, not {expected}")
            continue
        for who, token in strangers.items():
            response = await api(installation, route, token=token)
            if response.status_code != 401 or not response.headers["www-authenticate"].startswith("Bearer"):
                wrong.append(f"{route}: {response.status_code} for {who}")
        for who, token, allowed in (
            ("the admin token", installation.server.admin_token, True),
            ("an admin key", admin.token, True),
            ("a viewer", viewer.token, True),
            ("a limited viewer", limited.token, route.path not in OF_ALL_SERVICES),
            ("an ingest key", ingest.token, False),
        ):
            found = (await api(installation, route, token=token)).status_code
            # There is no such call, user or file: who may ask is told so.
            expected = (404 if "{" in route.path else 200) if allowed else 403
            if found != expected:
                wrong.append(f"{route}: {found} for {who}, not {expected}")
            told = described.get(route.path, {}).get(route.method.lower(), {}).get("responses", {})
            if told and str(found) not in told:
                wrong.append(f"{route}: {found} is not in the OpenAPI")
    assert not wrong


async def test_other_methods_give_nothing_away(installation: Installation) -> None:
    for route in routes_of(installation.server):
        for method in {"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} - {route.method}:
            response = await api(installation, Route(method, route.path))
            assert response.status_code == 405, (method, route.path)
            assert "access-control-allow-origin" not in response.headers


@pytest.fixture
async def two_services(installation: Installation) -> Installation:
    """Give an installation with calls of two services that share a user."""
    calls = [
        make_call(service_name=MINE, service_action="analyze", user="shared", user_email=None, model="gpt-4o"),
        make_call(service_name=MINE, service_action="analyze", user="ana", user_email="ana@xray.example"),
        make_call(
            service_name=MINE, service_action="analyze", user="ana", user_email="ana@xray.example",
            success=False, error_code="429", error_message="slow down",
        ),
        make_call(
            service_name=THEIRS, service_action="payroll-run", user="shared", user_email="shared@payroll.example",
            provider="payroll-provider", model="payroll-model",
        ),
        make_call(
            service_name=THEIRS, service_action="payroll-run", user="payroll-user", user_email="boss@payroll.example",
            provider="payroll-provider", model="payroll-model", success=False, error_code="payroll-error",
            error_message="payroll failed", amount_usd=None,
        ),
    ]  # fmt: skip
    await write_calls(installation.connection, calls)
    return installation


def questions(installation: Installation) -> list[str]:
    """Return every question there is about usage, with every dimension where one is chosen."""
    paths = [
        path
        for path in app_of(installation.server).openapi()["paths"]
        if path.startswith(PREFIX) and "{" not in path and path.removeprefix(PREFIX) not in NEEDED
    ]
    assert len(paths) >= 6
    for dimension in Dimension:
        paths.append(f"{PREFIX}/timeseries?group_by={dimension.value}")
        paths += [f"{PREFIX}{path}?group_by={dimension.value}" for path in NEEDED]
        other = Dimension.MODEL if dimension is not Dimension.MODEL else Dimension.USER
        two = f"group_by={dimension.value}&group_by={other.value}"
        paths.append(f"{PREFIX}/breakdown?{two}&compare=previous&sort=tokens")
    return [*paths, f"{PREFIX}/users/shared", f"{PREFIX}/users/ana"]


async def test_a_limited_viewer_sees_its_services_in_every_answer(two_services: Installation) -> None:
    everything = await two_services.key(Role.VIEWER)
    limited = await two_services.key(Role.VIEWER, services=[MINE])
    for question in questions(two_services):
        seen = await api(two_services, question, token=limited.token)
        assert seen.status_code == 200, question
        assert b"payroll" not in seen.content, question
        if re.search(r"group_by=(?!success|cost_status)", question):
            seen = await api(two_services, question, token=everything.token)
            assert b"payroll" in seen.content, f"{question} would show it"
    summary = (await api(two_services, f"{PREFIX}/summary", token=limited.token)).json()
    assert summary["total_requests"] == 3
    assert summary["by_service"].keys() == {MINE}
    assert (await api(two_services, f"{PREFIX}/summary", token=everything.token)).json()["total_requests"] == 5


async def test_no_parameter_widens_what_a_limited_viewer_sees(two_services: Installation) -> None:
    limited = await two_services.key(Role.VIEWER, services=[MINE])
    for parameters in (
        f"service={THEIRS}",
        f"service={THEIRS}&service={MINE}",
        f"not_service={MINE}",
        "user=payroll-user",
        "model=payroll-model&service=",
        "error_code=payroll-error&success=false",
        f"service={THEIRS}%27%20OR%20%27%27=%27",
    ):
        for question in questions(two_services):
            path, _, given = question.partition("?")
            seen = await api(two_services, f"{path}?{given}&{parameters}", token=limited.token)
            assert seen.status_code in {200, 404, 422}, question
            if seen.status_code == 200:
                assert b"payroll" not in seen.content.replace(parameters.encode(), b""), (question, parameters)


async def test_a_foreign_call_or_user_is_not_there(two_services: Installation) -> None:
    limited = await two_services.key(Role.VIEWER, services=[MINE])
    for row in await two_services.connection.fetch("SELECT id, service_name FROM ai_usage_logs"):
        seen = await api(two_services, f"{PREFIX}/logs/{row['id']}", token=limited.token)
        assert seen.status_code == (200 if row["service_name"] == MINE else 404)
    unknown = await api(two_services, f"{PREFIX}/users/nobody", token=limited.token)
    foreign = await api(two_services, f"{PREFIX}/users/payroll-user", token=limited.token)
    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    shared = (await api(two_services, f"{PREFIX}/users/shared", token=limited.token)).json()
    assert shared["totals"]["requests"] == 1
    assert shared["user_email"] is None, "the address is known from the other service only"
    meta = (await api(two_services, f"{PREFIX}/meta", token=limited.token)).json()
    assert (meta["services"], meta["role"], meta["allowed_services"]) == ([MINE], "viewer", [MINE])


async def is_refused(installation: Installation, session: dict[str, str]) -> bool:
    return (await api(installation, f"{PREFIX}/meta", headers=session)).status_code == 401


async def sign_in(installation: Installation, token: str, **headers: str) -> httpx2.Response:
    origin = f"http://{installation.server.addresses['api']}"
    response = await api(
        installation,
        Route("POST", "/admin/ai-usage/login"),
        headers={"origin": origin, "content-type": "application/x-www-form-urlencoded"} | headers,
        content=f"token={token}".encode(),
    )
    installation.client.cookies.clear()
    return response


async def test_a_session_is_not_the_token_and_ends(installation: Installation) -> None:
    viewer = await installation.key(Role.VIEWER, services=[MINE])
    admin_token = installation.server.admin_token
    origin = {"origin": f"http://{installation.server.addresses['api']}"}
    meta = f"{PREFIX}/meta"
    for token, role in ((admin_token, "admin"), (viewer.token, "viewer")):
        signed_in = await sign_in(installation, token)
        assert signed_in.status_code == 303
        cookie = signed_in.headers["set-cookie"]
        assert token not in cookie
        assert re.search(r"HttpOnly; Max-Age=43200; Path=/; SameSite=strict$", cookie)
        session = {"cookie": cookie.partition(";")[0]}
        assert (await api(installation, meta, headers=session)).json()["role"] == role
        assert (await api(installation, meta, headers=session | {"authorization": "Bearer x"})).status_code == 401
        # What the cookie holds is no token, and a token is no session.
        assert (await api(installation, meta, token=session["cookie"].partition("=")[2])).status_code == 401
        assert (await api(installation, meta, headers={"cookie": f"ai_usage_session={token}"})).status_code == 401
        signed_out = await api(installation, Route("POST", "/admin/ai-usage/logout"), headers=session | origin)
        assert signed_out.status_code == 303
        assert (await api(installation, meta, headers=session)).status_code == 401

    for change in (
        "UPDATE ai_usage_sessions SET expires_at = now()",
        f"UPDATE ai_usage_keys SET token_hash = sha256('other') WHERE id = '{viewer.id}'",
    ):
        session = {"cookie": (await sign_in(installation, viewer.token)).headers["set-cookie"].partition(";")[0]}
        assert (await api(installation, meta, headers=session)).status_code == 200
        await installation.connection.execute(change)
        await until(lambda session=session: is_refused(installation, session))
    stored = await installation.connection.fetchval("SELECT string_agg(to_jsonb(s)::text, '') FROM ai_usage_sessions s")
    assert session["cookie"].partition("=")[2] not in stored


async def test_who_may_not_read_cannot_sign_in(installation: Installation) -> None:
    ingest = await installation.key(Role.INGEST)
    for token in (ingest.token, "unknown", "", "x" * 3_000, "%00", "%ff"):
        refused = await sign_in(installation, token)
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers
        assert "<form" in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "", "referer": "http://evil.example"},
    ],
    ids=["another site", "null", "none", "cross-site", "referer only"],
)
async def test_another_sites_form_neither_signs_in_nor_out(installation: Installation, headers: dict[str, str]) -> None:
    token = installation.server.admin_token
    refused = await sign_in(installation, token, **headers)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    session = {"cookie": (await sign_in(installation, token)).headers["set-cookie"].partition(";")[0]}
    refused = await api(installation, Route("POST", "/admin/ai-usage/logout"), headers=session | headers)
    assert refused.status_code == 403
    assert (await api(installation, f"{PREFIX}/meta", headers=session)).status_code == 200
