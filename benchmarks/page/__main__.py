"""Measure the page: ``python -m benchmarks.page`` (ends with one JSON line).

Opens Admin → AI Usage in a real Chromium, each time with a cold cache, on the database of ``benchmarks.query`` with
10 million calls (made once, kept in ``--data``). Says when the first content is painted, when the figures are there and
when the chart is drawn, in milliseconds after the navigation began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Part, Server
from ai_usage_exporter.storage.embedded import start_embedded
from benchmarks.query.data import END, prepare
from tests.end_to_end.page.visit import PATH, PATIENCE_MS, launch, sign_in

if TYPE_CHECKING:
    from playwright.async_api import Browser

FIRST_PAINT_TARGET_MS = 1000.0
LAST_DAY = END.date()
PERIOD = f"from={LAST_DAY - timedelta(days=29)}&to={LAST_DAY + timedelta(days=1)}"
"""30 days of the database, whenever the benchmark runs."""

# Notes when something is first seen; the frame after it is when it is on the screen.
_WATCH = """
window.seen = {};
const wanted = {figures_ms: ".tiles .figure", chart_ms: ".recharts-bar-rectangle path", calls_ms: ".calls .row-link"};
const look = () => {
  for (const [name, selector] of Object.entries(wanted))
    if (!(name in window.seen) && document.querySelector(selector)) window.seen[name] = performance.now();
  if (Object.keys(window.seen).length < Object.keys(wanted).length) requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


async def open_once(browser: Browser, server: Server, zone: str) -> dict[str, float]:
    """Open the page in a fresh profile; return milliseconds by what was waited for, and the bytes sent."""
    context = await browser.new_context(viewport={"width": 1360, "height": 900})
    try:
        context.set_default_timeout(2 * PATIENCE_MS)
        await sign_in(context, server)
        await context.add_init_script(_WATCH)
        page = await context.new_page()
        await page.goto(f"http://{server.addresses['api']}{PATH}?{PERIOD}&tz={zone}")
        for selector in (".tiles .figure", ".legend-item", ".calls .row-link"):
            await page.locator(selector).first.wait_for()
        await page.locator(".recharts-bar-rectangle path").first.wait_for(state="attached")
        found: dict[str, float] = await page.evaluate(
            """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done({
              first_contentful_paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime,
              ...window.seen,
              sent_kb: performance.getEntriesByType("resource").reduce((sum, one) => sum + one.transferSize, 0) / 1000,
            }))))"""
        )
        return found
    finally:
        await context.close()


async def run(folder: Path, calls: int, rounds: int) -> int:
    """Make what is missing, measure, print."""
    folder.mkdir(parents=True, exist_ok=True)
    database = await start_embedded(folder, settings={"shared_buffers": "1GB", "max_wal_size": "4GB"})
    free = Address("127.0.0.1", 0)
    results: dict[str, list[dict[str, float]]] = {}
    try:
        url = await prepare(database.url, calls, lambda message: print(message, file=sys.stderr, flush=True))
        settings = Settings(
            database_url=url, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free, log_level="WARNING"
        )
        async with Server(settings, only=Part.API) as server, async_playwright() as playwright:
            browser = await launch(playwright)
            for zone in ("UTC", "America/New_York"):
                await open_once(browser, server, zone)  # the server's plans and the database's cache are warm after it
                results[zone] = [await open_once(browser, server, zone) for _ in range(rounds)]
            await browser.close()
    finally:
        await database.stop()
    names = list(next(iter(results.values()))[0])
    median = {
        zone: {name: round(statistics.median(one[name] for one in found), 1) for name in names}
        for zone, found in results.items()
    }
    worst = max(one["first_contentful_paint_ms"] for found in results.values() for one in found)
    print(f"{calls:,} calls, 30 days asked, cold cache; median of {rounds}")
    for zone, found in median.items():
        print(f"  {zone:18}" + "".join(f"{name.replace('_', ' ')} {value:,.0f}   " for name, value in found.items()))
    print(json.dumps({"calls": calls, "median": median, "worst_first_contentful_paint_ms": round(worst, 1)}))
    good = all(found["first_contentful_paint_ms"] <= FIRST_PAINT_TARGET_MS for found in median.values())
    return 0 if good else 1


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    default = Path(os.environ.get("BENCH_DATA_DIR") or "~/.cache/ai-usage/query").expanduser()
    parser.add_argument("--data", type=Path, default=default, help="folder of the databases (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=10_000_000, help="size of the database")
    parser.add_argument("--rounds", type=int, default=10, help="times the page is opened")
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.data, options.calls, options.rounds)))


if __name__ == "__main__":
    main()
