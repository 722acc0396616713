"""Period and filters live in the address: it can be copied, and Back leads back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]


async def test_a_row_becomes_a_filter_that_turns_around_and_back_undoes_each_step(
    filled: Server, visit: StartVisit
) -> None:
    here = await visit(filled)
    page = await here.open("?tz=UTC")
    chips = page.get_by_role("list", name="Filters in use")
    requests = page.locator(".tiles .figure").nth(1)
    everything = await requests.inner_text()
    await page.get_by_role("button", name="support_chat").click()
    await here.settled()
    await expect(chips).to_contain_text("Service is support_chat")
    assert here.query()["service"] == ["support_chat"]
    only = await requests.inner_text()
    await chips.get_by_role("button", name="Service is support_chat").click()
    await here.settled()
    await expect(chips).to_contain_text("Service is not support_chat")
    assert here.query()["not_service"] == ["support_chat"] and "service" not in here.query()
    assert int(everything.replace(",", "")) == int(only) + int((await requests.inner_text()).replace(",", ""))

    await page.go_back()
    await here.settled()
    await expect(chips).to_contain_text("Service is support_chat")
    assert await requests.inner_text() == only
    await page.go_back()
    await here.settled()
    await expect(chips).to_have_count(0)
    assert await requests.inner_text() == everything


async def test_a_copied_address_opens_the_same_page(filled: Server, visit: StartVisit) -> None:
    here, there = await visit(filled), await visit(filled)
    query = "?range=last-month&tz=Asia/Kathmandu&metric=tokens&by=action&table=user&not_model=o3&success=true"
    page = await here.open(query)
    other = await there.open(page.url[len(f"{here.origin}/admin/ai-usage") :])
    assert there.query() == here.query()
    for part in (".tiles", ".legend", ".columns .ranked", ".calls", ".chips"):
        assert await page.locator(part).inner_text() == await other.locator(part).inner_text()


async def test_filters_are_found_by_typing_users_too(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?tz=UTC")
    search = page.get_by_role("textbox", name="Add a filter")
    await search.fill("haiku")
    await page.get_by_role("option", name="claude-haiku-4-5").click()
    assert here.query()["model"] == ["claude-haiku-4-5"]
    await search.fill("user-6@ex")
    await page.get_by_role("option", name="user-6@example.com").click()
    await here.settled()
    assert here.query()["user"] == ["user-6"]
    rows = await page.locator(".calls tbody tr").all_inner_texts()
    assert rows and all("user-6@example.com" in row and "claude-haiku-4-5" in row for row in rows)
    await page.get_by_role("button", name="Remove the filter User user-6").click()
    assert "user" not in here.query()
    await page.get_by_role("button", name="Clear filters").click()
    assert "model" not in here.query()


async def test_periods_are_days_of_the_chosen_time_zone(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open()
    # Nothing said: the browser's own zone.
    assert here.query()["tz"] == ["Europe/Berlin"]
    for name, parameters in (
        ("24 h", {"days"}),
        ("7 days", {"days"}),
        ("Today", {"from"}),
        ("Month to date", {"from"}),
        ("Last month", {"from", "to"}),
    ):
        await page.get_by_role("radiogroup", name="Period").get_by_text(name, exact=True).click()
        await here.settled()
        assert set((await here.questions("summary"))[-1]) == parameters | {"tz", "top_users"}
    before = (await here.questions("summary"))[-1]
    assert before["from"][0].endswith("-01") and before["to"][0].endswith("-01")
    zone = page.get_by_role("combobox", name="Time zone of days and hours")
    await zone.fill("Kathm")
    await page.get_by_role("option", name="Asia/Kathmandu").click()
    await here.settled()
    await expect(page.locator(".as-of")).to_contain_text("Asia/Kathmandu")
    asked = {name: values[0] for name, values in (await here.questions("summary"))[-1].items()}
    summary = await here.ask("summary", **asked)
    assert summary["from"].endswith("T00:00:00+05:45")


async def test_a_free_range_is_chosen_by_its_days(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?tz=UTC")
    await page.get_by_role("button", name="Custom").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Previous month").click()
    days = dialog.locator("button[aria-label]:not([data-outside])")
    await days.filter(has_text="10").first.click()
    await days.filter(has_text="12").first.click()
    await here.settled()
    start, end = here.query()["from"][0], here.query()["to"][0]
    assert (start[-2:], end[-2:]) == ("10", "13") and start[:7] == end[:7]
    await page.get_by_text("The same figures as a table").click()
    # Three whole days, by the hour.
    assert await page.locator(".behind tbody tr").count() == 72
    await expect(page.locator(".custom-range")).to_contain_text("10")
    await expect(page.locator(".custom-range")).to_contain_text("12")


async def test_a_click_on_the_chart_filters_a_drag_zooms_and_a_double_click_leads_back(
    filled: Server, visit: StartVisit
) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC&by=provider")
    chart = page.locator(".chart")
    await chart.scroll_into_view_if_needed()
    legend = page.locator(".legend")
    whole = await legend.inner_text()
    bars = page.locator(".recharts-bar-rectangle path")
    boxes = [box for bar in await bars.all() if (box := await bar.bounding_box()) and box["height"] > 6]
    first, last = min(boxes, key=lambda box: box["x"]), max(boxes, key=lambda box: box["x"])
    middle = boxes[0]["y"]
    await page.mouse.move(first["x"] + 3, middle)
    await page.mouse.down()
    await page.mouse.move((first["x"] + last["x"]) / 2, middle, steps=6)
    await page.mouse.up()
    await page.wait_for_url("**from=**")
    await here.settled()
    zoomed = here.query()
    assert zoomed["from"][0] < zoomed["to"][0] and "range" not in zoomed
    await chart.locator("svg").first.dblclick(position={"x": 200, "y": 12})
    await page.wait_for_url("**range=last-month**")
    await here.settled()
    await expect(legend).to_have_text(whole, use_inner_text=True)
    await page.locator(".recharts-bar").first.locator("path").nth(8).click()
    await page.wait_for_url("**provider=**")
    name = await page.locator(".legend-item").first.inner_text()
    assert name.startswith(here.query()["provider"][0])
