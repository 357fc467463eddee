"""If the store refuses a hit, people in the car are warned, and the log records it as soon as it can."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen
from board_twins import MakeCar
from car_page import Car
from custody_twins import SteppedTime

from firmware.alerts import unstored
from firmware.alerts.matching import ListMatch, match
from firmware.alerts.ops import alert_operations
from firmware.alerts.page_server import Feed
from firmware.alerts.sounder import UNSTORED_LIT_S, Sounder
from firmware.alerts.unstored import UnstoredHits
from hw.lamps import RememberedLamps
from storage.alert_life import AlertEvent
from storage.alert_terms import DEFAULT_ALERTS
from storage.errors import CardFailedError, StorageError, StoreFullError
from storage.ledger import Ledger
from storage.times import MINUTE_US
from sync.event_log import event_log


def matched(*, state: str = "US-CA", **fields: Any) -> list[ListMatch]:
    held = Held([entry(**fields)], HEAD)
    return match(seen("7XKR219", state=state), plate_box(), [held], DEFAULT_ALERTS, KNOWN, NOW_US)


class Warned:
    """Counts the warnings; a test steps the running time."""

    def __init__(self, known: Callable[[ListMatch, int], bool] = lambda _one, _at_us: False) -> None:
        self.running_us, self.count = 0, 0
        self.hits = UnstoredHits(known=known, running_us=lambda: self.running_us, warn=self._warn)

    def _warn(self) -> None:
        self.count += 1


def test_a_vehicle_is_warned_of_once_a_visit_and_again_when_it_comes_back() -> None:
    warned = Warned()
    assert warned.hits.so_far() is None
    for second in range(10):  # it is looked at each second while in view
        warned.hits.miss(matched(), NOW_US + second * 1_000_000)
    assert warned.count == 1
    assert warned.hits.miss(matched(), NOW_US + 16 * MINUTE_US)
    warned.running_us = 7_000_000
    found = warned.hits.so_far()
    assert found is not None
    assert (warned.count, found.count, found.age_s) == (2, 2, 7)


@pytest.mark.parametrize(
    ("found", "known"),
    [
        pytest.param(matched(state="US-TX"), False, id="one that sounds not"),
        pytest.param(matched(recipients=("super",)), False, id="a covert entry"),
        pytest.param(matched(), True, id="one whose alert sounded, or that a person settled"),
        pytest.param([], False, id="no hit"),
    ],
)
def test_what_people_in_the_car_are_not_to_hear_of_warns_no_one(found: list[ListMatch], known: bool) -> None:
    warned = Warned(lambda _one, _at_us: known)
    assert not warned.hits.miss(found, NOW_US)
    assert (warned.count, warned.hits.so_far()) == (0, None)


def test_a_vehicle_whose_alert_was_raised_is_not_warned_of_again(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    found = car.matched(seen("7XKR219"))
    car.passes(seen("7XKR219"))
    assert not car.board.unstored.miss(found, time.now().us)


def test_a_hit_that_is_stored_at_a_later_try_counts_no_more(make_car: MakeCar, time: SteppedTime) -> None:
    """There was no room while it was in view, but there was at its end; or its source waited."""
    car = make_car(entry(), entry(case="another"), entry("5ABC123"))
    missed = car.board.unstored
    missed.miss(car.matched(seen("5ABC123")), time.now().us - 9_000_000)
    missed.miss(car.matched(seen("7XKR219")), time.now().us - 8_000_000)
    assert [one.sightings for one in car.passes(seen("7XKR219"))] == [1, 1]
    found = missed.so_far()
    assert found is not None
    assert found.count == 1
    car.passes(seen("5ABC123"))
    assert missed.so_far() is None


def test_a_later_visit_that_is_stored_leaves_the_missed_one_counted(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    car.board.unstored.miss(car.matched(seen("7XKR219")), time.now().us - 16 * MINUTE_US)
    car.passes(seen("7XKR219"))
    assert car.board.unstored.so_far() is not None


def test_beyond_what_can_be_taken_back_hits_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unstored, "MOST", 2)
    warned = Warned()
    for visit in range(4):
        warned.running_us += 1_000_000
        warned.hits.miss(matched(), NOW_US + visit * 16 * MINUTE_US)
    [one] = matched()
    for visit in reversed(range(4)):
        warned.hits.stored(unstored.wish_of(one), NOW_US + visit * 16 * MINUTE_US)
    found = warned.hits.so_far()
    assert found is not None
    assert (found.count, found.age_s) == (3, 1)


def test_the_warning_is_heard_and_lit_for_a_while() -> None:
    now_s, lamps = [100.0], RememberedLamps()
    sounder = Sounder(lamps, longest_s=3.0, log=event_log(io.StringIO()), monotonic=lambda: now_s[0])
    sounder.warn()
    sounder.look()
    assert lamps.lit == {"buzzer", "alert"}
    now_s[0] += 4.0
    sounder.look()
    assert lamps.lit == {"alert"}
    now_s[0] += UNSTORED_LIT_S
    sounder.look()
    assert lamps.lit == frozenset()


def test_the_page_and_the_list_of_alerts_say_how_many_without_a_word_of_them(
    car: Car, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full card cannot record that an alert was shown either, but the page must still say it."""
    client = car.enter()
    assert client.get("/api/alerts").json()["unstored"] is None
    alert = car.passes("5ABC123", entry("5ABC123"))

    def full(*_: object) -> None:
        raise StoreFullError("full", where="x")

    with monkeypatch.context() as no_room:
        no_room.setattr(car.board, "take_steps", full)
        assert client.get("/api/alerts").status_code != 200  # nothing is shown without a record
        car.board.unstored.miss(matched(), NOW_US)
        said = client.get("/api/alerts").json()
    assert (said["alerts"], said["unstored"]) == ([], {"count": 1, "age_s": 0})
    assert alert.state.last(AlertEvent.SHOWN) is None
    assert alert_operations(ledger, car.board)["alerts"]({})["unstored"] == 1


def numbers(client: httpx.Client) -> list[int]:
    return [one["number"] for one in client.get("/api/alerts").json()["alerts"]]


@pytest.mark.parametrize("error", [StoreFullError, CardFailedError])
def test_an_alert_that_cannot_be_noted_as_shown_hides_none_that_was(
    car: Car, monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    """Once, the page closed the alert that was being transcribed, and later sounded all of them again."""
    client = car.enter()
    before = car.passes("7XKR219")
    assert numbers(client) == [before.number]
    car.board.unstored.miss(matched(), NOW_US)
    fresh = car.passes("5ABC123", entry("5ABC123"))

    def fail(*_: object) -> None:
        raise error("no room", where="x")

    with monkeypatch.context() as no_room:
        no_room.setattr(car.board, "take_steps", fail)
        assert numbers(client) == [before.number]
    assert {one["number"] for one in client.get("/api/alerts").json()["alerts"]} == {
        before.number,
        fresh.number,
    }


def test_an_open_page_is_notified() -> None:
    feed = Feed()
    with feed.listening() as words:
        feed.unstored()
        word = words.get(timeout=300)
    assert word.recipients is None
    assert "7XKR219" not in word.text
