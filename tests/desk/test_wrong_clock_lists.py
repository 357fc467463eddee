"""A hot list on a unit with a wrong clock matches for its term in the department's time and no longer.

A real unit, the department's own list, and what both say about alerts that are off or marked stale.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from alert_twins import KNOWN, plate_box, seen
from custody_twins import OVERVIEW, PATCH, SteppedTime, add_reads, make_read
from desk_forms import forms
from desk_twins import Department
from receiver_twins import Joined
from sync_twins import converse

from firmware.alerts.board import AlertBoard
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.list_ops import list_health, list_operations, off_lines
from firmware.alerts.opened_lists import open_lists
from firmware.alerts.watch import HotListWatch
from hw.clock import TimeState
from storage import access, clock_trust
from storage.errors import RefusedError
from storage.ledger import Ledger, NewRead
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.server.server import Department as Server
from sync.hot_lists.held import lists_folder

WANTED = "8XYZ123"
BORN = {"right": 0, "ahead": 400 * DAY_US, "behind": -400 * DAY_US, "in 1970": -(1 << 60)}
PUT = {"": 0, ", put ahead": 400 * DAY_US, ", put back": -400 * DAY_US}
CLOCKS = {born + put: (BORN[born], PUT[put]) for born in BORN for put in PUT}
FULL = os.environ.get("ALPR_FAULTS") == "full"
TRIED = list(CLOCKS) if FULL else list(CLOCKS)[::2]  # each first clock, and each later step with two of them
TERM_US = 24 * HOUR_US


class _Pass:
    """The parts of an ended pass that the watch looks at."""

    def __init__(self) -> None:
        self.vehicle = self
        self.text, self.best_box, self.frames_voted = seen(WANTED), plate_box(), 9


class Car(Joined):
    """A unit with its own clock, its lists, and the watch of a run."""

    def __init__(
        self, path: Path, server: Server, true_us: int, born_us: int, patch: pytest.MonkeyPatch
    ) -> None:
        self.time = SteppedTime(max(1, true_us + born_us))
        if born_us:
            self.time.lose(TimeState.UNKNOWN)
        self._patch, self._boots = patch, 0
        super().__init__(path, server, "car-400", time_source=self.time)
        self.start()

    def start(self) -> None:
        """Start the program after the last run has ended."""
        if not self.ledger.closed:
            self.ledger.close()
        self.ledger = Ledger.open(self.home, self.slot, self.time, boot=self.time.boot)
        cleared = ClearedPlates(lists_folder(self.home), self.ledger.hot_list_key())
        self.held = open_lists(self.home, self.ledger, self.folder)
        lasting = LastingTime.of(self.ledger.store.time)
        terms = lambda: self.ledger.store.policy.alerts  # noqa: E731
        log: Any = structlog.get_logger("test")
        self.board = AlertBoard(self.ledger, cleared, terms=terms)
        self.watch = HotListWatch(
            self.held, cleared, self.board, terms=terms, known_states=KNOWN,
            now_us=lasting, of_lists=lasting.of_lists, log=log,
        )  # fmt: skip

    def start_machine(self) -> None:
        """Start after days without power; a clock without a battery continues where it stopped."""
        self.ledger.close()
        self._boots += 1
        self._patch.setattr(clock_trust, "boot_id", lambda: f"boot {self._boots}")
        self.time.boot_us = MINUTE_US
        self.start()

    def runs(self, us: int) -> None:
        """Let time pass and read a vehicle that is not wanted."""
        self.time.run(us)
        add_reads(self.ledger, SteppedTime(self.time.now().us), 1, text="1ABC234")

    def meets(self) -> bool | None:
        """Let the wanted vehicle pass. Returns whether its alert is marked stale; None without an alert."""
        self.watch.refresh()
        passed: Any = _Pass()
        if not self.watch.matches(passed):
            return None
        (found,) = self.watch._found
        read = make_read(self.time.now().us, WANTED)
        new = NewRead(read=read, patch=PATCH, overview=OVERVIEW)
        number, *alerts = self.ledger.append_hit(new, self.watch.alerts(read))
        self.watch.met(number, alerts)
        return found.stale

    def says(self) -> list[str]:
        """What `reader status` says about alerts."""
        return off_lines(list_operations(self.home, self.ledger)["hotlists"]({}))

    def close(self) -> None:
        self.held.close()
        super().close()


@pytest.fixture(params=TRIED)
def car(
    request: pytest.FixtureRequest,
    server: Server,
    department: Department,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Car]:
    """A unit with the department's list, whose clock was wrong at first, was set wrong later, or both."""
    push = forms(department)["hotlist/push"]
    department.two_hands("hotlist/push", department.logon("super"), push, second="chief")
    born_us, put_us = CLOCKS[request.param]
    made = Car(tmp_path / "unit", server, department.clock.us, born_us, monkeypatch)
    assert converse(made, server).done
    if put_us:
        made.time.lose(TimeState.UNKNOWN)
        made.time.jump(max(1, made.time.now().us + put_us) - made.time.now().us)
    yield made
    made.close()


@pytest.mark.thorough_rows
def test_a_delivered_list_raises_fresh_alerts_for_its_term_and_none_after_it(car: Car) -> None:
    assert car.meets() is False
    assert len(car.board.open_alerts()) == 1
    assert (car.watch.health().failing, car.watch.health().in_doubt, car.says()) == (0, 0, [])
    car.runs(TERM_US - HOUR_US)
    car.start()  # restarts only the program
    assert car.meets() is False
    car.runs(HOUR_US + MINUTE_US)  # a co-signature has whole seconds
    assert car.meets() is None
    (line,) = car.says()
    assert line.startswith("OFF for doj: the list expired on 20")
    assert car.watch.health().failing == list_health(car.home, car.ledger).failing == 1


@pytest.mark.thorough_rows
def test_a_list_ends_after_its_term_of_running_time_over_starts_of_the_machine_too(
    car: Car, server: Server
) -> None:
    """No clock knows how long the power was off, so its alerts are marked stale and do not end early."""
    unknown = car.time.now().state is TimeState.UNKNOWN
    for _ in range(3):
        car.runs(6 * HOUR_US)
        car.start_machine()
        assert car.meets() is unknown
        assert car.watch.health().in_doubt == list_health(car.home, car.ledger).in_doubt == int(unknown)
        assert car.says() == [one for one in car.says() if one.startswith("marked STALE for doj")]
        assert len(car.says()) == int(unknown)
    car.runs(6 * HOUR_US + MINUTE_US)
    car.start_machine()
    assert car.meets() is None
    assert car.watch.health().failing == 1


@pytest.mark.thorough_rows
def test_the_next_sync_says_how_old_a_list_is(car: Car, server: Server) -> None:
    car.runs(HOUR_US)
    car.start_machine()
    car.runs(MINUTE_US)
    assert converse(car, server).done
    assert (car.meets(), car.watch.health().in_doubt, car.says()) == (False, 0, [])


@pytest.mark.thorough_rows(every=3)
def test_a_training_is_current_by_the_departments_word(car: Car, department: Department) -> None:
    """Even after a start of the machine, before the next sync."""
    ledger = car.ledger

    def may(now_us: int) -> None:
        person = ledger.standing.roster.person("disp1")
        assert person is not None
        access.permit_alerts(person, "dispatcher", ledger.store.policy, now_us=now_us)

    access.at_one_of(ledger.store.time.perhaps_us(), may)
    car.runs(HOUR_US)
    car.start_machine()
    ledger = car.ledger
    access.at_one_of(ledger.store.time.perhaps_us(), may)
    if department.clock.us < ledger.store.time.now().us:
        return  # only the clock is ahead, so the time that has surely passed is asked too
    car.runs(400 * DAY_US)
    with pytest.raises(RefusedError, match="training is not current"):
        access.at_one_of(ledger.store.time.perhaps_us(), may)
