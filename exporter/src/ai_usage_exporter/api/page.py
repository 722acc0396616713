"""The Admin → AI Usage page: sign-in, the built page, and a plain one for when it was not built.

The sign-in page and its style are the only things served without a token; they hold no data.
"""

import mimetypes
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import parse_qs, parse_qsl, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from ai_usage_exporter.api.auth import require_same_origin
from ai_usage_exporter.api.parameters import conditions_of
from ai_usage_exporter.api.period import last_days
from ai_usage_exporter.api.problem import ProblemError
from ai_usage_exporter.api.services import Viewer, services_of
from ai_usage_exporter.api.sessions import SESSION_COOKIE, SESSION_MAX_AGE
from ai_usage_exporter.storage.query import UsageQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_usage_exporter.storage.grouping import Group
    from ai_usage_exporter.storage.sums import Sums

PAGE_PATH: Final = "/admin/ai-usage"
STATIC_FOLDER: Final = Path(__file__).parent / "static"
"""Where the build of the page puts ``index.html`` and ``assets/``."""

router: Final = APIRouter(include_in_schema=False)

_STYLE: Final = Path(__file__).parent / "assets" / "plain.css"
_ASSET_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_MAX_FORM_BYTES: Final = 16 * 1024


@router.get(PAGE_PATH)
async def page(request: Request, days: Annotated[int, Query(ge=1, le=3660)] = 30) -> Response:
    """Show the page to who is signed in, the sign-in form to others."""
    services = services_of(request)
    principal = await services.access.principal(request)
    if principal is None or not principal.may_read:
        return _sign_in(401, query=request.url.query)
    built = STATIC_FOLDER / "index.html"
    if built.is_file():
        return FileResponse(built)
    period = last_days(days)
    query = UsageQuery(period.start, period.read_until, conditions_of(principal))
    found = await services.reader.summarize(query, top_users=0)
    total = found.total
    rate = f"{100 * total.succeeded / total.calls:.1f} %" if total.calls else "–"
    tiles = "".join(
        f"<li>{name}<strong>{value}</strong></li>"
        for name, value in (
            ("Cost", f"${total.cost_usd:,.4f}"),
            ("Requests", f"{total.calls:,}"),
            ("Tokens", f"{total.total_tokens:,}"),
            ("Success", rate),
        )
    )
    body = (
        f'<header><h1>AI Usage</h1><form method="post" action="{PAGE_PATH}/logout"><button>Sign out</button></form>'
        f'</header><p>The last {days} days.</p><ul class="tiles">{tiles}</ul>'
        + _table("Service", found.by_service)
        + _table("Provider", found.by_provider)
    )
    return _document("AI Usage", body)


@router.post(PAGE_PATH + "/login")
async def login(request: Request) -> Response:
    """Open a session with the token from the sign-in form; its cookie is one no script can read."""
    require_same_origin(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise ProblemError(413, "too_large", "the sign-in form is larger than a token and a view can be")
    fields = parse_qs(body.decode("utf-8", "replace"))
    token = fields.get("token", [""])[0].strip()
    query = fields.get("query", [""])[0]
    secret = await services_of(request).access.sign_in(token)
    if secret is None:
        return _sign_in(401, "This token is not known here, or may not see usage.", query=query)
    # Only the view is taken from the form, written anew: the way leads to the page and nowhere else.
    view = urlencode(parse_qsl(query, keep_blank_values=True))
    response = RedirectResponse(f"{PAGE_PATH}?{view}" if view else PAGE_PATH, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(SESSION_MAX_AGE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post(PAGE_PATH + "/logout")
async def logout(request: Request) -> Response:
    """End the session and forget its cookie."""
    require_same_origin(request)
    await services_of(request).access.sign_out(request)
    response = RedirectResponse(PAGE_PATH, status_code=303)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response


@router.get(PAGE_PATH + "/plain.css")
async def plain_style() -> FileResponse:
    """Return the style of the sign-in page and of the plain page."""
    return FileResponse(_STYLE, media_type="text/css", headers={"cache-control": "max-age=300"})


@router.get(PAGE_PATH + "/assets/{name}")
async def asset(request: Request, name: str, _principal: Viewer) -> FileResponse:
    """Return a file of the built page; its name changes with its content."""
    file = STATIC_FOLDER / "assets" / name
    if not _ASSET_NAME.fullmatch(name) or not file.is_file():
        raise ProblemError(404, "not_found", "the page has no such file")
    headers = {"cache-control": "private, max-age=31536000, immutable", "vary": "accept-encoding"}
    packed = file.with_name(f"{name}.gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        kind = mimetypes.guess_type(name)[0]
        return FileResponse(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
    return FileResponse(file, headers=headers)


def _sign_in(status: int, message: str = "", *, query: str = "") -> HTMLResponse:
    alert = f'<p role="alert">{escape(message)}</p>' if message else ""
    body = (
        f'<section class="sign-in"><h1>AI Usage</h1><p>Sign in with the admin token (the server prints it when it '
        f'starts) or with a key that may read.</p>{alert}<form method="post" action="{PAGE_PATH}/login">'
        '<div><label for="token">Token</label><input id="token" name="token" type="password" '
        'autocomplete="current-password" required autofocus></div>'
        f'<input type="hidden" name="query" value="{escape(query)}"><button>Sign in</button></form></section>'
    )
    return _document("Sign in – AI Usage", body, status)


def _document(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # An icon that asks for nothing: browsers would look for /favicon.ico.
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{PAGE_PATH}/plain.css"></head>'
        f"<body><main>{body}</main></body></html>",
        status_code=status,
    )


def _table(title: str, groups: "Mapping[Group, Sums]") -> str:
    rows = "".join(
        f'<tr><td>{escape(name[0] or "–")}</td><td class="number">{sums.calls:,}</td>'
        f'<td class="number">{sums.total_tokens:,}</td><td class="number">${sums.cost_usd:,.4f}</td></tr>'
        for name, sums in groups.items()
    )
    return (
        f'<h2>By {title.lower()}</h2><table><thead><tr><th>{title}</th><th class="number">Requests</th>'
        f'<th class="number">Tokens</th><th class="number">Cost</th></tr></thead><tbody>{rows}</tbody></table>'
    )
