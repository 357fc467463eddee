"""On a unit whose clock is set back across an end, no expired list, entry or extract comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from alert_twins import HEAD, KNOWN, entry, plate_box, seen
from board_twins import raise_alerts
from custody_twins import START_US, SteppedTime, add_reads

from detector.plates import PlateText
from firmware.alerts.board import AlertBoard
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.watch import HotListWatch
from firmware.custody.opening import create_ledger, open_ledger
from hw.clock import TimeState
from hw.secure_slot import LoopbackSlot
from storage.alert_life import AlertEvent, AlertStep
from storage.alert_terms import DEFAULT_ALERTS
from storage.clock_trust import DEPARTMENT, Moment
from storage.ledger import Ledger
from storage.record_base import ClockState
from storage.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sync.hot_lists.document import digest_of, total_digest
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import HeldLists


class _Pass:
    """The parts of an ended pass that the watch looks at."""

    def __init__(self, text: PlateText) -> None:
        self.vehicle = self
        self.text, self.best_box, self.frames_voted = text, plate_box(), 9


class Unit:
    """A unit's lists, board and watch, with its real ledger."""

    def __init__(
        self, ledger: Ledger, time: SteppedTime, one: ListEntry, *, hours: int, aged_h: int = 1
    ) -> None:
        home, now_us = ledger.store.home.root, time.now().us
        data = [one.to_bytes()]
        head = replace(
            HEAD,
            extracted_us=now_us - aged_h * HOUR_US,
            expires_us=now_us + hours * HOUR_US,
            digest=total_digest(map(digest_of, data)),
        )
        self.held = HeldLists(home, home / "inbox", ledger.hot_list_key(), lambda: None)
        self.held.keep(head, data)
        self.now = LastingTime.of(ledger.store.time)
        cleared = ClearedPlates(home / "hotlists", ledger.hot_list_key())
        log: Any = structlog.get_logger("test")
        self.board = AlertBoard(ledger, cleared, terms=lambda: DEFAULT_ALERTS)
        self.watch = HotListWatch(
            self.held,
            cleared,
            self.board,
            terms=lambda: DEFAULT_ALERTS,
            known_states=KNOWN,
            now_us=self.now,
            of_lists=self.now.of_lists,
            log=log,
        )

    def hits(self) -> bool:
        passed: Any = _Pass(seen("7XKR219"))
        return self.watch.matches(passed)

    @property
    def stale(self) -> bool:
        """Whether the last match is from an old extract."""
        (found,) = self.watch._found
        return found.stale


MakeUnit = Callable[..., Unit]


@pytest.fixture
def make_unit(ledger: Ledger, time: SteppedTime) -> MakeUnit:
    def make(one: ListEntry | None = None, *, hours: int = 2, aged_h: int = 1) -> Unit:
        return Unit(ledger, time, one or entry(), hours=hours, aged_h=aged_h)

    return make


STATES = [TimeState.DISCIPLINED, TimeState.HOLDOVER]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("back_us", [3 * HOUR_US, 40 * DAY_US])
def test_a_list_that_expired_matches_nothing_when_the_clock_is_set_back(
    make_unit: MakeUnit, time: SteppedTime, state: TimeState, back_us: int
) -> None:
    unit = make_unit(hours=2)
    time.lose(state)
    assert unit.hits()
    time.run(2 * HOUR_US)
    assert not unit.hits()
    time.jump(-back_us)
    assert not unit.hits()
    time.run(MINUTE_US)
    assert not unit.hits()
    assert unit.watch.health().expired == 1


@pytest.mark.parametrize("state", STATES)
def test_a_clock_that_jumped_over_the_end_and_back_revives_no_list(
    make_unit: MakeUnit, time: SteppedTime, state: TimeState
) -> None:
    unit = make_unit(hours=2)
    time.lose(state)
    time.jump(3 * HOUR_US)
    assert not unit.hits()
    time.jump(-3 * HOUR_US)
    assert not unit.hits()


def test_a_local_entry_that_ended_stays_ended(make_unit: MakeUnit, time: SteppedTime) -> None:
    unit = make_unit(entry(until_us=time.now().us + HOUR_US), hours=20)
    assert unit.hits()
    time.run(HOUR_US)
    assert not unit.hits()
    time.jump(-HOUR_US - MINUTE_US)
    assert not unit.hits()


def test_an_old_extract_stays_stale(make_unit: MakeUnit, time: SteppedTime) -> None:
    unit = make_unit(hours=20, aged_h=23)
    assert unit.hits()
    assert not unit.stale
    time.run(HOUR_US + MINUTE_US)
    assert unit.hits()
    assert unit.stale
    time.jump(-10 * HOUR_US)
    assert unit.hits()
    assert unit.stale
    assert unit.watch.health().stale == 1


def test_an_alert_continues_after_the_clock_was_set_back(
    make_unit: MakeUnit, time: SteppedTime, ledger: Ledger
) -> None:
    unit = make_unit(hours=20)
    now_us = unit.now()
    assert unit.hits()
    read = add_reads(ledger, time, 1, hit=True)[0]
    (alert,) = raise_alerts(unit.board, ledger, read, unit.watch._found, now_us)
    time.run(HOUR_US)
    for kind, jump_us in ((AlertEvent.SHOWN, 0), (AlertEvent.VIEWED, -5 * HOUR_US), (AlertEvent.SHOWN, 0)):
        time.jump(jump_us)
        step = AlertStep(step=kind, user="o.diaz", role="sworn-officer", at_us=unit.now())
        unit.board.take_step(alert.number, step)


def test_a_clock_that_knows_no_time_dates_steps_and_ends_nothing() -> None:
    told = [
        (100, ClockState.DISCIPLINED, 100),
        (10**12, ClockState.UNKNOWN, 105),
        (90, ClockState.DISCIPLINED, 106),
        (110, ClockState.HOLDOVER, 110),
        (10**12, ClockState.UNKNOWN, 2000),
    ]
    time: list[tuple[int, ClockState, int]] = []
    clock = LastingTime(lambda: Moment(us=time[0][0], state=time[0][1]), lambda: time[0][2])
    said = []
    for one in told:
        time[:] = [one]
        said.append((clock(), clock.of_lists().sure_us))
    assert said == [(100, 100), (10**12, 105), (106, 106), (110, 110), (10**12, 2000)]


@pytest.mark.parametrize("state", [TimeState.DISCIPLINED, TimeState.HOLDOVER])
def test_a_clock_that_is_put_far_ahead_silences_no_list(
    make_unit: MakeUnit, time: SteppedTime, state: TimeState
) -> None:
    """A spoofed receiver, a stranger's time server or an empty clock battery: custody believes none alone."""
    unit = make_unit(entry(until_us=time.now().us + 20 * HOUR_US), hours=20)
    time.lose(state)
    time.jump(40 * DAY_US)
    assert unit.hits()
    assert unit.stale, "by the clock the extract is old: the alert says so"
    assert unit.watch.health().expired == 0
    time.run(20 * HOUR_US)
    assert not unit.hits(), "it ends by the time that has run"


def test_after_weeks_without_power_an_entry_begins_by_the_clock_and_an_ended_one_is_stale(
    make_unit: MakeUnit, time: SteppedTime
) -> None:
    """The clock is right, but custody follows it only after the department confirms it."""
    began_us, ended_us = time.now().us + 20 * DAY_US, time.now().us + 7 * DAY_US
    new = make_unit(entry(from_us=began_us), hours=24 * 30)
    old = make_unit(entry(until_us=ended_us), hours=24 * 30)
    assert not new.hits()
    assert old.hits()
    time.jump(21 * DAY_US)
    assert new.hits()
    assert old.hits()
    assert old.stale
    time.run(7 * DAY_US)
    assert not old.hits()


def test_a_restart_under_a_clock_that_was_set_back_revives_no_list(tmp_path: Path) -> None:
    """The log's newest signed time is the earliest that the next process believes."""
    home, time = tmp_path / "home", SteppedTime()
    create_ledger(home, clock=time.clock).close()
    with open_ledger(home, clock=time.clock) as ledger:
        unit = Unit(ledger, time, entry(), hours=2)
        assert unit.hits()
        time.run(3 * HOUR_US)
        assert not unit.hits()
        add_reads(ledger, time, 1)
        unit.held.close()
    time.jump(-3 * HOUR_US)
    with open_ledger(home, clock=time.clock) as ledger:
        held = HeldLists(home, home / "inbox", ledger.hot_list_key(), lambda: None)
        assert len(held.lists) == 1
        now = LastingTime.of(ledger.store.time)
        assert now() >= held.lists[0].head.expires_us
        held.close()


@pytest.mark.parametrize("by_us", [-400 * DAY_US, 400 * DAY_US, 2**53 - START_US, 1 - START_US])
def test_an_alert_grows_old_by_running_time_whatever_the_clock_is_set_to(
    make_unit: MakeUnit, time: SteppedTime, ledger: Ledger, by_us: int
) -> None:
    """It is set before the look and corrected after it; the order of the steps does not change."""
    unit = make_unit(entry("7XKR219"), hours=24)
    time.lose(TimeState.UNKNOWN)
    assert unit.hits()
    (read,) = add_reads(ledger, time, 1, hit=True)
    (alert,) = raise_alerts(unit.board, ledger, read, unit.watch._found, unit.now())
    time.jump(by_us)
    time.run(90 * SECOND_US)
    assert unit.board.running_us - alert.state.raised_us == 90 * SECOND_US
    step = AlertStep(step=AlertEvent.VIEWED, user="o.diaz", role="", at_us=unit.now())
    unit.board.take_step(alert.number, step)
    time.jump(-by_us)
    typed = replace(step, step=AlertEvent.TRANSCRIBED, at_us=unit.now(), plate="7XKR219")
    made = unit.board.take_step(alert.number, typed)
    assert not made.state.overdue(unit.board.running_us, 24)
    time.run(24 * HOUR_US)
    assert made.state.overdue(unit.board.running_us, 24)


@pytest.mark.parametrize("state", [*STATES, TimeState.UNKNOWN])
@pytest.mark.parametrize("behind_us", [400 * DAY_US, START_US - 10 * DAY_US])
def test_a_list_ends_by_the_departments_word_where_the_clock_is_far_behind(
    tmp_path: Path, behind_us: int, state: TimeState
) -> None:
    """Its end and the age of its extract are in the department's time."""
    time = SteppedTime(START_US - behind_us)
    time.lose(state)
    ledger = Ledger.create(tmp_path, LoopbackSlot(tmp_path / "chip"), time, boot=time.boot)
    ahead = SteppedTime(START_US)
    unit = Unit(ledger, ahead, entry(), hours=2, aged_h=23)
    assert unit.hits()
    assert not unit.stale
    ledger.store.time.hear(START_US, ClockState.DISCIPLINED, DEPARTMENT)
    time.run(HOUR_US + MINUTE_US)
    assert unit.hits()
    assert unit.stale
    time.run(HOUR_US)
    assert not unit.hits()
    assert unit.watch.health().expired == 1
    assert ledger.store.time.trusted_us < START_US  # purges do not use it
    unit.held.close()
    ledger.close()
