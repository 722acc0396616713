"""Files hold exactly what is shown."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tests.end_to_end.page.visit import is_shown_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]


async def download(page: Page, card: str, label: str) -> list[list[str]]:
    """Take a card's file and return its lines."""
    await page.get_by_role("button", name=f"{card}: download").click()
    async with page.expect_download() as started:
        await page.get_by_role("menuitem", name=label).click()
    file = await (await started.value).path()
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


async def test_the_tables_file_holds_the_rows_shown_in_their_order(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC&table=user&sort=requests&not_service=doc_search")
    header, *lines = await download(page, "Who and what", "This table (CSV)")
    shown = [await row.locator("th, td").all_inner_texts() for row in await page.locator(".columns tbody tr").all()]
    assert len(shown) == len(lines) == 26
    users = await here.ask("breakdown", group_by="user", days=90, limit=1000)
    emails = {row["group"]["user"]: row["user_email"] for row in users["rows"]}
    for line, (name, cost, requests, tokens, *_) in zip(lines, shown, strict=True):
        values = dict(zip(header, line, strict=True))
        assert values["user"].startswith("other") or name == (emails[values["user"]] or values["user"])
        assert is_shown_as(cost, float(values["cost_usd"]))
        assert is_shown_as(requests, int(values["requests"]))
        assert is_shown_as(tokens, int(values["tokens"]))
    everything = await download(page, "Who and what", "All of its rows (CSV)")
    assert everything[1:26] == lines[:25] and not any(line[0].startswith("other") for line in everything)


async def test_the_calls_file_holds_every_call_that_the_filters_leave(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC&provider=google&success=true")
    header, *lines = await download(page, "Newest calls", "These calls, all of them (CSV)")
    requests = await page.locator(".tiles .figure").nth(1).inner_text()
    assert len(lines) == int(requests.replace(",", ""))
    calls = [dict(zip(header, line, strict=True)) for line in lines]
    assert {(call["provider"], call["success"]) for call in calls} == {("google", "true")}
    cost = await page.locator(".tiles .figure").first.inner_text()
    assert is_shown_as(cost, sum(float(call["cost_usd"]) for call in calls))


async def test_the_charts_file_holds_the_lines_that_are_not_hidden(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC&by=service")
    (question,) = [one for one in await here.questions("timeseries") if "group_by" in one]
    asked = {name: values[0] for name, values in question.items()}
    await page.get_by_role("button", name="support_chat").first.click()
    header, *lines = await download(page, "Cost over time", "This chart (CSV)")
    answer = await here.ask("timeseries", **asked)
    series = [one for one in answer["series"] if one["name"] != "support_chat"]
    assert header == ["from", "to", *(one["name"] for one in series)]
    assert lines == [
        [bucket["start"], bucket["end"], *(one["points"][index]["cost_usd"] for one in series)]
        for index, bucket in enumerate(answer["buckets"])
    ]


async def test_copy_as_curl_asks_for_what_the_card_shows(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled, permissions=["clipboard-read", "clipboard-write"])
    page = await here.open("?range=last-month&tz=UTC&by=action&not_model=o3")
    await page.get_by_role("button", name="Cost over time: copy as curl").click()
    text = await page.evaluate("navigator.clipboard.readText()")
    assert text.startswith('curl -H "Authorization: Bearer $AI_USAGE_TOKEN" \'http://')
    assert filled.admin_token not in text
    answer = await page.request.get(text.split("'")[1])
    names = ["Other" if one["is_other"] else one["name"] for one in (await answer.json())["series"]]
    legend = await page.locator(".legend-item").all_inner_texts()
    assert [item.split("$")[0].strip() for item in legend] == names
