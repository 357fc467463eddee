"""The pages in real Chromium: keyboard, scripts off, axe-core, content security, lock, back, alerts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_cars import Car
from desk_forms import forms
from desk_twins import DAY_US, MINUTE_US, PASSWORD, PEOPLE, Department, open_copy
from waiting import until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is opened")
from page_browser import CHROMIUM, Window, Windows, prove, windows
from page_sheets import PLAIN_PATHS
from playwright.sync_api import Error as PlaywrightError
from sqlalchemy import insert

from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from hw.clock import SetClock
from hw.vitals import ScriptedBoard
from sync import messages
from sync.department.desk.people.challenges import Site
from sync.department.journal.inquiry_entries import Access
from sync.department.pages.navigation import entries_for
from sync.department.store import unit_health
from sync.department.store.opening import open_store
from sync.department.store.tables import certificates, units

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no page is opened"),
]
REASON = "hit and run on Myrtle Avenue"


@pytest.fixture(scope="module")
def department(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """One department for the module; every test has its own logon."""
    folder = tmp_path_factory.mktemp("browsed") / "copy"
    shutil.copytree(founded, folder)
    made = open_copy(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def car(department: Department) -> Iterator[Car]:
    """A unit that raises alerts."""
    made = Car(department)
    yield made
    made.unit.close()


@pytest.fixture(scope="module")
def chromium(department: Department) -> Iterator[Windows]:
    with windows(department) as made:
        yield made


@pytest.fixture
def desk(chromium: Windows) -> Iterator[Windows]:
    """Headless Chromium."""
    yield chromium
    chromium.close()


def type_case(one: Window, number: str = "26-001234") -> None:
    """Type a case for the first time, by keyboard, with the cursor already in the number."""
    keys = one.page.keyboard
    keys.type(number)
    keys.press("Tab")
    keys.press("Tab")
    keys.type("Inv")
    keys.press("Tab")
    keys.type("criminal")
    keys.press("Tab")
    keys.type(REASON)
    keys.press("Tab")


def test_a_dispatcher_needs_no_mouse(desk: Windows, department: Department) -> None:
    one = desk.open()
    one.logon("disp1")
    one.page.keyboard.press("/")
    one.page.wait_for_url("**/search#number")
    type_case(one)
    one.page.keyboard.type("8XYZ123")
    one.page.keyboard.press("Enter")
    one.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    one.page.keyboard.press("j")
    one.page.keyboard.press("o")  # opens the picture of the first row
    one.page.locator("img.patch").wait_for()
    assert one.page.locator("img.patch").evaluate("one => one.complete && one.naturalWidth > 0")
    one.page.keyboard.press("g")
    one.page.keyboard.press("h")
    one.page.get_by_role("heading", name="What waits for you").wait_for()
    # from here it takes two keystrokes and a case number to the plate's field
    one.page.keyboard.press("/")
    one.page.wait_for_url("**/search#number")
    one.page.keyboard.press("Control+a")
    one.page.keyboard.type("26-001234")
    one.page.keyboard.press("Enter")
    assert one.page.evaluate("document.activeElement.id") == "plate"
    assert one.page.locator("#justification").input_value() == REASON
    assert one.complaints == []


def test_every_page_works_with_scripts_off(desk: Windows) -> None:
    one = desk.open(java_script_enabled=False)
    one.go("/logon")
    assert not one.page.locator("#passkey").is_visible()  # this button needs a script
    one.logon("disp1")
    one.go("/search")
    one.page.locator("#number").fill("26-001234")
    one.page.locator("#purpose").select_option("investigation")
    one.page.locator("#basis").select_option("criminal-investigation")
    one.page.locator("#justification").fill(REASON)
    one.page.locator("#plate").fill("8XYZ123")
    one.page.locator("button[value=run]").click()
    one.page.locator("button", has_text="Open picture").first.click()
    one.page.locator("img.patch").wait_for()
    one.page.locator("button[value=night]").click()
    assert one.page.locator("html").get_attribute("data-theme") == "night"
    one.page.locator("button", has_text="Log out").click()
    one.page.locator("#password").wait_for()


def looked_at(one: Window, department: Department) -> list[str]:
    """The pages to check, reached as this person would."""
    one.go("/search")
    if one.page.locator("#plate").count():
        for name, value in (("number", "26-001234"), ("justification", REASON), ("plate", "8XYZ123")):
            one.page.locator(f"#{name}").fill(value)
        one.page.locator("#purpose").select_option("investigation")
        one.page.locator("#basis").select_option("criminal-investigation")
        one.page.locator("button[value=run]").click()
        one.page.locator("button", has_text="Open picture").first.click()
        one.page.locator("img.patch").wait_for()
    found = [one.page.url.removeprefix(one.base)]
    numbers = [row.number for row in department.desk.book.alerts.open()][:1]
    return found + [f"/alerts/{number}" for number in numbers]


def own_pages(department: Department, user: str) -> list[str]:
    """The pages in a person's menu, without the office's sheets, which `test_office_browser` checks."""
    policy = department.desk.policy
    roles = policy.effective_roles((PEOPLE[user],))
    granted = {call for role in roles for call in policy.grants.get(role, ())}
    menu = [each.path for each in entries_for(granted.__contains__)]
    return [path for path in menu if path not in PLAIN_PATHS]


def test_axe_finds_nothing(desk: Windows, department: Department, car: Car) -> None:
    car.raises()
    one = desk.open()
    one.go("/logon")
    found = one.faults_by_day_and_night()
    one.logon("disp1")
    paths = own_pages(department, "disp1")
    paths += [*looked_at(one, department), "/account/password", "/emergency", "/mine", "/nothing"]
    for path in paths:
        one.go(path)
        found += one.faults_by_day_and_night() + one.cut_off()
    assert found == []
    assert [text for text in one.complaints if "status of 4" not in text] == []


@pytest.mark.parametrize("user", ["super", "chief", "officer1"])
def test_axe_finds_nothing_where_other_roles_begin(desk: Windows, department: Department, user: str) -> None:
    """Also, every page that a menu leads to is among those checked for the dispatcher or the office."""
    assert set(own_pages(department, user)) <= set(own_pages(department, "disp1"))
    one = desk.open()
    one.logon(user)
    assert one.faults_by_day_and_night() + one.cut_off() == []
    assert one.complaints == []


def test_axe_works(desk: Windows) -> None:
    """The check above can fail, in both color schemes."""
    one = desk.open()
    one.go("/logon")
    one.page.evaluate("document.querySelector('label[for=user]').remove()")
    assert any(": label: " in fault for fault in one.faults_by_day_and_night())
    one.go("/logon")
    one.page.evaluate(
        "document.querySelectorAll('label').forEach(one => one.style.color = 'light-dark(black, #222)')"
    )
    one.page.evaluate("document.documentElement.style.colorScheme = 'light dark'")
    assert [fault.split(": ")[0] for fault in one.faults_by_day_and_night()] == ["by night"]


def test_a_script_that_is_not_ours_does_not_run(desk: Windows) -> None:
    """The content security policy is in force, and its reports are seen."""
    one = desk.open()
    one.go("/logon")
    for attempt in (
        "document.createElement('script').src = '/assets/other.js'",
        "document.body.setAttribute('onclick', 'window.ran = 1')",
        "document.body.innerHTML = '<b>other</b>'",
        "fetch('https://elsewhere.example/')",
    ):
        with pytest.raises(PlaywrightError):
            one.page.evaluate(attempt)
    assert any("Content Security Policy" in text for text in one.complaints)


def test_nothing_is_wider_than_the_window_at_twice_the_size(desk: Windows) -> None:
    one = desk.open()
    one.page.set_viewport_size({"width": 640, "height": 400})
    one.logon("disp1")
    for path in ("/", "/search", "/alerts", "/queue", "/account", "/help", "/emergency"):
        one.go(path)
        assert one.page.evaluate("document.scrollingElement.scrollWidth") <= 640, path


def test_units_and_grants_fit_a_desk_and_a_phone(desk: Windows, department: Department) -> None:
    """With a real unit's data: an id of 32 digits, a report, alarms."""
    unit, now_us, key = "0123456789abcdef" * 2, department.clock.us, Ed25519PrivateKey.generate()
    clock = SetClock(now_us)
    report = HealthWatch(board=ScriptedBoard(), now=clock.now, watching=False).report()
    said = replace(health_message(report, bytes(32)), alarms=("camera_dark", "disk_low"))
    store = open_store(department.home.database_url)
    try:
        with store.write() as connection:
            values = {"unit_id": unit, "name": "Trailer, Huntington Drive", "identity": b""}
            connection.execute(insert(units).values(**values, enrolled_us=now_us, seen_us=now_us))
            unit_health.keep(connection, unit, messages.seal_message(said, key), now_us)
            ends_us = now_us + 40 * DAY_US
            ends = insert(certificates).values(serial="1", unit_id=unit, issued_us=now_us, expires_us=ends_us)
            connection.execute(ends)
    finally:
        store.close()
    department.call("grant/issue", department.logon("chief"), forms(department)["grant/issue"])
    one = desk.open()
    one.logon("chief")
    for width in (1280, 390):
        one.page.set_viewport_size({"width": width, "height": 800})
        for path, word in (("/units", "the camera sees only darkness"), ("/grants", "WO-1")):
            one.go(path)
            one.page.get_by_text(word).first.wait_for()
            assert one.cut_off() == []


def test_an_authenticators_secret_fits_a_phone(desk: Windows) -> None:
    one = desk.open()
    one.logon("officer1")
    one.page.set_viewport_size({"width": 360, "height": 740})
    one.go("/account/password?new_authenticator=yes")
    one.page.get_by_text("Or type it").wait_for()
    assert one.cut_off() == []


def test_the_back_button_after_log_out_shows_nothing(desk: Windows) -> None:
    one = desk.open()
    one.logon("disp1", then="/search")
    type_case_without_shortcut(one)
    one.page.keyboard.type("8XYZ123")
    one.page.keyboard.press("Enter")
    one.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    one.page.locator("button", has_text="Log out").click()
    one.page.locator("#password").wait_for()
    for _ in range(3):
        one.page.go_back()
        one.page.locator("#password").wait_for()
        assert "8XYZ123" not in one.page.content()


def type_case_without_shortcut(one: Window) -> None:
    """The same, if no shortcut set the cursor."""
    one.page.locator("#number").focus()
    type_case(one)


def lock_and_unlock(one: Window, department: Department, user: str, typed: str) -> None:
    """Leave a page with something typed until it locks itself, and unlock it."""
    department.clock.step(31 * MINUTE_US)
    one.page.clock.fast_forward(31 * 60 * 1000)
    one.page.get_by_role("heading", name="Locked").wait_for()
    assert typed not in one.page.content()
    department.clock.step(31_000_000)
    one.page.locator("#password").fill(PASSWORD)
    one.page.locator("#code").fill(department.code(user))
    one.page.keyboard.press("Enter")


def test_the_form_that_came_back_is_kept_at_a_lock_not_the_first_of_its_page(
    desk: Windows, department: Department
) -> None:
    one = desk.open()
    one.page.clock.install()
    one.logon("chief", then="/people")
    keys = one.page.locator("form[data-keep]").evaluate_all("all => all.map((one) => one.act.value)")
    assert keys.index("user/credential") > 0
    reason = one.page.locator("#user-credential-reason")
    reason.fill("lost on 26 November")
    for _ in range(2):
        lock_and_unlock(one, department, "chief", "lost on 26 November")
        one.page.wait_for_url("**/people")
        assert reason.input_value() == "lost on 26 November"


def test_an_idle_page_clears_itself_and_gives_the_form_back(desk: Windows, department: Department) -> None:
    one = desk.open()
    one.page.clock.install()
    one.logon("comm1", then="/search")
    type_case_without_shortcut(one)
    one.page.keyboard.type("8XYZ123")
    before = sum(isinstance(each.note, Access) for each in department.desk.log.entries())
    for _ in range(2):  # a form that came back comes back after the next lock too
        lock_and_unlock(one, department, "comm1", "8XYZ123")
        one.page.wait_for_url("**/search")
        assert one.page.locator("#plate").input_value() == "8XYZ123"
        assert one.page.locator("#justification").input_value() == REASON
    assert sum(isinstance(each.note, Access) for each in department.desk.log.entries()) == before


def compare_small_and_on_paper(one: Window) -> None:
    """Check an alert's comparison: every character shows on a phone, and on paper without buttons."""
    one.page.set_viewport_size({"width": 320, "height": 800})  # 1280 at 400 %, or a phone
    assert one.cut_off() == []
    one.page.set_viewport_size({"width": 1280, "height": 800})
    one.page.emulate_media(media="print")
    assert one.page.locator("table.slots").is_visible()
    assert not one.page.get_by_role("button", name="Yes").is_visible()
    one.page.emulate_media(media="screen")


def test_an_alert_comes_by_itself_and_is_worked_by_keys(
    desk: Windows, department: Department, car: Car
) -> None:
    department.clock.step(DAY_US // 24)
    one = desk.open(timezone_id="Asia/Tokyo")  # this computer's zone is not the department's
    one.logon("disp1", then="/alerts")
    one.page.locator("#live", has_text="Live").wait_for()
    one.page.locator("#sound").click()
    one.go("/search")
    one.page.locator("#sound", has_text="Sound is on").wait_for()  # sound is on until it is switched off
    one.page.locator("#live", has_text="Live").wait_for()
    car.raises("7XKR218")
    department.front.bell.ring()  # as the receiver does when a unit's alert came in
    one.page.locator("#newest", has_text="was raised").wait_for()
    assert re.match(r"\(\d+\) Search", one.page.title())
    other = one.context.new_page()  # of the same session: gets events from the page that holds the stream
    other.goto(f"{one.base}/queue")
    other.locator("#live", has_text="Live").wait_for()
    held = "navigator.locks.query().then((all) => [all.held.length, all.pending.length])"
    until(lambda: other.evaluate(held) == [1, 1])
    one.page.goto("about:blank")
    other.close()
    car.raises("7XKR217")  # while no page is open
    department.front.bell.ring()
    one.go("/search")
    one.page.locator("#newest", has_text="was raised").wait_for()
    one.go("/alerts")
    one.page.locator("#live", has_text="Live").wait_for()
    car.raises()
    department.front.bell.ring()  # as the receiver does when a unit's alert came in
    one.page.locator("#arrived a", has_text="was raised").wait_for()
    assert re.match(r"\(\d+\) Alerts", one.page.title())
    came = datetime.strptime(one.page.locator("#arrived .age").first.inner_text(), "%H:%M:%S")
    now = datetime.now(department.desk.policy.zone)
    assert timedelta(0) <= (now.replace(tzinfo=None) - came) % timedelta(days=1) < timedelta(hours=1)
    one.page.locator("#arrived a").first.click()
    keys = one.page.keyboard
    one.page.locator("button[value=show]").wait_for()
    keys.press("o")
    one.page.locator("img.patch").wait_for()
    keys.type("7XKR219")
    keys.press("Tab")
    keys.type("CA")
    keys.press("Enter")
    one.page.locator("table.slots").wait_for()
    compare_small_and_on_paper(one)
    keys.press("y")
    one.page.get_by_text("Confirmed by a look at the picture").wait_for()
    waits = "AudioContext was not allowed to start"  # the page opened without a keystroke; its button says so
    assert [text for text in one.complaints if waits not in text] == []


def test_a_passkey_logs_on_unlocks_and_proves_without_password_and_code(
    desk: Windows, department: Department
) -> None:
    one = desk.open()
    one.base = one.base.replace("127.0.0.1", "localhost")  # passkeys work only for a name
    department.desk.logons.site = Site(rp_id="localhost", origin=one.base)
    authenticator = one.context.new_cdp_session(one.page)
    authenticator.send("WebAuthn.enable")
    facts = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    verifies = {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": facts | verifies})
    one.go("/logon")
    one.page.locator("#passkey").click()
    one.page.get_by_text("this device has no passkey of yours for this desk").wait_for()
    one.logon("comm1", then="/account")
    one.page.locator("#name").fill("key on my ring")
    one.page.keyboard.press("Enter")
    prove(one, "comm1")
    assert one.page.locator("#name").input_value() == "key on my ring"  # the form is unchanged
    one.page.locator("#name").press("Enter")
    one.page.get_by_text("The passkey is registered").wait_for()
    one.page.locator("button", has_text="Log out").click()
    one.page.locator("#user").fill("comm1")
    one.page.locator("#passkey").click()
    one.page.get_by_role("heading", name="What waits for you").wait_for()
    one.go("/search")
    type_case_without_shortcut(one)
    one.page.keyboard.type("8XYZ123")
    one.page.locator("button", has_text="Lock").click()
    one.page.get_by_role("heading", name="Locked").wait_for()
    assert "8XYZ123" not in one.page.content()
    one.page.locator("#passkey").click()
    one.page.get_by_text("This is your form as you left it").wait_for()
    assert one.page.locator("#plate").input_value() == "8XYZ123"
    assert one.page.locator("#justification").input_value() == REASON
    department.clock.step(31 * MINUTE_US)  # the proof from the unlock has expired
    one.go("/account")
    one.page.get_by_role("heading", name="Locked").wait_for()
    one.page.locator("#passkey").click()
    one.page.locator("button", has_text="Remove").wait_for()
    department.clock.step(16 * MINUTE_US)
    one.page.locator("button", has_text="Remove").click()
    one.page.locator("#passkey").click()  # a passkey gives a fresh proof, too
    one.page.get_by_text("Proven.").wait_for()
    one.page.locator("button", has_text="Remove").click()
    one.page.get_by_text("The passkey is removed").wait_for()
    refused = re.compile("^info|status of (401|423)")  # a proof was needed, and the session locked
    assert [text for text in one.complaints if not refused.search(text)] == []


@pytest.mark.thorough
def test_two_tabs_of_one_session(desk: Windows, department: Department) -> None:
    one = desk.open()
    one.logon("disp1", then="/search")
    other = one.context.new_page()
    other.goto(f"{one.base}/search")
    type_case_without_shortcut(one)
    one.page.keyboard.type("8XYZ123")
    one.page.keyboard.press("Enter")
    one.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
    other.locator("#number").fill("26-001234")
    other.locator("#number").press("Enter")
    other.locator("#plate").fill("7ABC000")
    other.locator("#purpose").select_option("investigation")
    other.locator("#basis").select_option("criminal-investigation")
    other.locator("#justification").fill(REASON)
    other.locator("button[value=run]").click()
    other.get_by_role("heading", name="7ABC000: 1 read").wait_for()
    one.page.reload()
    one.page.get_by_role("heading", name="8XYZ123: 3 reads").wait_for()
