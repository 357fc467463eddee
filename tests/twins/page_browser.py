"""A real Chromium, driven by Playwright, on the pages of a department's server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from desk_twins import Department
from page_reader import Reader
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from sync.department.pages.street_map import StreetMap

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 300_000  # the machine may be loaded
COLOR_RULES = (
    "color-contrast",
    "link-in-text-block",
)  # the only axe rules that the dark scheme can break and the light one cannot
AXE_OPTIONS: dict[str, object] = {
    "resultTypes": ["violations"],
    "selectors": False,  # a fault shows the element's markup instead
    "iframes": False,
    "preload": False,  # no page has style sheets or media from elsewhere
}
# all rows of a table come from one template, so a dozen of them are enough
FAULTS = """options => axe.run({exclude: [['tbody tr:nth-child(n+13)']]}, options).then(found =>
  found.violations.map(one => one.id + ': ' + one.nodes[0].html.slice(0, 200)))"""


@dataclass
class Window:
    """One person's browser, with its own cookies and the errors that its pages logged."""

    context: BrowserContext
    page: Page
    department: Department
    base: str
    complaints: list[str] = field(default_factory=list)

    def logon(self, user: str, *, then: str = "/") -> None:
        """Log in through the page, using only the keyboard."""
        self.department.clock.step(31_000_000)
        self.page.goto(f"{self.base}/logon?next={then}")
        self.page.locator("#user").press_sequentially(user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(self.department.secrets[user][0])
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(self.department.code(user))
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.base}{then}")

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def cut_off(self) -> list[str]:
        """What is wider than the window: the page, or a table in it that must be scrolled sideways."""
        wide = "(one) => one.scrollWidth > one.clientWidth"
        parts = self.page.locator(".scroll").all()
        tables = [str(one.get_attribute("aria-label")) for one in parts if one.evaluate(wide)]
        page = ["the page"] if self.page.locator("html").evaluate(wide) else []
        return [f"{self.page.url}: {one}" for one in page + tables]

    def faults(self, *rules: str) -> list[str]:
        """What axe-core finds on the page, whatever its impact. rules: check only these."""
        if not self.page.evaluate("typeof window.axe === 'object'"):
            self.page.evaluate(AXE_SCRIPT)
        options = AXE_OPTIONS | ({"runOnly": {"type": "rule", "values": list(rules)}} if rules else {})
        return [f"{self.page.url}: {fault}" for fault in self.page.evaluate(FAULTS, options)]

    def faults_by_day_and_night(self) -> list[str]:
        """The same in both color schemes: every rule in the light one, only those of colors in the dark."""
        self.page.emulate_media(color_scheme="light")
        found = self.faults()
        self.page.emulate_media(color_scheme="dark")
        return found + [f"by night: {one}" for one in self.faults(*COLOR_RULES)]


def prove(window: Window, user: str) -> None:
    """Fill in the page for a fresh proof. The clock advances by the life of a code."""
    window.page.get_by_role("heading", name="Prove it is you").wait_for()
    window.department.clock.step(31_000_000)
    window.page.locator("#password").fill(window.department.secrets[user][0])
    window.page.locator("#code").fill(window.department.code(user))
    window.page.get_by_role("button", name="Prove it").click()


class Windows:
    """The browsers at one department's desk."""

    def __init__(self, department: Department, base: str, browser: Browser) -> None:
        self.department, self.base, self._browser = department, base, browser
        self.made: list[Window] = []

    def open(self, **options: Any) -> Window:
        """Open an empty browser. The options are those of Playwright's context."""
        context = self._browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        window = Window(context, page, self.department, self.base)
        page.on("console", lambda one: window.complaints.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda error: window.complaints.append(f"error: {error}"))
        self.made.append(window)
        return window

    def close(self) -> None:
        for one in self.made:
            one.context.close()
        self.made.clear()


@contextmanager
def windows(department: Department, street_map: StreetMap | None = None) -> Iterator[Windows]:
    """Start Chromium and a server of this department."""
    with Reader.desk(department, street_map) as make, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS), timeout=PATIENCE_MS)
        made = Windows(department, make().base, browser)
        try:
            yield made
        finally:
            made.close()
            browser.close()
