"""The page for everybody: by keyboard, by screen reader, in light and dark, on a phone, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]

AXE: Final = Path(__file__).parents[3] / "exporter/ui/node_modules/axe-core/axe.min.js"


async def findings(page: Page) -> list[str]:
    """Return what axe-core finds wrong."""
    if not AXE.is_file():
        pytest.fail("axe-core is missing: run make browser")
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "() => axe.run().then(({ violations }) => violations.flatMap((one) =>"
        " one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 160)}`)))"
    )
    return list(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(filled: Server, visit: StartVisit, scheme: str) -> None:
    here = await visit(filled, color_scheme=scheme)
    page = await here.open("?tz=UTC&not_model=o3")
    await here.screenshot(scheme)
    assert await findings(page) == []
    await page.get_by_text("The same figures as a table").click()
    await page.get_by_role("button", name="Input, cached, output").click()
    await page.get_by_role("tab", name="Errors").click()
    await here.settled()
    assert await findings(page) == []
    await page.locator(".calls tbody .row-link").first.click()
    await expect(page.get_by_role("dialog", name="Call").get_by_role("table")).to_be_visible()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Custom").click()
    await expect(page.get_by_role("button", name="Previous month")).to_be_visible()
    assert await findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_before_there_is_something_to_see(
    empty: Server, visit: StartVisit, scheme: str
) -> None:
    here = await visit(empty, color_scheme=scheme)
    page = await here.open()
    await expect(page.get_by_role("region", name="First call")).to_be_visible()
    assert await findings(page) == []
    here = await visit(empty, color_scheme=scheme, signed_in=False, expected="401")
    await here.page.goto(f"{here.origin}/admin/ai-usage")
    assert await findings(here.page) == []


async def test_everything_can_be_done_by_keyboard(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?tz=UTC")
    reached: list[str] = []
    for _ in range(80):
        await page.keyboard.press("Tab")
        name, is_seen = await page.evaluate(
            """() => {
              const one = document.activeElement;
              const style = getComputedStyle(one), around = getComputedStyle(one.parentElement);
              const label = one.nextElementSibling ? getComputedStyle(one.nextElementSibling) : style;
              const marked = [style, around, label].some((s) => s.outlineStyle !== "none" || s.boxShadow !== "none");
              const field = one.matches("input") && style.borderColor !== "rgba(0, 0, 0, 0)";
              return [one.getAttribute("aria-label") || one.innerText || one.value || one.tagName, marked || field];
            }"""
        )
        reached.append(name.strip())
        assert is_seen, f"nothing shows that the focus is on {name!r}"
        if name.strip().startswith("Show older calls"):
            break
    wanted = ("Custom", "Time zone of days and hours", "Add a filter", "Refresh", "Stack by", "support_chat")
    assert not [name for name in wanted if not any(name in one for one in reached)]
    assert reached[-1] == "Show older calls"

    # Back up to a call, open it, close it: the focus is where it was.
    await page.keyboard.press("Shift+Tab")
    opened = await page.evaluate("document.activeElement.innerText")
    await page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="Call")
    await expect(drawer.get_by_role("region", name="How the cost came about")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(page.locator(":focus")).to_have_text(opened)

    await page.keyboard.press("Control+k")
    search = page.get_by_role("textbox", name="Do or find")
    await expect(search).to_be_focused()
    await page.keyboard.type("chart tokens")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Tokens over time")).to_be_visible()
    assert here.query()["metric"] == ["tokens"]


async def test_the_colours_follow_the_system_or_the_choice(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, color_scheme="dark")
    page = await here.open()
    scheme = page.locator("html")
    await expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
    await page.emulate_media(color_scheme="light")
    await expect(scheme).to_have_attribute("data-mantine-color-scheme", "light")
    for chosen in ("light", "dark"):
        await page.get_by_role("button", name="Colours:").click()
        await expect(scheme).to_have_attribute("data-mantine-color-scheme", chosen)
    await page.reload()
    await here.settled()
    await expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")


@pytest.mark.parametrize("width", [360, 414])
async def test_a_phone_shows_it_without_scrolling_sideways(filled: Server, visit: StartVisit, width: int) -> None:
    here = await visit(filled, viewport={"width": width, "height": 800}, has_touch=True, is_mobile=True)
    page = await here.open("?tz=UTC&service=support_chat")
    await here.screenshot(f"phone-{width}")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    for part in (".tiles", ".chart", ".columns .ranked", ".calls", ".chips"):
        box = await page.locator(part).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width, part
    await page.locator(".calls tbody .row-link").first.click()
    await expect(page.get_by_role("dialog", name="Call").get_by_role("table")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_paper_holds_the_whole_chart_and_no_controls(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC&service=support_chat")
    drawn = await page.locator(".chart .recharts-bar-rectangle path").count()
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 718, "height": 1000})  # A4 between its margins
    chart = await page.locator(".chart .recharts-surface").first.bounding_box()
    assert chart is not None and 150 < chart["height"] < 400 and chart["x"] + chart["width"] <= 718
    paths = await page.locator(".chart .recharts-bar-rectangle path").all()
    bars = [box for path in paths if (box := await path.bounding_box())]
    assert len(bars) == drawn > 20
    assert all(chart["x"] <= bar["x"] and bar["x"] + bar["width"] <= chart["x"] + chart["width"] for bar in bars)
    await expect(page.locator(".filter-bar")).to_be_hidden()
    await expect(page.get_by_role("button", name="Refresh")).to_be_hidden()
    await expect(page.locator(".print-only")).to_contain_text("Service is support_chat")
    await expect(page.locator(".print-only")).to_contain_text("(UTC)")
    await here.screenshot("paper")
