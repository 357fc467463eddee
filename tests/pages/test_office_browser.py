"""The office's pages in a real chromium: axe-core by day and by night, no complaint, a day by hand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_twins import Department, open_copy

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is opened")
from axe_playwright_python.sync_playwright import Axe
from page_browser import CHROMIUM, Window, Windows, prove, windows

from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.pages import auditing, governing, holding, machines, openness, sharing, staffing
from sync.department.pages.changing import SHEET as CHANGES
from sync.department.pages.sheets import Sheet as Described

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no page is opened"),
]
ROOMS = (auditing, governing, holding, machines, openness, sharing, staffing)
SHEETS = (
    *(one for module in ROOMS for one in vars(module).values() if isinstance(one, Described)),
    CHANGES,
)
PLAIN = sorted({one.path for one in SHEETS if "{" not in one.path} | {"/setup", "/trust"})


@pytest.fixture(scope="module")
def department(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """One department for the module, with something in every list."""
    folder = tmp_path_factory.mktemp("browsed") / "copy"
    shutil.copytree(founded, folder)
    made = open_copy(folder)
    asked = RedressForm(about="stop", contact="j.doe@example.org", words="I was stopped on Myrtle Avenue")
    ask(made.front, "", asked)
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium(department: Department) -> Iterator[Windows]:
    with windows(department) as made:
        yield made


@pytest.fixture
def desk(chromium: Windows) -> Iterator[Windows]:
    """Chromium without a window."""
    yield chromium
    chromium.close()


def found_by_axe(one: Window) -> list[str]:
    """What axe-core finds on the page, of any grade."""
    violations = Axe().run(one.page).response["violations"]
    return [f"{one.page.url}: {rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in violations]


@pytest.mark.parametrize("user", ["super", "chief"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_of_any_grade(desk: Windows, user: str, scheme: str) -> None:
    one = desk.open(color_scheme=scheme)
    one.logon(user)
    found: list[str] = []
    seen = 0
    for path in PLAIN:
        one.go(path)
        seen += not one.page.title().startswith("Refused")
        found += found_by_axe(one)
    assert seen >= 12
    assert found == []
    assert [line for line in one.complaints if "403" not in line] == []


def test_axe_finds_nothing_on_the_public_page(desk: Windows) -> None:
    one = desk.open()
    one.go("/transparency")
    assert found_by_axe(one) == []
    one.page.get_by_role("button", name="Ask", exact=True).click()  # the browser asks for what is missing
    assert one.page.url.endswith("/transparency")
    assert one.complaints == []


def test_the_supervisor_holds_what_a_search_found_by_hand(desk: Windows, department: Department) -> None:
    one = desk.open()
    one.logon("super")
    one.go(f"/holds/new?read={department.reads[-1]}")
    page = one.page
    page.get_by_label("Purpose").select_option("investigation")
    page.get_by_label("Basis").select_option("criminal-investigation")
    page.locator("#number").fill("26-001234")
    page.get_by_label(re.compile("^Reason")).fill("subpoena of the court")
    page.get_by_label(re.compile("^Ground to hold")).select_option("discovery")
    page.get_by_label(re.compile("^Authority")).fill("Superior Court")
    page.get_by_label(re.compile("^Case or request number")).fill("26-CV-815")
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_text("this needs a second person", exact=False).first.wait_for()
    assert page.get_by_label(re.compile("^Authority")).input_value() == "Superior Court"
    page.get_by_role("button", name="Propose to a second person").click()
    page.get_by_text("waits for a second person").first.wait_for()
    two = desk.open()
    two.logon("chief", then="/changes")
    two.page.get_by_text("Your word").first.click()
    two.page.get_by_label(re.compile("^Why")).first.fill("the court asked for it")
    two.page.get_by_role("button", name="Agree").first.click()
    prove(two, "chief")
    assert two.page.get_by_label(re.compile("^Why")).first.input_value() == "the court asked for it"
    two.page.get_by_role("button", name="Agree").first.click()
    two.page.get_by_text("Your decision is entry").wait_for()
    one.go("/changes")
    page.get_by_role("button", name="Carry it out").click()
    prove(one, "super")
    page.get_by_role("button", name="Carry it out").click()
    page.get_by_text("Next: export it").wait_for()
    held = [one.note for one in department.desk.log.entries() if isinstance(one.note, HoldPlaced)]
    assert [note.number for note in held] == ["26-CV-815"]
    assert [line for line in one.complaints + two.complaints if not re.search("40[19]", line)] == []


def test_a_page_of_lists_prints_and_zooms_without_a_sideways_scroll(desk: Windows) -> None:
    one = desk.open()
    one.logon("super")
    one.page.set_viewport_size({"width": 640, "height": 400})  # 1280 at 200 %
    for path in ("/training", "/holds", "/audit", "/compliance", "/hotlists"):
        one.go(path)
        wide = one.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, path
