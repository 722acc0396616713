"""Names come from telemetry, so from anybody: the page shows them as text and runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playwright.async_api import expect

from ai_usage_exporter.price import price
from tests.end_to_end.page.conftest import fill
from tests.factories import make_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]

NAMES: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'><svg/onload=alert(3)>",
    "javascript:alert(4)",
    "</style><script src=https://evil.example/x.js></script>",
    "{{constructor.constructor('alert(5)')()}}",
    '<a href="javascript:alert(6)">x</a>',
    '<iframe srcdoc="<script>alert(7)</script>">',
    '<style>@import "https://evil.example/x.css"</style>',
    "__proto__",
    "constructor",
    "\u202egnp.exe",
    "a&b=c#d?e/../%00%2e",
    "<img src=https://evil.example/pixel.png>",
)


async def test_names_are_shown_as_text_and_run_nothing(empty: Server, visit: StartVisit) -> None:
    """That nothing ran, loaded or was blocked is what every visit checks at its end."""
    await fill(
        empty,
        [
            price(
                make_record(
                    model=name,
                    request_model=name,
                    service_name=name,
                    service_action=name,
                    provider=name,
                    user=name,
                    user_email=None,
                    success=False,
                    error_code=name[:64],
                    error_message=name,
                )
            )
            for name in NAMES
        ],
    )
    here = await visit(empty)
    page = await here.open("?tz=UTC&metric=requests")
    for tab in ("Services", "Models", "Providers", "Users", "Actions", "Errors"):
        await page.get_by_role("tab", name=tab).click()
        await here.settled()
        rows = await page.locator(".columns .ranked .row-link").all_text_contents()
        assert sorted(rows) == sorted(name[:64] for name in NAMES) if tab == "Errors" else sorted(rows) == sorted(NAMES)
    legend = "".join(await page.locator(".legend-item").all_text_contents())
    assert sum(name in legend for name in NAMES) >= 7
    await page.locator(".recharts-bar-rectangle path").last.hover()

    for name in (NAMES[1], "a&b=c#d?e/../%00%2e"):
        await page.get_by_role("textbox", name="Add a filter").fill(name)
        await page.get_by_role("option", name=name, exact=True).first.click()
        await here.settled()
        assert name in {value for values in here.query().values() for value in values}
        await expect(page.locator(".chips")).to_contain_text(name)
        await page.locator(".calls tbody .row-link").first.click()
        drawer = page.get_by_role("dialog", name="Call")
        await expect(drawer.locator(".error-box")).to_contain_text(name)
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Clear filters").click()
        await here.settled()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("script")
    await expect(page.get_by_role("button", name="<script>alert(1)</script>").first).to_be_visible()
