"""Figures of the desk's pages in chromium: the first page's size and time on a slow machine, and keystrokes.

python -m tests.tools.page_figures [--keys-only]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "twins"))

from desk_cars import Car  # noqa: E402
from desk_twins import DAY_US, GROUND, Department, found_department, open_copy  # noqa: E402
from page_browser import Window, Windows, windows  # noqa: E402
from playwright.sync_api import Response  # noqa: E402

from sync.department.desk.audit.calls import PeriodForm  # noqa: E402
from sync.department.desk.inquiry.forms import ProposeForm  # noqa: E402

REASON = "hit and run on Myrtle Avenue"


@dataclass
class Hands:
    """A keyboard that counts: `keys` pressed one by one, and `typed` texts, each as one."""

    window: Window
    keys: int = 0
    typed: int = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.window.page.keyboard.press(key)
            self.keys += 1

    def type(self, text: str) -> None:
        self.window.page.keyboard.type(text)
        self.typed += 1


def weigh(desk: Windows) -> None:
    """Print the bytes that a cold browser loads for the login page and for home."""
    one = desk.open()
    seen: list[Response] = []
    one.page.on("response", lambda answer: seen.append(answer))  # noqa: PLW0108 - Playwright marks what it is given

    def weight() -> float:
        return sum(int(each.headers.get("content-length", "0")) for each in seen) / 1000

    one.go("/logon")
    first = weight()
    seen.clear()
    one.logon("disp1")
    print(
        f"first page with style and script: {first:.1f} kB, as sent; login again and home: {weight():.1f} kB"
    )


def slow(desk: Windows) -> None:
    """Time the first page in a cold browser whose CPU is slowed fourfold."""
    waits = []
    for _ in range(9):
        one = desk.open()
        one.context.new_cdp_session(one.page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
        one.go("/logon")
        waits.append(one.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        one.context.close()
    desk.made.clear()
    print(f"first page at a quarter of the speed: median {statistics.median(waits):.0f} ms of {len(waits)}")


def strokes(desk: Windows, department: Department, car: Car) -> None:
    """Print the keys besides the texts themselves, from home after the login, for each role's tasks."""
    tasks = Tasks()
    one = desk.open()
    one.logon("disp1")

    def task(name: str) -> Hands:
        return tasks.begin(name, "dispatcher", one)

    hands = task("search a plate, first search of a case")
    hands.press("/")
    one.page.wait_for_url("**/search#number")
    hands.type("26-001234")
    hands.press("Tab", "Tab", "I", "Tab", "c", "c", "Tab")
    hands.type(REASON)
    hands.press("Tab")
    hands.type("8XYZ123")
    hands.press("Enter")
    one.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    hands = task("open the newest read's picture")
    hands.press("j", "o")
    one.page.locator("img.patch").wait_for()
    one.go("/")
    hands = task("search a plate, same case")
    hands.press("/")
    one.page.wait_for_url("**/search#number")
    hands.press("Enter")
    hands.type("7ABC000")
    hands.press("Enter")
    one.page.get_by_role("heading", name="7ABC000: 1 read").wait_for()
    alert_strokes(one, department, car, tasks)
    office_strokes(desk, department, tasks)
    judging_strokes(desk, department, tasks)
    public_strokes(desk, tasks)
    print("| task | role | keys | texts |\n|---|---|---|---|")
    for name, role, hands in tasks.told:
        print(f"| {name} | {role} | {hands.keys} | {hands.typed} |")


def alert_strokes(one: Window, department: Department, car: Car, tasks: Tasks) -> None:
    """Confirm an alert, from the list to its CLETS reference."""
    car.raises()
    department.front.bell.ring()
    one.go("/alerts")
    hands = tasks.begin("verify an alert, from the list", "dispatcher", one)
    hands.press("j", "o")
    one.page.locator("button[value=show]").wait_for()
    hands.press("o")
    one.page.locator("#plate").wait_for()
    hands.type("7XKR219")
    hands.press("Tab")
    hands.type("CA")
    hands.press("Enter")
    one.page.locator("table.slots").wait_for()
    hands.press("y")
    one.page.get_by_text("Confirmed by a look").wait_for()
    hands = tasks.begin("enter the CLETS reference", "dispatcher", one)
    one.page.locator("#text").wait_for()
    hands.type("CLETS 26-0042")
    hands.press("Enter")
    one.page.get_by_text("How did it end?").wait_for()


@dataclass
class Tasks:
    """The tasks in the order in which they were done: (task, role, the hands that counted)."""

    told: list[tuple[str, str, Hands]] = field(default_factory=list)

    def begin(self, name: str, role: str, window: Window) -> Hands:
        self.told.append((name, role, Hands(window)))
        return self.told[-1][2]


def public_strokes(desk: Windows, tasks: Tasks) -> None:
    """File a request for redress, without a login."""
    one = desk.open()
    one.go("/transparency")
    hands = tasks.begin("ask whether it was you", "public", one)
    one.page.locator("#contact").focus()  # a reader of the page gets to the form with a click or Tab
    hands.type("j.doe@example.org")
    hands.press("Tab")
    hands.type("I was stopped on Myrtle Avenue on Monday")
    hands.press("Tab", "Enter")
    one.page.get_by_text("days").first.wait_for()


def office_strokes(desk: Windows, department: Department, tasks: Tasks) -> None:
    """Do the tasks of an officer, the queue and the administrator, and the session of every role."""

    def task(name: str, role: str, window: Window) -> Hands:
        return tasks.begin(name, role, window)

    def prove(hands: Hands, user: str) -> None:
        department.clock.step(31_000_000)  # each code works only once
        hands.type(department.secrets[user][0])
        hands.press("Tab")
        hands.type(department.code(user))
        hands.press("Enter")

    officer = desk.open()
    officer.go("/logon")
    hands = task("log in, with password and code", "each", officer)
    hands.type("officer1")
    hands.press("Tab")
    prove(hands, "officer1")
    officer.page.get_by_role("heading", name="What waits for you").wait_for()
    hands = task("request a search, first search of a case", "officer", officer)
    hands.press("/")
    officer.page.wait_for_url("**/ask#number")
    hands.type("26-001235")
    hands.press("Tab", "Tab", "I", "Tab", "c", "c", "Tab")
    hands.type(REASON)
    hands.press("Tab")
    hands.type("8XYZ123")
    hands.press("Enter")
    officer.page.get_by_text("8XYZ123").first.wait_for()
    dispatcher = desk.open()
    dispatcher.logon("disp1")
    hands = task("run the oldest request of the queue", "dispatcher", dispatcher)
    hands.press("g", "q")
    dispatcher.page.get_by_role("heading", name="Queue").wait_for()
    hands.press("j", "o")
    dispatcher.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    hands = task("see the answer", "officer", officer)
    hands.press("g", "r")
    officer.page.get_by_role("heading", name="Your requests").wait_for()
    hands.press("j", "o")
    officer.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    chief = desk.open()
    chief.logon("chief")
    hands = task("see what is overdue", "administrator", chief)
    hands.press("g", "o")
    chief.page.get_by_role("heading", name="Compliance").wait_for()
    hands = task("lock, and unlock", "each", chief)
    hands.press("Shift+L")
    chief.page.get_by_role("heading", name="Locked").wait_for()
    prove(hands, "chief")
    chief.page.get_by_role("heading", name="Compliance").wait_for()


def judging_strokes(desk: Windows, department: Department, tasks: Tasks) -> None:
    """Do the tasks of a search's second person and of a reviewer."""
    wide = replace(department.plate("8XYZ*"), since_us=department.clock.us - DAY_US)
    department.call("inquiry/propose", department.logon("comm1"), ProposeForm(query=wide, ground=GROUND))
    supervisor = desk.open()
    supervisor.logon("super")
    hands = tasks.begin("agree to a search without a full plate", "CCAT supervisor", supervisor)
    hands.press("g", "q")
    supervisor.page.get_by_role("heading", name="Queue").wait_for()
    hands.press("j", "Shift+Tab")
    hands.type("the case is known to me")
    hands.press("Tab", "Enter")
    supervisor.page.get_by_text(": approved.").first.wait_for()
    for _ in range(6):
        department.searched(department.logon("comm1"), department.reads[-1:])
    department.call("audit/run", department.logon("super"), PeriodForm())
    reviewer = desk.open()
    reviewer.logon("reviewer1")
    hands = tasks.begin("judge the oldest finding", "reviewer", reviewer)
    hands.press("g", "i")
    reviewer.page.get_by_role("heading", name="Findings", exact=True).wait_for()
    hands.press("j", "Tab", "Enter", "Tab")
    hands.type("all under one case that exists")
    hands.press("Tab", "Enter")
    reviewer.page.get_by_text("Closed.").first.wait_for()


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.page_figures", description=__doc__)
    parser.add_argument("--keys-only", action="store_true", help="count keystrokes and nothing else")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        shutil.copytree(found_department(Path(made) / "first"), Path(made) / "copy")
        department = open_copy(Path(made) / "copy")
        car = Car(department)
        try:
            with windows(department) as desk:
                if not args.keys_only:
                    weigh(desk)
                    slow(desk)
                strokes(desk, department, car)
        finally:
            car.unit.close()
            department.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
