"""ASGI middleware (FastAPI, Starlette, any other): whoever a request comes from pays for its AI calls."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ai_usage import _guard
from ai_usage.attribution import usage_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Scope = MutableMapping[str, Any]
    Owner = Mapping[str, Any] | None
    App = Callable[[Scope, Any, Any], Awaitable[None]]


def user_of(scope: Scope) -> Owner:
    """Return who is logged in, as authentication middleware leaves it in ``scope["user"]`` (Starlette's does)."""
    user = scope.get("user")
    if user is None or getattr(user, "is_authenticated", True) is False:
        return None
    names = ("id", "identity", "username", "display_name")
    found = (user.get(name) if isinstance(user, dict) else _member(user, name) for name in names)
    email = user.get("email") if isinstance(user, dict) else _member(user, "email")
    return {"user_id": next((one for one in found if one not in (None, "")), None), "user_email": email}


class AIUsageMiddleware:
    """Run every request and websocket inside a ``usage_context``.

    Streamed responses, background tasks and threads of the request are inside too. Whatever goes wrong in here, the
    request is served.
    """

    def __init__(
        self, app: App, owner: Callable[[Scope], Owner | Awaitable[Owner]] = user_of, service_name: str | None = None
    ) -> None:
        """``owner`` takes the ASGI scope and returns arguments of ``usage_context``, or ``None``; it may be async.

        ``service_name`` is used where ``owner`` names none.
        """
        self._app = app
        self._owner = owner
        self._service_name = service_name

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        with await self._context(scope):
            await self._app(scope, receive, send)

    async def _context(self, scope: Scope) -> usage_context:
        try:
            said = self._owner(scope)
            said = await said if inspect.isawaitable(said) else said
            return usage_context(**{"service_name": self._service_name, **(said or {})})
        except Exception:
            _guard.caught("finding out who a request comes from")
            return usage_context(service_name=self._service_name)


def _member(user: Any, name: str) -> Any:
    try:
        return getattr(user, name, None)
    except Exception:  # Starlette's own users raise NotImplementedError for what they do not have
        return None
