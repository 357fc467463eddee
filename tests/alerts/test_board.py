"""The board of a unit: one alert a visit, steps as signed records, cleared plates, recalls, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import structlog
from alert_twins import HEAD, KNOWN, Held, entry, plate_box, seen
from custody_twins import SteppedTime, add_reads, check

from detector.plates import ALPHABET, PlateText
from firmware.alerts import board as boards
from firmware.alerts.board import AlertBoard, OpenAlert, alerts_before
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.episodes import EPISODE_US
from firmware.alerts.matching import ListMatch, match
from firmware.alerts.watch import HotListWatch
from storage import files
from storage.alert_life import NEGATIVE, AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from storage.alert_terms import DEFAULT_ALERTS
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
    from sync.hot_lists.held import HeldLists


class Car:
    """A unit with one list, a board, and a person who checks."""

    def __init__(self, ledger: Ledger, time: SteppedTime, entries: list[ListEntry]) -> None:
        self.ledger, self.time = ledger, time
        self.held = Held(
            entries,
            replace(HEAD, extracted_us=time.now().us - HOUR_US, expires_us=time.now().us + 24 * HOUR_US),
        )
        folder = ledger.store.home.root / "hotlists"
        self.cleared = ClearedPlates(folder, ledger.hot_list_key())
        self.said: list[tuple[int, str]] = []
        self.board = AlertBoard(
            ledger,
            self.cleared,
            terms=lambda: DEFAULT_ALERTS,
            changed=lambda alert, what: self.said.append((alert.number, what)),
        )

    def matched(self, text: PlateText) -> list[ListMatch]:
        now_us = self.time.now().us
        cleared = self.cleared.all
        return match(text, plate_box(), [self.held], DEFAULT_ALERTS, KNOWN, now_us, cleared=cleared)

    def passes(self, text: PlateText) -> list[OpenAlert]:
        """A vehicle passes: its read is stored as the bookkeeper would, and its alerts are raised."""
        found = self.matched(text)
        read = add_reads(self.ledger, self.time, 1, hit=bool(found))[0]
        return self.board.raise_alerts(read, found, self.time.now().us)

    def step(self, alert: OpenAlert, kind: AlertEvent, user: str = "o.diaz", **fields: object) -> OpenAlert:
        at_us = self.time.now().us
        made = AlertStep(step=kind, user=user, role="sworn-officer", at_us=at_us, **fields)  # type: ignore[arg-type]
        return self.board.take_step(alert.number, made)

    def check(self, alert: OpenAlert, plate: str, state: str = "US-CA", fit: Fit = Fit.YES) -> AlertAnswer:
        """Look, type, answer with what follows."""
        from storage.alert_life import verdict_of

        self.step(alert, AlertEvent.SHOWN)
        self.step(alert, AlertEvent.VIEWED)
        typed = self.step(alert, AlertEvent.TRANSCRIBED, plate=plate, state=state)
        last = typed.state.last(AlertEvent.TRANSCRIBED)
        assert last is not None
        answer = verdict_of(last, fit, alert.wanted)
        self.step(alert, AlertEvent.ANSWERED, fit=fit, answer=answer)
        return answer


MakeCar = Callable[..., Car]


@pytest.fixture
def make_car(ledger: Ledger, time: SteppedTime) -> MakeCar:
    def make(*entries: ListEntry) -> Car:
        return Car(ledger, time, list(entries) or [entry()])

    return make


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
    """A wanted car passes after another was misread as it, or after a friend typed one wrong letter."""
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
    """It cleared the entry's own plate on one person's word."""
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


def watching(car: Car, time: SteppedTime) -> HotListWatch:
    return HotListWatch(
        cast("HeldLists", SimpleNamespace(lists=(car.held,))),
        car.cleared,
        car.board,
        terms=lambda: DEFAULT_ALERTS,
        known_states=KNOWN,
        now_us=lambda: time.now().us,
        log=structlog.get_logger(),
    )


def far(text: str, other: str) -> PlateText:
    """A far look: the last character is `other` with 4 of 10."""
    made = seen(text, 0.5)
    made.slots[-1] = 1e-4
    made.slots[-1, ALPHABET.index(text[-1])], made.slots[-1, ALPHABET.index(other)] = 0.6, 0.4
    return made


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
    """Silently while it is probably the same vehicle again, and aloud a quarter of an hour after the look."""
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
    """An outcome may wait for hours."""
    car = make_car()
    (other,) = car.passes(seen("7XKR219"))
    assert car.check(other, "7XKR21S") is AlertAnswer.WRONG_CHARACTER
    time.run(5 * MINUTE_US)
    assert [one.match.silent for one in car.passes(seen("7XKR219"))] == [("just checked",)]
    car.step(other, AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED)
    time.run(11 * MINUTE_US)
    assert [one.match.sounds for one in car.passes(seen("7XKR219"))] == [True], "the close adds no time"


def test_two_entries_of_one_list_for_one_vehicle_are_two_alerts(make_car: MakeCar, time: SteppedTime) -> None:
    """Two agencies want it: the words of one must not stand for those of the other."""
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
    """Whichever of the two digests is the smaller, and whether the first was answered meanwhile or not."""
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
    assert (car.board.find(alert.number).entry, car.said[-1]) == (newer, (alert.number, "entry changed"))
    assert car.board.follow_lists(watching(car, time)._listed, time.now().us) == []


def test_two_open_alerts_of_one_entry_are_both_reworded_and_neither_recalled(
    make_car: MakeCar, time: SteppedTime
) -> None:
    """The car came back after an hour, and the first alert is not worked yet."""
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
    car.step(alert, AlertEvent.CLOSED, outcome=Outcome.STOP)
    time.run(5 * MINUTE_US)
    assert car.passes(seen("7XKR219")) == []


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
    """A daily extract changes dates and words of a vehicle that is still wanted."""
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


def test_alerts_of_an_earlier_run_are_counted_after_a_restart(make_car: MakeCar, ledger: Ledger) -> None:
    car = make_car()
    car.passes(seen("7XKR219"))
    assert alerts_before(ledger, car.board.began) == 0
    again = make_car()  # whether its content can be opened after the restart or not
    assert alerts_before(ledger, again.board.began) == 1
    ledger.store.live.clear()  # as the keys of an enrolled unit are after a restart
    assert alerts_before(ledger, again.board.began) == alerts_before(ledger) == 1


# What happened elsewhere, replayed -------------------------------------------------------------------------


def test_green_v_san_francisco_a_three_read_as_a_seven_is_not_confirmed(make_car: MakeCar) -> None:
    """5SOW350, a Lexus, read as 5SOW750, a stolen GMC truck; the picture was not looked at."""
    car = make_car(entry("5SOW750", make="GMC", plate_class="truck"))
    (alert,) = car.passes(seen("5SOW750"))
    with pytest.raises(RefusedError, match="look at the image"):
        car.step(alert, AlertEvent.TRANSCRIBED, plate="5SOW350", state="US-CA")
    assert car.check(alert, "5SOW350") is AlertAnswer.WRONG_CHARACTER
    with pytest.raises(RefusedError, match="without action"):
        car.step(alert, AlertEvent.CLOSED, outcome=Outcome.STOP)
    assert [one.match.silent for one in car.passes(seen("5SOW750"))] == [("just checked",)]


def test_aurora_2020_the_right_text_of_another_states_motorcycle_does_not_sound(make_car: MakeCar) -> None:
    """A family's Colorado SUV; the entry was a Montana motorcycle with the same number."""
    car = make_car(entry("BTI268", state="US-MT", plate_class="motorcycle"))
    (alert,) = car.passes(seen("BTI268", state="US-CO"))
    assert not alert.match.sounds
    assert "state" in alert.match.disagrees
    assert car.check(alert, "BTI268", state="US-CO") is AlertAnswer.WRONG_STATE
    assert [one.match.sounds for one in car.passes(seen("BTI268", state="US-CO"))] == [False]


def test_aurora_2020_without_a_named_state_the_look_at_the_vehicle_ends_it(make_car: MakeCar) -> None:
    car = make_car(entry("BTI268", state="", plate_class="motorcycle"))
    (alert,) = car.passes(seen("BTI268", state=""))
    assert car.check(alert, "BTI268", state="", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE


def test_toledo_2024_a_seven_read_as_a_two_is_not_confirmed(make_car: MakeCar) -> None:
    car = make_car(entry("JXA2214", state="US-OH"))
    (alert,) = car.passes(seen("JXA2214", state="US-OH"))
    assert car.check(alert, "JXA7214", state="US-OH") is AlertAnswer.WRONG_CHARACTER
    assert [one.match.sounds for one in car.passes(seen("JXA2214", state="US-OH"))] == [False]


def test_colorado_2026_o_and_zero_are_one_and_the_driver_is_checked_again_at_each_visit(
    make_car: MakeCar, time: SteppedTime
) -> None:
    car = make_car(entry("BQO512", state="US-CO", reason="warrant"))
    (alert,) = car.passes(seen("BQ0512", state="US-CO"))
    assert alert.match.twin
    assert car.check(alert, "BQ0512", state="US-CO", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE
    for _ in range(3):
        time.run(EPISODE_US + MINUTE_US)
        (alert,) = car.passes(seen("BQ0512", state="US-CO"))
        assert car.passes(seen("BQO512", state="US-CO")) == []
        assert car.check(alert, "BQ0512", state="US-CO", fit=Fit.NO) is AlertAnswer.NOT_THIS_VEHICLE
