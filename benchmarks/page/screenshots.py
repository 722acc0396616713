"""Take the pictures of the page in ``docs/images``: ``python -m benchmarks.page.screenshots``.

Light and dark, with the demo's calls, with two months of made-up calls, and with the 10 million of ``benchmarks.query``
(left out with ``--without-large``).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.demo.provider import stand_in_provider
from ai_usage_exporter.demo.run import app_environment, demo_settings, run_app, wait_for_calls
from ai_usage_exporter.server import Part, Server
from ai_usage_exporter.storage.embedded import start_embedded
from benchmarks.page.__main__ import PERIOD
from benchmarks.query.data import prepare
from tests.end_to_end.page.conftest import fill
from tests.end_to_end.page.usage import make_month
from tests.end_to_end.page.visit import launch, sign_in, watch

if TYPE_CHECKING:
    from playwright.async_api import Browser

IMAGES = Path(__file__).parents[2] / "docs/images"


async def take(browser: Browser, server: Server, name: str, query: str, *, call: bool = False) -> None:
    """Write ``name-light.webp`` and ``name-dark.webp``; ``call`` opens the newest call first."""
    for scheme in ("light", "dark"):
        context = await browser.new_context(
            viewport={"width": 1280, "height": 860}, color_scheme="dark" if scheme == "dark" else "light"
        )
        await sign_in(context, server)
        visit = await watch(context, server)
        page = await visit.open(query)
        await page.locator(".recharts-bar-rectangle path").first.wait_for(state="attached")
        if call:
            await page.locator(".calls .row-link").first.click()
            await page.locator(".calculation").wait_for()
        height = 860 if call else await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": 1280, "height": height})
        await visit.settled()
        protocol = await context.new_cdp_session(page)
        picture = await protocol.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
        file = IMAGES / f"{name}-{scheme}.webp"
        file.write_bytes(base64.b64decode(picture["data"]))
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
        await context.close()


async def run(folder: Path, *, large: bool) -> None:
    """Start a server for each set of calls and take its pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    free = Address("127.0.0.1", 0)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        with tempfile.TemporaryDirectory(prefix="ai-usage-screenshots-") as directory:
            async with Server(demo_settings(Path(directory) / "demo")) as server:
                with stand_in_provider() as provider:
                    await run_app(app_environment(server, provider))
                await wait_for_calls(server.database_url, len(provider.ledger))
                await take(browser, server, "page-demo", "?range=24h&tz=UTC")
            async with Server(demo_settings(Path(directory) / "month")) as server:
                await fill(server, make_month())
                await take(browser, server, "page", "?range=30d&tz=UTC")
                await take(browser, server, "call", "?range=30d&tz=UTC&model=claude-sonnet-4-5&success=true", call=True)
        if large:
            database = await start_embedded(folder, settings={"shared_buffers": "1GB", "max_wal_size": "4GB"})
            try:
                url = await prepare(database.url, 10_000_000, print)
                settings = Settings(
                    database_url=url, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free, log_level="WARNING"
                )
                async with Server(settings, only=Part.API) as server:
                    await take(browser, server, "page-10m", f"?{PERIOD}&tz=UTC")
            finally:
                await database.stop()
        await browser.close()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page.screenshots", description=__doc__)
    default = Path(os.environ.get("BENCH_DATA_DIR") or "~/.cache/ai-usage/query").expanduser()
    parser.add_argument("--data", type=Path, default=default, help="folder of the databases (default: %(default)s)")
    parser.add_argument("--without-large", action="store_true", help="leave out the 10 million calls")
    options = parser.parse_args()
    asyncio.run(run(options.data, large=not options.without_large))


if __name__ == "__main__":
    main()
