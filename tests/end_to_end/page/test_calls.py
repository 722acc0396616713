"""Calls: the newest ones as they come, and one call with the calculation of its cost."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from playwright.async_api import expect

from tests.end_to_end.page.conftest import fill
from tests.end_to_end.page.usage import make_month

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_usage_exporter.server import Server
    from tests.end_to_end.page.visit import Visit

    StartVisit = Callable[..., Awaitable[Visit]]


async def send_call(server: Server, model: str) -> None:
    """Send one span over OTLP, as an app does."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\x01" * 16, b"\x02" * 8, f"chat {model}"
    span.end_time_unix_nano = time.time_ns()
    span.start_time_unix_nano = span.end_time_unix_nano - 800_000_000
    for key, value in (
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", model),
        ("user.id", "someone-new"),
    ):
        span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    for key, number in (("gen_ai.usage.input_tokens", 4321), ("gen_ai.usage.output_tokens", 98)):
        span.attributes.append(KeyValue(key=key, value=AnyValue(int_value=number)))
    async with httpx2.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"http://{server.addresses['otlp_http']}/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
        )
    assert answer.status_code == 200, answer.text


async def test_a_call_explains_its_cost_line_by_line(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    # A model with all kinds of tokens.
    page = await here.open("?range=last-month&tz=UTC&model=claude-sonnet-4-5&success=true")
    await page.locator(".calls tbody .row-link").first.click()
    drawer = page.get_by_role("dialog", name="Call")
    table = drawer.get_by_role("table")
    await expect(table).to_be_visible()
    call = await here.ask(f"logs/{here.query()['call'][0]}")
    lines = [await row.locator("th, td").all_inner_texts() for row in await table.locator("tbody tr").all()]
    *parts, total = lines
    assert len(parts) == len(call["calculation"]) >= 2
    for unit, count, rate, amount in parts:
        assert Decimal(count.replace(",", "")) * Decimal(rate) / 1_000_000 == Decimal(amount), unit
    assert sum(Decimal(part[-1]) for part in parts) == Decimal(total[-1]) == Decimal(call["cost_usd"])
    text = await drawer.inner_text()
    assert f"{call['price']['provider']} / {call['price']['model']}" in text
    assert call["price"]["source"] in text and call["price"]["version"] in text
    assert call["trace_id"] in text and call["user"] in text
    await here.screenshot("call")

    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    assert "call" not in here.query()
    await page.go_forward()
    await expect(table).to_be_visible()
    await page.reload()
    await expect(drawer.get_by_role("table")).to_be_visible()


async def test_a_call_without_a_price_says_so(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?model=acme-llama-70b&success=true")
    row = page.locator(".calls tbody tr").first
    status = (await here.ask("logs", model="acme-llama-70b", success="true", limit=1))["items"][0]["cost_status"]
    await row.locator(".row-link").click()
    drawer = page.get_by_role("dialog", name="Call")
    await expect(drawer).to_contain_text("No price is known for this model")
    await expect(drawer).to_contain_text(status)


async def test_older_calls_are_shown_without_gap_or_repetition(filled: Server, visit: StartVisit) -> None:
    here = await visit(filled)
    page = await here.open("?range=last-month&tz=UTC")
    await page.get_by_role("button", name="Show older calls").click()
    rows = page.locator(".calls tbody tr")
    await expect(rows).to_have_count(62)
    asked = {name: values[0] for name, values in (await here.questions("logs"))[0].items()} | {"limit": "62"}
    expected = (await here.ask("logs", **asked))["items"]
    shown = await page.locator(".calls tbody td:nth-child(6)").all_inner_texts()
    assert shown == [f"{call['input_tokens']:,}" for call in expected]


async def test_a_call_appears_by_itself_seconds_after_it_was_sent(empty: Server, visit: StartVisit) -> None:
    await fill(empty, make_month(40))
    here = await visit(empty)
    page = await here.open("?tz=UTC")
    before = int(await page.locator(".tiles .figure").nth(1).inner_text())
    await expect(page.get_by_role("switch", name="Live")).to_be_checked()
    await send_call(empty, "gpt-4.1")
    first = page.locator(".calls tbody tr").first
    await expect(first).to_contain_text("someone-new")
    await expect(first).to_contain_text("gpt-4.1")
    await expect(first).to_contain_text("4,321")
    await page.get_by_role("button", name="Refresh").click()
    await expect(page.locator(".tiles .figure").nth(1)).to_have_text(str(before + 1))


async def test_the_first_call_replaces_the_first_steps(empty: Server, visit: StartVisit) -> None:
    here = await visit(empty, permissions=["clipboard-read", "clipboard-write"])
    page = await here.open()
    first = page.get_by_role("region", name="First call")
    await expect(first).to_contain_text(f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{empty.addresses['otlp_http']}")
    await expect(first.get_by_role("status")).to_contain_text("Waiting for the first span")
    await first.get_by_role("button", name="Copy").click()
    await expect(first.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == await first.locator("code").inner_text()
    await here.screenshot("first-run")
    await send_call(empty, "gpt-4o-mini")
    await expect(first).to_have_count(0)
    await expect(page.locator(".calls tbody tr")).to_have_count(1)
    await expect(page.locator(".tiles .figure").nth(1)).to_have_text("1")
