"""What the page shows is what the API answers, whichever way it is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.end_to_end.page.visit import figure, is_shown_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]

# A whole past month: no figure of it changes while the test looks.
LAST_MONTH = "?range=last-month&tz=UTC"


def cost_of(sums: dict[str, Any]) -> float:
    """Return the exact cost: the API's ``cost`` is rounded already."""
    return float(sums["cost_usd"])


def amount_of(sums: dict[str, Any], metric: str) -> float:
    """Return what a metric's bar is as high as."""
    return cost_of(sums) if metric == "Cost" else sums[metric.lower()]


async def last_month(here: Visit) -> dict[str, str]:
    """Return the month's ends as the page's own questions name them."""
    asked = (await here.questions("summary"))[0]
    return {name: asked[name][0] for name in ("from", "to", "tz")}


async def test_the_headline_figures_are_those_of_the_api(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open(LAST_MONTH)
    period = await last_month(here)
    summary = await here.ask("summary", **period)
    totals, before = summary["totals"], summary["previous"]["totals"]
    tiles = {await tile.locator("p").first.inner_text(): tile for tile in await page.locator(".tiles > li").all()}
    assert dict.fromkeys(tiles) == dict.fromkeys(
        ("Cost", "Requests", "Tokens", "Cost per request", "Active users", "Uncosted")
    )

    async def shown(name: str) -> str:
        return await tiles[name].locator(".figure").inner_text()

    assert is_shown_as(await shown("Cost"), cost_of(totals))
    assert is_shown_as(await shown("Requests"), totals["requests"])
    assert is_shown_as(await shown("Tokens"), totals["tokens"])
    assert is_shown_as(await shown("Cost per request"), cost_of(totals) / totals["requests"])
    users = await here.ask("breakdown", group_by="user", not_user="", limit=1000, **period)
    assert is_shown_as(await shown("Active users"), len(users["rows"]))
    assert is_shown_as(await shown("Uncosted"), totals["requests"] - totals["priced_requests"])

    change = await tiles["Cost"].locator(".change").inner_text()
    assert is_shown_as(change, 100 * (cost_of(totals) - cost_of(before)) / cost_of(before))
    errors = await tiles["Requests"].locator(".tile-link").inner_text()
    assert f"({totals['failed']})" in errors and is_shown_as(errors, 100 * totals["failed"] / totals["requests"])
    await tiles["Tokens"].get_by_role("button").click()
    kinds = await tiles["Tokens"].locator(".kinds").inner_text()
    assert f"{totals['cache_read_tokens']:,}" in kinds and f"{totals['reasoning_tokens']:,}" in kinds


async def test_the_chart_and_the_table_behind_it_are_the_timeseries(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open(LAST_MONTH)
    period = await last_month(here)
    await page.get_by_text("The same figures as a table").click()
    for group, label, metric in (
        ("service", "by service", "Cost"),
        ("user", "by user", "Tokens"),
        ("provider", "by provider", "Requests"),
    ):
        await page.get_by_role("combobox", name="Stack by").click()
        await page.get_by_role("option", name=label).click()
        await page.get_by_role("radiogroup", name="What the bars show").get_by_text(metric).click()
        await here.settled()
        assert here.query()["by"] == [group] and here.query().get("metric", ["cost"]) == [metric.lower()]
        answer = await here.ask("timeseries", group_by=group, limit=7, **period)
        names = ["Other" if series["is_other"] else series["name"] for series in answer["series"]]
        legend = page.locator(".legend-item")
        for text, name, series in zip(await legend.all_inner_texts(), names, answer["series"], strict=True):
            assert text.startswith(name)
            assert is_shown_as(text.removeprefix(name), amount_of(series["totals"], metric))
        assert await page.locator(".recharts-bar").count() == len(names)

        table = page.locator(".behind table")
        assert (await table.locator("thead th").all_inner_texts())[1:] == names
        rows = await table.locator("tbody tr").all()
        assert len(rows) == len(answer["buckets"])
        for index in (0, len(rows) // 2, len(rows) - 1):
            cells = await rows[index].locator("td").all_inner_texts()
            points = [amount_of(series["points"][index], metric) for series in answer["series"]]
            assert all(is_shown_as(cell, point) for cell, point in zip(cells, points, strict=True))


async def test_each_table_is_the_breakdown(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open(LAST_MONTH)
    period = await last_month(here)
    for dimension in ("service", "model", "provider", "user", "action"):
        await page.get_by_role("tab", name=f"{dimension.capitalize()}s").click()
        await here.settled()
        answer = await here.ask("breakdown", group_by=dimension, limit=25, **period)
        rows = await page.locator(".columns .ranked tbody tr:not(.other-row)").all()
        assert len(rows) == len(answer["rows"])
        for row, expected in zip(rows, answer["rows"], strict=True):
            name, cost, requests, tokens = (await row.locator("th, td").all_inner_texts())[:4]
            assert name == (expected["user_email"] or expected["group"][dimension] or "(none)")
            assert is_shown_as(cost, cost_of(expected))
            assert is_shown_as(requests, expected["requests"])
            assert is_shown_as(tokens, expected["tokens"])
        if answer["other"] is not None:
            assert f"{answer['other']['groups']} more" in await page.locator(".other-row").inner_text()


async def test_a_table_is_sorted_by_its_headings(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open(f"{LAST_MONTH}&table=model")

    async def column(number: int) -> list[float]:
        cells = await page.locator(
            f".columns .ranked tbody tr:not(.other-row) td:nth-of-type({number})"
        ).all_inner_texts()
        return [figure(cell) for cell in cells]

    requests = page.get_by_role("columnheader", name="Requests")
    await requests.get_by_role("button").click()
    await here.settled()
    assert here.query()["sort"] == ["requests"]
    assert await requests.get_attribute("aria-sort") == "descending"
    assert (found := await column(2)) == sorted(found, reverse=True) and len(found) > 5
    await requests.get_by_role("button").click()
    await here.settled()
    assert await requests.get_attribute("aria-sort") == "ascending"
    assert await column(2) == sorted(found)


async def test_errors_are_counted_among_the_failed_calls_and_lead_to_them(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open(LAST_MONTH)
    period = await last_month(here)
    await page.get_by_role("tab", name="Errors").click()
    await here.settled()
    summary = await here.ask("summary", **period)
    rows = await page.locator(".columns .ranked tbody tr").all()
    shown = {await row.locator(".row-link").inner_text(): await row.locator("td").first.inner_text() for row in rows}
    assert {name: int(count) for name, count in shown.items()} == summary["errors_by_code"]
    code = next(iter(shown))
    await page.get_by_role("button", name=code, exact=True).click()
    await here.settled()
    assert here.query()["error_code"] == [code]
    assert await page.locator(".tiles .figure").nth(1).inner_text() == shown[code]


async def test_the_coverage_names_the_models_without_a_price_and_leads_to_their_calls(
    filled: Server, visit: StartVisit
) -> None:
    here = await visit(filled)
    page = await here.open(LAST_MONTH)
    totals = (await here.ask("summary", **await last_month(here)))["totals"]
    line = page.locator(".coverage")
    text = await line.inner_text()
    assert is_shown_as(text, 100 * totals["priced_requests"] / totals["requests"])
    assert "1 model without a price: acme-llama-70b" in text
    await line.get_by_role("button").click()
    await here.settled()
    assert set(here.query()["cost_status"]) == {"unpriced", "estimated"}
    models = await page.locator(".calls tbody .model-cell").all_inner_texts()
    assert models and all("acme-llama-70b" in model for model in models)


async def test_what_changed_is_the_difference_of_the_two_periods_gone_models_included(
    filled: Server, visit: StartVisit
) -> None:
    here = await visit(filled)
    page = await here.open("?range=7d&tz=UTC")
    previous = (await here.ask("summary", days=7, tz="UTC"))["previous"]
    now = await here.ask("breakdown", group_by=["model", "action"], limit=1000, days=7, tz="UTC")
    before = await here.ask(
        "breakdown", group_by=["model", "action"], limit=1000, **{"from": previous["from"], "to": previous["to"]}
    )
    moved: dict[tuple[Any, Any], float] = {}
    for sign, answer in ((1, now), (-1, before)):
        for row in answer["rows"]:
            key = (row["group"]["model"], row["group"]["action"])
            moved[key] = moved.get(key, 0) + sign * cost_of(row)
    expected = sorted(moved.items(), key=lambda item: -abs(item[1]))[:4]
    shown = await page.locator(".mover").all_inner_texts()
    assert len(shown) == len(expected)
    for text, ((model, action), amount) in zip(shown, expected, strict=True):
        name, what, change = (part for part in text.split("\n") if part.strip())
        assert (name, what, change[0]) == (model, action, "+" if amount > 0 else "−")
        assert is_shown_as(change[1:], abs(amount))


async def test_the_forecast_lies_between_its_bounds_and_above_what_is_spent(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open()
    card = page.get_by_role("region", name="This month")
    expected = figure(await card.locator(".figure").inner_text())
    between = await card.get_by_text("expected at month end").inner_text()
    low, high = (figure(part) for part in between.split("between")[1].split("and"))
    spent = figure(await card.get_by_text("spent,").inner_text())
    assert spent <= low <= expected <= high
