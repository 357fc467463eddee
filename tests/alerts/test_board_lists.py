"""The board when its lists change: later, reworded and withdrawn entries, several for one vehicle."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import structlog
from alert_twins import KNOWN, Held, entry, seen
from board_twins import Car, MakeCar
from custody_twins import SteppedTime

from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.watch import HotListWatch
from storage.alert_life import AlertAnswer, AlertEvent, Outcome
from storage.alert_terms import DEFAULT_ALERTS
from storage.errors import RefusedError
from storage.times import HOUR_US, MINUTE_US
from sync.hot_lists.document import digest_of

if TYPE_CHECKING:
    from sync.hot_lists.held import HeldLists


def watching(car: Car, time: SteppedTime) -> HotListWatch:
    return HotListWatch(
        cast("HeldLists", SimpleNamespace(lists=(car.held,))),
        car.cleared,
        car.board,
        terms=lambda: DEFAULT_ALERTS,
        known_states=KNOWN,
        now_us=lambda: time.now().us,
        of_lists=LastingTime.of(car.ledger.store.time).of_lists,
        log=structlog.get_logger(),
    )


def test_two_entries_of_one_list_for_one_vehicle_are_two_alerts(make_car: MakeCar, time: SteppedTime) -> None:
    """Two agencies want it, and the text of one must not replace that of the other."""
    armed, lost = entry(reason="ARMED", case="26-1"), entry(reason="plate lost", case="26-2")
    car = make_car(armed, lost)
    made = car.passes(seen("7XKR219"))
    assert {one.entry for one in made} == {armed, lost}
    time.run(MINUTE_US)
    assert car.passes(seen("7XKR219")) == []
    assert [one.sightings for one in car.board.open_alerts()] == [2, 2]
    car.held = Held([armed], car.held.head)
    (gone,) = car.board.follow_lists(watching(car, time)._listed, time.now().us)
    assert gone.entry == lost
    reworded = replace(armed, color="blue")
    car.held = Held([reworded], car.held.head)
    assert car.board.follow_lists(watching(car, time)._listed, time.now().us) == []
    assert [one.entry for one in car.board.open_alerts() if not one.state.recalled] == [reworded]


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_an_entry_that_comes_later_for_the_same_vehicle_is_shown(
    make_car: MakeCar, time: SteppedTime, swapped: bool, answered: bool
) -> None:
    """Whichever digest is smaller, and whether or not the first was answered meanwhile."""
    first, later = entry(reason="plate lost", case="26-1"), entry(reason="ARMED", case="26-2")
    if swapped:
        first, later = later, first
    car = make_car(first)
    (alert,) = car.passes(seen("7XKR219"))
    if answered:
        assert car.check(alert, "7XKR218") is AlertAnswer.WRONG_CHARACTER
    time.run(2 * MINUTE_US)
    car.held = Held([first, later], car.held.head)
    made = {one.entry: one.match.silent for one in car.passes(seen("7XKR219"))}
    assert made == {later: (), first: ("just checked",)} if answered else {later: ()}
    assert {one.entry for one in car.board.open_alerts()} == {first, later}


def test_a_read_that_comes_before_the_lists_refresh_continues_the_reworded_entrys_visit(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    newer = replace(entry(), reason="ARMED")
    car.held = Held([newer], car.held.head)
    assert car.passes(seen("7XKR219")) == []
    assert car.board.find(alert.number).entry == newer
    assert car.said[1:] == [(alert.number, "entry changed"), (alert.number, "sighting")]
    assert car.board.follow_lists(watching(car, time)._listed, time.now().us) == []


def test_two_open_alerts_of_one_entry_are_both_reworded_and_neither_recalled(
    make_car: MakeCar, time: SteppedTime
) -> None:
    """The car came back after an hour, before the first alert was worked."""
    car = make_car()
    car.passes(seen("7XKR219"))
    time.run(HOUR_US)
    car.passes(seen("7XKR219"))
    newer = replace(entry(), reason="ARMED")
    car.held = Held([newer], car.held.head)
    assert car.board.follow_lists(watching(car, time)._listed, time.now().us) == []
    assert [one.entry for one in car.board.open_alerts()] == [newer, newer]


def test_new_words_reach_the_open_alerts_of_their_entry_and_no_other(
    make_car: MakeCar, time: SteppedTime
) -> None:
    other = entry("8ABC123")
    car = make_car(entry(), other)
    (recalled,) = car.passes(seen("7XKR219"))
    time.run(HOUR_US)
    (alert,) = car.passes(seen("7XKR219"))
    (beside,) = car.passes(seen("8ABC123"))
    car.step(recalled, AlertEvent.RECALLED, user="", text="the entry was withdrawn")
    newer = replace(entry(), reason="ARMED")
    assert car.board._reword(alert.visit, newer) == [
        replace(alert, entry=newer, entry_digest=digest_of(newer.to_bytes()))
    ]
    assert [car.board.find(one.number).entry for one in (recalled, alert, beside)] == [entry(), newer, other]


def test_an_entry_that_is_withdrawn_recalls_its_open_alerts(make_car: MakeCar, time: SteppedTime) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert car.board.follow_lists(lambda one: one.entry, time.now().us) == []
    assert (alert.number, "entry changed") not in car.said
    (recalled,) = car.board.follow_lists(lambda _alert: None, time.now().us)
    assert recalled.number == alert.number
    assert (alert.number, "recalled") in car.said
    assert car.board.follow_lists(lambda _alert: None, time.now().us) == []
    with pytest.raises(RefusedError, match="withdrawn"):
        car.step(alert, AlertEvent.VIEWED)
    assert len(car.passes(seen("7XKR219"))) == 1, "listed again, it is wanted again"
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED)


REISSUED: list[tuple[dict[str, object], bool]] = [
    ({"reason": "ARMED: use extreme caution", "color": "blue"}, True),
    ({"reference": "V123456790", "case": "26-1043"}, True),
    ({"state": "US-NV"}, False),
    ({"category": "wanted-person"}, False),
    ({"requester": "d.lee"}, False),
    ({"approver": "d.lee"}, False),
    ({"recipients": ("d.lee",)}, False),
    ({"reason": "until yesterday", "until_us": 1}, False),
    ({"reason": "from 2100", "from_us": 4_102_444_800_000_000}, False),
]


@pytest.mark.parametrize(("change", "stays"), REISSUED, ids=lambda one: str(one)[:24])
def test_an_entry_that_its_source_only_rewords_keeps_its_alert(
    make_car: MakeCar, time: SteppedTime, change: dict[str, object], stays: bool
) -> None:
    """A daily extract changes dates and texts for a vehicle that is still wanted."""
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    newer = replace(entry(), **change)  # type: ignore[arg-type]
    car.held = Held([newer], car.held.head)
    gone = car.board.follow_lists(watching(car, time)._listed, time.now().us)
    assert [one.number for one in gone] == ([] if stays else [alert.number])
    if stays:
        assert car.board.find(alert.number).entry == newer
        assert (alert.number, "entry changed") in car.said
        assert car.passes(seen("7XKR219")) == [], "the same visit"
        assert car.check(alert, "7XKR219") is AlertAnswer.CONFIRMED
