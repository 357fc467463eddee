"""The office's pages in real Chromium: axe-core in both color schemes, no errors, a day's work by hand."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from desk_forms import forms
from desk_twins import GROUND, HOUR_US, Department, open_copy

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is opened")
from page_browser import CHROMIUM, Window, Windows, prove, windows
from page_sheets import PLAIN_PATHS
from playwright.sync_api import expect

from sync.department.desk.inquiry import calls
from sync.department.desk.inquiry.forms import InquiryDecideForm, ProposeForm
from sync.department.desk.inquiry.pace import SearchPace
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import SearchEnded, SearchStep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no page is opened"),
]


@dataclass(slots=True)
class StepByStep(SearchPace):
    """Steps of twenty reads; each waits until a test lets it begin, or until `cancelled` ends it."""

    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    cancelled: Callable[[], bool] = lambda: False

    def step(self) -> int:
        while not self.let.acquire(timeout=0.05) and not self.cancelled():
            pass
        return 20


@pytest.fixture(scope="module")
def department(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """One department for the module, with something in every list."""
    folder = tmp_path_factory.mktemp("browsed") / "copy"
    shutil.copytree(founded, folder)
    made = open_copy(folder)
    made.front = replace(made.front, pace=StepByStep())
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
    """Headless Chromium."""
    yield chromium
    chromium.close()


def faults_of(one: Window, paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """(What axe finds on the pages that open for this person, the pages that do not open)."""
    found: list[str] = []
    refused: list[str] = []
    for path in paths:
        one.go(path)
        if one.page.title().startswith("Refused"):
            refused.append(path)
        else:
            found += one.faults_by_day_and_night() + one.cut_off()
    return found, refused


def test_axe_finds_nothing_of_any_grade(desk: Windows) -> None:
    one, two = desk.open(), desk.open()
    one.logon("super")
    found, refused = faults_of(one, PLAIN_PATHS)
    one.go(refused[0])
    found += one.faults_by_day_and_night()
    two.logon("chief")
    rest, closed = faults_of(two, refused)
    assert closed == []  # every page was checked
    assert found + rest == []
    assert [line for line in one.complaints + two.complaints if "403" not in line] == []


def test_a_written_request_is_read_and_decided_on_one_page(desk: Windows, department: Department) -> None:
    department.call("share/record", department.logon("super"), forms(department)["share/record"])
    one = desk.open()
    one.logon("deputy", then="/sharing")
    one.page.get_by_role("link", name="Open", exact=True).click()
    one.page.locator("dd", has_text="8XYZ123").wait_for()
    found = one.faults_by_day_and_night() + one.cut_off()
    one.page.set_viewport_size({"width": 360, "height": 740})
    assert found + one.cut_off() == []
    one.page.get_by_label("What the review found").fill("the letter names agency, person and purpose")
    one.page.get_by_role("button", name="Enter the review").click()
    one.page.locator(".banner.done", has_text="It waits for the decision").wait_for()
    one.page.locator("dd", has_text="8XYZ123").wait_for()
    assert one.page.get_by_role("button", name="Approve").count() == 1
    assert one.complaints == []


@pytest.mark.thorough
def test_axe_finds_nothing_on_the_pages_of_the_chief(desk: Windows) -> None:
    one = desk.open()
    one.logon("chief")
    found, refused = faults_of(one, PLAIN_PATHS)
    assert len(PLAIN_PATHS) - len(refused) >= 12
    assert found == []
    assert [line for line in one.complaints if "403" not in line] == []


def test_axe_finds_nothing_on_the_public_page(desk: Windows) -> None:
    one = desk.open()
    one.go("/transparency")
    assert one.faults() == []
    one.page.get_by_role("button", name="Ask", exact=True).click()  # the browser asks for what is missing
    assert one.page.url.endswith("/transparency")
    one.go("/redress/paper")
    assert one.faults() == []
    assert one.complaints == []


def test_what_is_printed_has_no_menu_and_fits_the_paper(desk: Windows) -> None:
    one = desk.open()
    one.logon("super")
    one.page.emulate_media(media="print")
    one.page.set_viewport_size({"width": 816, "height": 1056})  # US Letter at 96 dots an inch
    for path in ("/training/sheet", "/redress/paper", "/training"):
        one.go(path)
        shown = one.page.locator("nav, button, .screen, .skip").evaluate_all(
            "all => all.filter(one => one.checkVisibility()).length"
        )
        assert shown == 0, path
        wide = "[...document.querySelectorAll('table, p, h1')].map(one => one.getBoundingClientRect().right)"
        assert one.page.evaluate(f"Math.max(...{wide})") <= 816, path
        assert one.page.locator("h1").is_visible(), path
    one.go("/transparency")
    assert one.page.get_by_text("Every access is entered in the log as an ALPR Request").is_visible()
    assert one.page.locator("pre").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_enter_in_a_field_decides_nothing_for_or_against(desk: Windows, department: Department) -> None:
    """What a second person types is a reason; the button makes the decision."""
    wide = replace(department.plate("8XYZ*"), since_us=department.clock.us - HOUR_US)
    department.call("inquiry/propose", department.logon("comm1"), ProposeForm(query=wide, ground=GROUND))
    before = len(department.desk.book.queue.decided)
    one = desk.open()
    one.logon("super", then="/queue")
    field = one.page.get_by_label(re.compile("^Why, about proposal")).first
    field.fill("the case is known to me")
    field.press("Enter")
    assert one.page.url.endswith("/queue")
    assert field.input_value() == "the case is known to me"
    assert len(department.desk.book.queue.decided) == before
    one.page.get_by_role("button", name="Refuse").first.click()
    one.page.get_by_text(": refused.").first.wait_for()
    assert len(department.desk.book.queue.decided) == before + 1


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
    two.page.get_by_role("button", name="Approve").first.click()
    prove(two, "chief")
    assert two.page.get_by_label(re.compile("^Why")).first.input_value() == "the court asked for it"
    two.page.get_by_role("button", name="Approve").first.click()
    two.page.get_by_text("Approved: proposal").wait_for()
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


# a search that opens much, by the page's script -----------------------------------------------------------


def on_its_page(one: Window, department: Department) -> int:
    """Open the step page of a search for part of a plate that a second person approved. Returns its entry."""
    one.logon("comm1", then="/search")
    page = one.page
    texts = {"number": "26-001234", "justification": "hit and run on Myrtle Avenue", "plate": "7ABC*"}
    for name, text in texts.items():
        page.locator(f"#{name}").fill(text)
    page.locator("#purpose").select_option("investigation")
    page.locator("#basis").select_option("criminal-investigation")
    page.get_by_role("button", name="Propose to a second person").click()
    page.get_by_role("heading", name="Proposal").wait_for()
    number = int(page.url.rpartition("/")[2])
    yes = InquiryDecideForm(proposal=number, granted=True, reason="known case")
    department.call("inquiry/approve", department.logon("super"), yes)
    page.get_by_role("button", name="Run it now").click()
    page.get_by_role("heading", name="This search opens 33 reads").wait_for()
    return int(page.url.split("/")[-2])


def steps_of(department: Department, access: int) -> list[int]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchStep.KIND,))]
    return [one.reads for one in notes if isinstance(one, SearchStep) and one.access == access]


def end_of(department: Department, access: int) -> list[tuple[str, int, int]]:
    notes = [one.note for one in department.desk.log.entries(kinds=(SearchEnded.KIND,))]
    return [
        (one.how, one.opened, one.of)
        for one in notes
        if isinstance(one, SearchEnded) and one.access == access
    ]


@pytest.fixture
def pace(department: Department, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepByStep]:
    """Here 33 reads count as many. At the end, whatever waits for a step continues."""
    monkeypatch.setattr(calls, "AT_ONE_GO", 10)
    made = department.front.pace
    assert isinstance(made, StepByStep)
    made.cancelled = lambda: False
    yield made
    made.cancelled = lambda: True


def test_the_script_opens_part_after_part_shows_how_far_and_leads_to_the_results(
    desk: Windows, department: Department, pace: StepByStep
) -> None:
    one = desk.open()
    access = on_its_page(one, department)
    assert not one.page.locator("#steps-go").is_visible()  # the script sends the form
    assert one.page.locator("#steps").evaluate("one => one.value") == 0
    pace.let.release()
    one.page.get_by_text("20 of 33 opened").wait_for()
    assert one.page.locator("#steps").evaluate("one => one.value") == 20
    shown = one.page.locator("#steps-found li")
    assert shown.count() > 0
    assert all("7ABC" in text for text in shown.all_inner_texts())
    assert one.faults() == []
    assert end_of(department, access) == []
    pace.let.release()
    one.page.wait_for_url(f"**/search/{access}")
    one.page.get_by_role("heading", name="30 reads").wait_for()
    assert (steps_of(department, access), end_of(department, access)) == ([20, 13], [("done", 33, 33)])
    assert one.complaints == []


def test_a_part_that_is_refused_is_asked_for_no_more_and_its_page_says_why(
    desk: Windows, department: Department, pace: StepByStep
) -> None:
    """As when its request was declined meanwhile. Once, the page reloaded itself and asked again, forever."""
    one = desk.open()
    access = on_its_page(one, department)
    under_way = department.front.under_way.get(access)
    assert under_way is not None
    under_way.ended = True
    pace.let.release(2)  # one for the script's request, one for its page
    one.page.locator("#refusal").get_by_text("that search has ended").wait_for()
    assert one.page.locator("#steps-go").count() == 0
    assert steps_of(department, access) == []


@pytest.mark.thorough
def test_a_search_cancelled_under_the_script_leaves_the_rest_closed_and_shows_what_was_found(
    desk: Windows, department: Department, pace: StepByStep
) -> None:
    one = desk.open()
    access = on_its_page(one, department)
    under_way = department.front.under_way.get(access)
    assert under_way is not None
    pace.cancelled = lambda: under_way.asked_to_stop
    pace.let.release()
    one.page.get_by_text("20 of 33 opened").wait_for()
    found = one.page.locator("#steps-found li").count()
    one.page.get_by_role("button", name="Cancel the search").click()
    one.page.get_by_text("20 of 33 reads were opened: this search was cancelled").wait_for()
    assert found > 0
    expect(one.page.locator("tr[id^=row-]")).to_have_count(found)
    assert end_of(department, access) == [("cancelled", 20, 33)]
    assert one.complaints == []
