"""A unit's board: one alert per visit, steps as signed records, cleared plates, nothing lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from alert_twins import entry, seen
from custody_twins import SteppedTime, check

from firmware.alerts import board as boards
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.episodes import EPISODE_US
from storage import files
from storage.alert_life import NEGATIVE, AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from storage.audit_records import Decision, Verdict
from storage.envelope import encode
from storage.errors import RefusedError
from storage.hot_list_file import seal
from storage.ledger import Ledger
from storage.read_records import Alert, AlertStepped
from storage.record_base import KeyClass
from storage.times import HOUR_US, MINUTE_US
from sync.hot_lists.document import digest_of
from sync.hot_lists.entry import ListEntry

if TYPE_CHECKING:
    pass
from board_twins import MakeCar, far


def test_a_hit_is_sealed_as_a_hit_and_its_alert_is_a_record(make_car: MakeCar, ledger: Ledger) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert ledger.store.leaf(alert.read).key_class is KeyClass.HIT
    record = ledger.store.record(alert.number)
    assert isinstance(record, Alert)
    assert (record.read, record.list_id, record.category) == (alert.read, "doj", "stolen-vehicle")
    assert ListEntry.from_bytes(record.entry) == entry()
    assert (alert.says, alert.match.sounds) == ("Stolen vehicle", True)
    assert check(ledger.store.home.root, ledger.store.slot).ok


def test_a_parked_car_raises_one_alert_and_not_twenty(make_car: MakeCar, time: SteppedTime) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    for _ in range(20):
        time.run(MINUTE_US)
        assert car.passes(seen("7XKR219")) == []
    assert [one.sightings for one in car.board.open_alerts()] == [21]
    time.run(EPISODE_US + MINUTE_US)
    assert len(car.passes(seen("7XKR219"))) == 1
    assert alert.number != car.board.open_alerts()[0].number


def test_every_step_is_a_signed_record_and_a_confirmation_a_decision(
    make_car: MakeCar, ledger: Ledger
) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert car.check(alert, "7XKR219") is AlertAnswer.CONFIRMED
    car.step(alert, AlertEvent.CLETS, practicable=True, text="CLETS 4711")
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.STOP)
    assert car.board.open_alerts() == []
    records = [ledger.store.record(number) for number in range(alert.number, ledger.store.log.size())]
    steps = [one.step.step for one in records if isinstance(one, AlertStepped)]
    assert steps == [
        AlertEvent.SHOWN,
        AlertEvent.VIEWED,
        AlertEvent.TRANSCRIBED,
        AlertEvent.ANSWERED,
        AlertEvent.CLETS,
        AlertEvent.CLOSED,
    ]
    (decision,) = [one for one in records if isinstance(one, Decision)]
    assert (decision.verdict, decision.alert) == (Verdict.CONFIRMED, alert.number)
    assert (decision.image_viewed, decision.user) == (True, "o.diaz")
    assert check(ledger.store.home.root, ledger.store.slot).ok


def test_a_refused_step_changes_nothing(make_car: MakeCar, ledger: Ledger) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    size = ledger.store.log.size()
    with pytest.raises(RefusedError, match="look at the image"):
        car.step(alert, AlertEvent.TRANSCRIBED, plate="7XKR219", state="US-CA")
    with pytest.raises(RefusedError, match="no such alert"):
        car.board.take_step(10**6, AlertStep(step=AlertEvent.VIEWED, user="o.diaz", role="", at_us=1))
    assert ledger.store.log.size() == size
    assert car.board.find(alert.number).state.steps == ()


def test_a_negative_answer_clears_the_plate_that_was_typed_and_never_the_entrys_own(
    make_car: MakeCar, time: SteppedTime, ledger: Ledger
) -> None:
    """A wanted car passes after another was misread as its plate, or after a friend typed a wrong letter."""
    car = make_car()
    other = replace(seen("7XKR279", 0.6), candidates=(("7XKR279", 0.6), ("7XKR219", 0.35)))
    (alert,) = car.passes(other)
    assert car.check(alert, "7xkr 279") is AlertAnswer.WRONG_CHARACTER
    time.run(HOUR_US)
    assert car.passes(other) == []
    (wanted,) = car.passes(seen("7XKR219"))
    assert wanted.match.sounds
    again = ClearedPlates(ledger.store.home.root / "hotlists", ledger.hot_list_key())
    assert again.all == car.cleared.all != frozenset()
    car.held.entries[:] = [entry(reason="entered again")]
    time.run(EPISODE_US + MINUTE_US)
    assert len(car.passes(other)) == 1


@pytest.mark.parametrize(
    ("plate", "state", "fit"),
    [
        ("7XKR2I9", "US-CA", Fit.NO),
        ("7XKR219", "US-TX", Fit.YES),
        ("7XKR27?", "US-CA", Fit.YES),
        ("7XKR219", "", Fit.NO),
    ],
)
def test_one_person_ends_an_alert_and_not_the_entry(
    make_car: MakeCar, time: SteppedTime, plate: str, state: str, fit: Fit
) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert car.check(alert, plate, state, fit) in NEGATIVE
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED)
    assert car.cleared.all == frozenset()
    time.run(EPISODE_US + MINUTE_US)
    assert [one.match.sounds for one in car.passes(seen("7XKR219"))] == [True]


def test_what_an_older_version_cleared_clears_nothing(make_car: MakeCar, ledger: Ledger) -> None:
    """That version cleared the entry's own plate on one person's answer."""
    folder, key = ledger.store.home.root / "hotlists", ledger.hot_list_key()
    files.make_dir(folder)
    old = encode([["7XKR219", digest_of(entry().to_bytes())]])
    files.replace(folder / "cleared", seal(key, "cleared", 0, old))
    assert len(make_car().passes(seen("7XKR219"))) == 1


def test_what_is_cleared_is_kept_sealed(make_car: MakeCar, ledger: Ledger) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    car.check(alert, "7XKR279")
    path = ledger.store.home.root / "hotlists" / "cleared"
    assert b"7XKR" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"damaged")
    assert ClearedPlates(path.parent, ledger.hot_list_key()).all == frozenset()


def test_a_car_that_comes_nearer_sounds_though_its_first_look_was_silent(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    (first,) = car.passes(far("7XKR219", "8"))
    assert not first.match.sounds
    time.run(MINUTE_US)
    assert car.passes(far("7XKR219", "8")) == []
    (near,) = car.passes(seen("7XKR219", 0.999))
    assert near.match.sounds
    assert car.passes(seen("7XKR219", 0.999)) == []
    assert [one.match.sounds for one in car.board.open_alerts()] == [True, False]


CLOSINGS = [
    pytest.param("7XKR21S", Fit.YES, False, id="wrong character"),
    pytest.param("7XKR219", Fit.NO, False, id="not this vehicle"),
    pytest.param("7XKR21?", Fit.YES, True, id="cannot tell"),
    pytest.param("", Fit.YES, True, id="not looked at"),
]


@pytest.mark.parametrize(("plate", "fit", "sounds"), CLOSINGS)
def test_the_wanted_car_comes_up_minutes_after_another_was_closed_as_not_it(
    make_car: MakeCar, time: SteppedTime, plate: str, fit: Fit, sounds: bool
) -> None:
    """Silently while it is probably the same vehicle, and with sound a quarter of an hour after the look."""
    car = make_car()
    (other,) = car.passes(seen("7XKR219"))
    if plate:
        assert car.check(other, plate, fit=fit) is not AlertAnswer.CONFIRMED
    car.step(other, AlertEvent.CLOSED, outcome=Outcome.HANDED_OVER)
    time.run(5 * MINUTE_US)
    (wanted,) = car.passes(seen("7XKR219"))
    assert wanted.match.silent == (() if sounds else ("just checked",))
    time.run(5 * MINUTE_US)
    assert car.passes(seen("7XKR219")) == []
    time.run(6 * MINUTE_US)
    assert [one.match.sounds for one in car.passes(seen("7XKR219"))] == [True] * (not sounds)


def test_the_wanted_car_comes_up_while_a_look_alike_is_answered_and_not_closed(
    make_car: MakeCar, time: SteppedTime
) -> None:
    """It may take hours until an outcome is entered."""
    car = make_car()
    (other,) = car.passes(seen("7XKR219"))
    assert car.check(other, "7XKR21S") is AlertAnswer.WRONG_CHARACTER
    time.run(5 * MINUTE_US)
    assert [one.match.silent for one in car.passes(seen("7XKR219"))] == [("just checked",)]
    car.step(other, AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED)
    time.run(11 * MINUTE_US)
    assert [one.match.sounds for one in car.passes(seen("7XKR219"))] == [True], "the close adds no time"


def test_a_match_that_is_silent_by_itself_keeps_its_reasons_after_a_check(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert car.check(alert, "7XKR21S") is AlertAnswer.WRONG_CHARACTER
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED)
    time.run(MINUTE_US)
    assert [one.match.silent for one in car.passes(far("7XKR219", "8"))] == [("score",)]


def test_a_car_that_was_confirmed_and_dealt_with_raises_no_second_alert(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car()
    (alert,) = car.passes(seen("7XKR219"))
    assert car.check(alert, "7XKR219") is AlertAnswer.CONFIRMED
    car.step(alert, AlertEvent.CLETS, practicable=False, text="radio out of reach")
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.STOP)
    time.run(5 * MINUTE_US)
    assert car.passes(seen("7XKR219")) == []


def test_the_machine_never_closes_an_alert_but_says_what_it_leaves_to_the_desk(
    make_car: MakeCar, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "MOST_OPEN", 5)
    silent = [entry(f"7ABC{number:03}", state="US-TX") for number in range(8)]
    car = make_car(*silent, *(entry(f"8ABC{number:03}") for number in range(7)))
    for one in silent:
        car.passes(seen(one.plate))
    for number in range(7):
        car.passes(seen(f"8ABC{number:03}"))
    assert [one.match.sounds for one in car.board.open_alerts()] == [True] * 7
    assert car.board.left_to_the_desk == 8


def test_a_unit_that_no_officer_sits_at_keeps_no_more_alerts_than_a_board_holds(
    make_car: MakeCar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "MOST_OPEN", 2)
    monkeypatch.setattr(boards, "MOST_AT_ALL", 4)
    car = make_car(*(entry(f"8ABC{number:03}") for number in range(7)))
    for number in range(7):
        car.passes(seen(f"8ABC{number:03}"))
    assert [one.entry.plate for one in car.board.open_alerts()] == [
        f"8ABC{number:03}" for number in (6, 5, 4, 3)
    ]
    assert (car.board.left_to_the_desk, car.board.raised) == (3, 7)


def test_no_count_has_an_alert_of_a_covert_entry(make_car: MakeCar, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reader alerts` lists none, and a count would reveal that one is near."""
    monkeypatch.setattr(boards, "MOST_OPEN", 1)
    monkeypatch.setattr(boards, "MOST_AT_ALL", 2)
    car = make_car(entry("8ABC000", recipients=("super",)), *(entry(f"8ABC00{n}") for n in range(1, 4)))
    for number in range(4):
        car.passes(seen(f"8ABC00{number}"))
    assert len(car.board.open_alerts()) == 2
    assert (car.board.left_to_the_desk, car.board.raised) == (1, 3)
