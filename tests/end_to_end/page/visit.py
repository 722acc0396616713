"""A signed-in visit to the page in a real browser; what the browser complains about is kept and must stay empty."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Playwright, Request

    from ai_usage_exporter.server import Server

PATH: Final = "/admin/ai-usage"
API: Final = "/api/admin/ai-usage"
SCREENSHOTS: Final = Path(__file__).parents[3] / "build/screenshots"
"""Not in git: kept for whoever looks at a run."""

PATIENCE_MS: Final = 60_000
"""A busy machine is slow, not wrong."""

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")

# Heard before any script of the page runs; a violation becomes a complaint like an error.
_REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Visit:
    """Hold a page, where it came from, and every complaint of the browser and request it made."""

    page: Page
    server: Server
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return f"http://{self.server.addresses['api']}"

    async def open(self, query: str = "") -> Page:
        """Open the page and wait until every part of it has its figures."""
        await self.page.goto(f"{self.origin}{PATH}{query}")
        await self.settled()
        return self.page

    async def settled(self) -> None:
        """Wait until nothing is loading."""
        await expect(self.page.locator("main > *")).not_to_have_count(0)
        await expect(self.page.locator(".mantine-Skeleton-root, .stale, [aria-busy=true]")).to_have_count(0)

    async def ask(self, route: str, **parameters: Any) -> Any:
        """Ask the API what the page asks, as the same person."""
        query = urlencode(parameters, doseq=True)
        answer = await self.page.request.get(f"{self.origin}{API}/{route}?{query}")
        assert answer.ok, await answer.text()
        return await answer.json()

    async def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    async def questions(self, route: str) -> list[dict[str, list[str]]]:
        """Return the parameters of what the page asked of a route, in order."""
        urls = await self.page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        asked = [urlsplit(url) for url in urls]
        return [parse_qs(url.query, keep_blank_values=True) for url in asked if url.path == f"{API}/{route}"]

    def query(self) -> dict[str, list[str]]:
        """Return what the address bar says."""
        return parse_qs(urlsplit(self.page.url).query, keep_blank_values=True)


async def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium. Raises ``FileNotFoundError`` that says what to install."""
    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise FileNotFoundError("Chromium is missing: run make browser, or apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    # Tests run as root in containers, where Chromium's own sandbox cannot start.
    return await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])


async def sign_in(context: BrowserContext, server: Server, token: str | None = None) -> None:
    """Sign in as the form does, as the admin unless with another token; the context keeps the session's cookie."""
    origin = f"http://{server.addresses['api']}"
    answer = await context.request.post(
        f"{origin}{PATH}/login",
        form={"token": token or server.admin_token},
        headers={"origin": origin},
        max_redirects=0,
    )
    assert answer.status == 303, await answer.text()


async def watch(context: BrowserContext, server: Server, *, expected: str | None = None) -> Visit:
    """Open a tab whose complaints are kept, but for those that match ``expected``."""
    await context.add_init_script(_REPORT_VIOLATIONS)
    visit = Visit(await context.new_page(), server)

    def complain(text: str) -> None:
        if expected is None or not re.search(expected, text):
            visit.complaints.append(text)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complain(f"{message.type}: {message.text}")

    async def on_dialog(dialog: Dialog) -> None:
        complain(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def on_request(request: Request) -> None:
        visit.hosts.add(urlsplit(request.url).netloc)

    page: Any = visit.page
    listen: Callable[[str, Any], None] = page.on
    listen("console", on_console)
    listen("pageerror", lambda error: complain(f"exception: {error}"))
    listen("dialog", on_dialog)
    listen("request", on_request)
    return visit


def figure(text: str) -> float:
    """Read a shown amount: $1,234.50, 12.3K, 98.2 %."""
    found = re.search(r"([−-]?)\$?([\d,]+(?:\.\d+)?)([KMB]?)", text)
    assert found, text
    scale = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}[found[3]]
    return float(found[2].replace(",", "")) * scale * (-1 if found[1] else 1)


def is_shown_as(text: str, value: float) -> bool:
    """Tell whether a shown amount is the value, rounded to the digits shown."""
    found = re.search(r"[\d,]+(?:\.(\d+))?([KMB]?)", text)
    assert found, text
    step = 10 ** -len(found[1] or "") * {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}[found[2]]
    return abs(figure(text) - value) <= step / 2 + 1e-9
