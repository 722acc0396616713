"""Signing in and out, and the page when something is missing or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from playwright.async_api import expect

from ai_usage_exporter.api.sessions import SESSION_COOKIE
from ai_usage_exporter.keys import Role, hash_token, make_key
from ai_usage_exporter.storage.keys import add_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Route

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]

# The browser's own words about answers that are meant to be refusals.
REFUSED = r"Failed to load resource: .* (401|503)"


async def test_a_token_lets_in_and_signing_out_forgets_it(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, signed_in=False, expected=REFUSED)
    page = here.page
    await page.goto(f"{here.origin}/admin/ai-usage?range=7d&service=cv_optimizer")
    await page.get_by_label("Token").fill("not the token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("not known")
    await page.get_by_label("Token").fill(filled.admin_token)
    await page.get_by_role("button", name="Sign in").click()
    await here.settled()
    await expect(page.locator(".chips")).to_contain_text("cv_optimizer")
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (SESSION_COOKIE, True, "Strict")
    assert filled.admin_token not in await page.content()
    assert await page.evaluate("document.cookie + JSON.stringify(localStorage)") in {"{}", ""}

    await page.get_by_role("button", name="More").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await page.context.cookies() == []
    await page.go_back()
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_a_viewer_sees_what_its_key_allows_and_is_told_so(filled: Server, visit: StartVisit) -> None:
    made = make_key()
    connection = await asyncpg.connect(filled.database_url)
    await add_key(
        connection,
        "test",
        key_id=made.id,
        token_hash=hash_token(made.token),
        name="cv team",
        role=Role.VIEWER,
        services=["cv_optimizer"],
    )
    await connection.close()
    here, admin = await visit(filled, token=made.token), await visit(filled)
    page = await here.open("?range=last-month&tz=UTC")
    await expect(page.get_by_text("Viewer · 1 service", exact=True)).to_be_visible()
    assert await page.locator(".columns .ranked .row-link").all_inner_texts() == ["cv_optimizer"]
    everything = await admin.open("?range=last-month&tz=UTC&service=cv_optimizer")
    for part in (".tiles", ".calls"):
        assert await page.locator(part).inner_text() == await everything.locator(part).inner_text()


async def test_a_session_that_ended_leads_to_the_sign_in(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, expected=REFUSED)
    page = await here.open()
    await page.context.clear_cookies()
    # It asks for the newest calls by itself.
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_an_error_is_told_and_tried_again(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, expected=REFUSED)
    page = here.page
    is_broken = True

    async def answer(route: Route) -> None:
        if is_broken:
            problem = '{"title": "unavailable", "detail": "the database does not answer"}'
            await route.fulfill(status=503, content_type="application/problem+json", body=problem)
        else:
            await route.continue_()

    await page.route("**/summary?*", answer)
    await page.goto(f"{here.origin}/admin/ai-usage?tz=UTC")
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("the database does not answer")
    await here.screenshot("error")
    # What could be loaded is shown all the same.
    await expect(page.locator(".legend-item")).not_to_have_count(0)
    is_broken = False
    await alert.get_by_role("button", name="Try again").click()
    await here.settled()
    await expect(alert).to_have_count(0)
    await expect(page.locator(".tiles .figure").first).to_contain_text("$")


async def test_filters_that_leave_nothing_can_be_cleared(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=7d&tz=UTC&service=doc_search&provider=nobody")
    nothing = page.get_by_role("region", name="No calls")
    await expect(nothing).to_contain_text("No calls match these filters")
    await here.screenshot("nothing")
    await nothing.get_by_role("button", name="Clear filters").click()
    await here.settled()
    await expect(nothing).to_have_count(0)
    assert "service" not in here.query() and here.query()["range"] == ["7d"]


async def test_a_server_that_went_away_is_told(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, expected="ERR_INTERNET_DISCONNECTED")
    page = await here.open("?tz=UTC")
    await page.context.set_offline(True)
    await page.get_by_role("tab", name="Users").click()
    await page.get_by_role("radiogroup", name="Period").get_by_text("7 days").click()
    await expect(page.get_by_role("alert").first).to_contain_text("cannot be reached")
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Refresh").click()
    await here.settled()
    await expect(page.get_by_role("alert")).to_have_count(0)
