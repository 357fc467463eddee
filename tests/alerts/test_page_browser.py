"""The page in the car in a real Chromium: an alert appears by itself and is worked with keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen
from car_page import Car
from waiting import until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is opened")
from playwright.sync_api import Browser, Page, sync_playwright

from firmware.alerts.matching import match
from storage.alert_life import AlertEvent
from storage.alert_terms import DEFAULT_ALERTS
from storage.envelope import decode

CHROMIUM = shutil.which("chromium") or ""
PATIENCE_MS = 300_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no page is opened"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        made = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE_MS
        )
        yield made
        made.close()


@pytest.fixture
def page(car: Car, browser: Browser) -> Iterator[Page]:
    """A laptop that followed the link of `reader logon`."""
    answer = car.log_on(car.laptop(), "demo-officer", "sworn-officer")
    context = browser.new_context(ignore_https_errors=True)  # the certificate names the unit, not 127.0.0.1
    context.set_default_timeout(PATIENCE_MS)
    made = context.new_page()
    made.goto(f"{car.address}/enter?ticket={decode(answer.content)['ticket']}")
    yield made
    context.close()


def test_an_alert_comes_by_itself_and_is_confirmed_in_three_keys_beyond_what_is_typed(
    car: Car, page: Page
) -> None:
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.get_by_text("live", exact=True).wait_for()
    assert page.locator("#list button").count() == 0
    alert = car.passes()
    page.locator("#list button.sounds").wait_for()
    assert page.title() == "(1) Alerts"
    assert "KIA" not in page.content()
    pressed = []

    def press(key: str) -> None:
        page.keyboard.press(key)
        pressed.append(key)

    page.keyboard.press("o")
    page.locator("#pictures img.patch").wait_for()
    page.locator("#plate:focus").wait_for()
    page.keyboard.type("7xkr219")
    press("Tab")
    page.keyboard.type("ca")
    press("Enter")
    page.locator("#comparison table").wait_for()
    assert page.locator("#comparison td.differs").count() == 0
    assert "KIA" in page.locator("#comparison").inner_text()
    press("y")
    page.locator("#answer.confirmed").wait_for()
    assert pressed == ["Tab", "Enter", "y"]
    state = car.board.find(alert.number).state
    assert str(state.answer) == "confirmed"
    assert complaints == []


@pytest.mark.thorough
def test_what_differs_is_marked_and_nothing_offers_a_confirmation(car: Car, page: Page) -> None:
    page.get_by_text("live", exact=True).wait_for()
    alert = car.passes()
    page.locator("#list button.sounds").wait_for()
    page.keyboard.press("o")
    page.locator("#plate:focus").wait_for()
    page.keyboard.type("7XKR279")
    page.keyboard.press("Tab")
    page.keyboard.type("CA")
    page.keyboard.press("Enter")
    page.locator("#comparison table").wait_for()
    assert page.locator("#comparison td.differs").all_inner_texts() == ["7", "1"]
    page.keyboard.press("y")
    page.locator("#answer.rejected").wait_for()
    assert "Do not act" in page.locator("#answer").inner_text()
    assert page.locator("#clets").is_hidden()
    assert [one.get_attribute("value") for one in page.locator("#outcome option:disabled").all()] == [
        *("stop", "arrest", "released")
    ]
    assert "a colleague looks" in page.locator("#comparison").inner_text()
    assert str(car.board.find(alert.number).state.answer) == "wrong-character"


def test_a_mistyped_reference_is_entered_again_as_at_the_desk(car: Car, page: Page) -> None:
    """The form was gone after the first one, and the wrong reference counted."""
    page.get_by_text("live", exact=True).wait_for()
    alert = car.passes()
    page.locator("#list button.sounds").wait_for()
    page.keyboard.press("o")
    page.locator("#plate:focus").wait_for()
    page.fill("#plate", "7XKR219")
    page.fill("#state", "CA")
    page.keyboard.press("Enter")
    page.locator("#comparison table").wait_for()
    assert page.locator("#clets").is_hidden()
    page.get_by_text("Yes (y)").click()
    page.locator("#answer.confirmed").wait_for()
    assert page.locator("#clets-again").is_hidden()
    assert page.locator("#outcome option:disabled").count() == 3

    def was_entered(text: str) -> bool:
        asked = car.board.find(alert.number).state.last(AlertEvent.CLETS)
        return asked is not None and asked.text == text

    for reference in ("CLETS 0024", "CLETS 0042"):
        page.fill("#reference", reference)
        page.get_by_role("button", name="Reference", exact=True).click()
        page.locator("#clets-again").wait_for()
        until(partial(was_entered, reference))
    assert page.locator("#outcome option:disabled").count() == 0
    assert page.locator("#clets").is_visible()


def test_a_hit_without_an_alert_is_read_out_once_and_not_again_as_it_ages(car: Car, page: Page) -> None:
    found = match(
        seen("5ABC123"), plate_box(), [Held([entry("5ABC123")], HEAD)], DEFAULT_ALERTS, KNOWN, NOW_US
    )
    car.board.unstored.miss(found, NOW_US)
    page.reload()
    page.get_by_text("1 of the vehicles").wait_for()
    page.evaluate(
        "window.written = 0; new MutationObserver((all) => { window.written += all.length; })"
        ".observe(document.getElementById('unstored-said'), { childList: true, characterData: true })"
    )
    car.passes()
    page.locator("#list button.sounds").wait_for()
    assert page.evaluate("window.written") == 0
    assert "The last one was" in page.locator("#unstored").inner_text()
