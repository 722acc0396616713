"""ASGI middleware: a request's user pays for all that belongs to it, and it is served whatever happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket  # noqa: TC002 - FastAPI reads annotations
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import StreamingResponse

from ai_usage import _guard, semconv, usage_context
from ai_usage.asgi import AIUsageMiddleware, user_of
from ai_usage.attribution import current_attributes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import HTTPConnection

seen: list[dict[str, Any]] = []


def note() -> None:
    seen.append(dict(current_attributes()))


def header_of(scope: Any) -> dict[str, Any]:
    return {"user_id": dict(scope["headers"])[b"x-user"].decode(), "service_action": scope["path"]}


async def async_header_of(scope: Any) -> dict[str, Any]:
    await asyncio.sleep(0)
    return header_of(scope)


async def request(app: Any, path: str, kind: str = "http", user: str = "7") -> list[dict[str, Any]]:
    """Return what the app sends for a request, or for one message on a websocket."""
    seen.clear()
    scope: dict[str, Any] = {
        "type": kind, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "server": ("test", 80), "client": ("test", 1),
        "headers": [(b"x-user", user.encode())], "subprotocols": [], "asgi": {"version": "3.0", "spec_version": "2.4"},
    }  # fmt: skip
    incoming: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
    if kind == "websocket":
        incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 20)
    return sent


def create_app(**options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/plain")
    async def plain() -> str:
        note()
        return "ok"

    @app.get("/sync")
    def sync() -> str:
        note()
        return "ok"

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(note)
        return "ok"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for _ in range(2):
                note()
                yield "piece"

        return StreamingResponse(pieces())

    @app.get("/sync-stream")
    async def sync_stream() -> StreamingResponse:
        def pieces() -> Iterator[str]:
            note()
            yield "piece"

        return StreamingResponse(pieces())

    @app.websocket("/socket")
    async def socket(connection: WebSocket) -> None:
        await connection.accept()
        await connection.receive_text()
        note()
        await connection.send_text("done")
        await connection.close()

    app.add_middleware(AIUsageMiddleware, **options)
    return app


@pytest.mark.parametrize("owner", [header_of, async_header_of])
@pytest.mark.parametrize("path", ["/plain", "/sync", "/background", "/stream", "/sync-stream", "/socket"])
async def test_whatever_belongs_to_a_request_is_paid_by_its_user(path: str, owner: Any) -> None:
    await request(create_app(owner=owner, service_name="shop"), path, "websocket" if path == "/socket" else "http")
    expected = {semconv.USER_ID: "7", semconv.SERVICE_NAME: "shop", semconv.SERVICE_ACTION: path}
    assert seen == [expected] * (2 if path == "/stream" else 1)
    assert current_attributes() == {}


async def test_requests_at_the_same_time_are_not_mixed_up() -> None:
    app = create_app(owner=header_of)
    both = asyncio.Barrier(2)

    @app.get("/wait")
    async def wait() -> object:
        await both.wait()
        return current_attributes()[semconv.USER_ID]

    bodies = await asyncio.gather(request(app, "/wait", user="a"), request(app, "/wait", user="b"))
    assert [sent[1]["body"] for sent in bodies] == [b'"a"', b'"b"']


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.headers["x-user"]
        return (AuthCredentials(), SimpleUser(name)) if name else None


@pytest.mark.parametrize(("user", "expected"), [("ana", {semconv.USER_ID: "ana"}), ("", {})])
async def test_without_a_function_the_logged_in_user_pays(user: str, expected: dict[str, str]) -> None:
    app = create_app()
    app.add_middleware(AuthenticationMiddleware, backend=ByHeader())  # added later: runs before
    await request(app, "/plain", user=user)
    assert seen == [expected]


def test_users_of_any_shape_are_read() -> None:
    class Row:
        id = 7
        email = "a@x"

    assert user_of({"user": Row()}) == {"user_id": 7, "user_email": "a@x"}
    assert user_of({"user": {"id": 0, "email": None}}) == {"user_id": 0, "user_email": None}
    assert user_of({}) is None


async def current_user() -> str:
    return "of the token"


async def payer(user: Annotated[str, Depends(current_user)]) -> AsyncIterator[None]:
    with usage_context(user_id=user):
        yield


async def test_a_dependency_can_say_who_pays() -> None:
    app = create_app()

    @app.get("/mine", dependencies=[Depends(payer)])
    async def mine() -> None:
        note()

    @app.get("/mine-sync", dependencies=[Depends(payer)])
    def mine_sync() -> None:
        note()

    for path in ("/mine", "/mine-sync"):
        await request(app, path)
        assert seen == [{semconv.USER_ID: "of the token"}]


@pytest.mark.parametrize(
    "owner",
    [lambda scope: 1 / 0, lambda scope: {"unknown": 1}, lambda scope: "7", lambda scope: None],
    ids=["raises", "names what is unknown", "returns text", "returns nothing"],
)
async def test_a_broken_function_costs_the_owner_and_never_the_request(owner: Any) -> None:
    before = _guard.set_strict(False)
    try:
        sent = await request(create_app(owner=owner, service_name="shop"), "/plain")
    finally:
        _guard.set_strict(before)
    assert sent[0]["status"] == 200
    assert seen == [{semconv.SERVICE_NAME: "shop"}]


async def test_an_error_of_the_app_is_the_apps_and_other_scopes_pass() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        seen.append({"type": scope["type"]})
        raise KeyError("mine")

    for kind in ("http", "lifespan"):
        with pytest.raises(KeyError):
            await request(AIUsageMiddleware(failing, header_of), "/", kind)
        assert seen == [{"type": kind}]
