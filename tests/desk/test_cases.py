"""Wrongful stops that happened elsewhere, replayed from unit to desk and back: none is confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import desk_twins
import drawn_images
import pyotp
import pytest
import structlog
from alert_cases import CASES, Case, entry
from alert_twins import KNOWN, seen
from custody_twins import make_read
from desk_verifiers import Verifier
from receiver_twins import Joined
from sync_twins import converse
from today_department import found_today, opened

from detector.plates import PlateBox, PlateText
from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.running import alerting
from storage.alert_life import Outcome
from storage.ledger import NewRead
from storage.times import HOUR_US, now_us
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.server import Department
from sync.department.units.hot_lists import Offer, publish_list


@dataclass
class Passing:
    """The parts of an ended pass that the watch looks at."""

    text: PlateText
    best_box: PlateBox
    frames_voted: int = 9
    vehicle: Any = field(init=False)

    def __post_init__(self) -> None:
        self.vehicle = self


def passing(text: PlateText, case: Case) -> Any:
    return Passing(text, case.box)


class Patrol:
    """An enrolled unit with its lists, its board and its line to the department."""

    def __init__(self, folder: Path, server: Department, name: str, stack: ExitStack) -> None:
        self.server = server
        self.unit = Joined(folder / name, server, name)
        stack.callback(self.unit.close)
        ledger, log = self.unit.ledger, structlog.get_logger("test")
        known: Any = KNOWN
        self.alerts = stack.enter_context(
            alerting(
                self.unit.home,
                ledger,
                self.unit.folder,
                known,
                LastingTime.of(ledger.store.time),
                log,
            )
        )

    def sync(self) -> None:
        converse(self.unit, self.server)
        self.alerts.watch.refresh()

    def meets(self, case: Case) -> bool:
        """Let a vehicle pass, as the bookkeeper stores and raises it. Returns whether it was a hit."""
        vehicle, watch = passing(case.read, case), self.alerts.watch
        if not watch.matches(vehicle):
            return False
        read = make_read(now_us(), case.read.text, demo=False)
        patch, overview = drawn_images.patch(case.shown[0]), drawn_images.overview(case.shown[0])
        new = NewRead(read=read, patch=patch, overview=overview)
        number, *alerts = self.unit.ledger.append_hit(new, watch.alerts(read))
        watch.met(number, alerts)
        return True

    def sounds(self, case: Case) -> bool:
        return self.alerts.watch.sounds(passing(case.read, case))


@dataclass
class Today:
    """A department at the real time, with its desk, two cars, and people who are logged in."""

    desk: desk_twins.Department
    cars: tuple[Patrol, Patrol]
    tokens: dict[str, str]

    def verifier(self, user: str) -> Verifier:
        return Verifier(self.desk, self.tokens[user])


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Today]:
    folder = tmp_path_factory.mktemp("today")
    home = found_today(folder)
    with ExitStack() as stack:
        department = stack.enter_context(opened(folder))
        server, front = department.server, department.front
        offer = Offer(
            list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
        )
        publish_list(home, server.store, offer, [one.entry for one in CASES], now_us())
        secrets = json.loads((folder / "secrets.json").read_text())
        clock = desk_twins.StepClock(now_us())
        desk = desk_twins.Department(
            home=home, front=front, clock=clock, witness=department.witness, secrets={}
        )
        tokens = {}
        for user in ("disp1", "comm1"):
            password, secret = secrets["secrets"][user]
            code = pyotp.TOTP(secret).at(front.desk.now_us() // 1_000_000)
            tokens[user] = front.desk.logons.logon(user, password, code)
        first, second = (Patrol(folder, server, name, stack) for name in ("car-1", "car-2"))
        for car in (first, second):
            car.sync()
            car.sync()
        yield Today(desk=desk, cars=(first, second), tokens=tokens)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_not_confirmed_and_what_two_people_cleared_does_not_sound(today: Today, case: Case) -> None:
    first, second = today.cars
    person = today.verifier("disp1")
    before = {one.alert for one in person.listed()}
    assert first.meets(case)
    first.sync()
    (line,) = [one for one in person.listed() if one.alert not in before]
    assert line.sounded is case.sounds
    with pytest.raises(DeskRefusal, match="look at the image"):
        person.types(line.alert, *case.shown)
    made = person.verifies(line.alert, *case.shown, fit=case.fit)
    assert made.line.answer == case.answer != "confirmed"
    assert (made.make, made.plate_class) == (case.entry.make, case.entry.plate_class)
    for outcome in (Outcome.STOP, Outcome.ARREST):
        with pytest.raises(DeskRefusal, match="without action"):
            person.closes(line.alert, outcome)
    assert second.meets(case)  # one person cannot clear an entry's own plate, on any unit
    second.sync()
    (again,) = [one for one in person.listed() if one.alert not in before | {line.alert}]
    assert (again.sighting_of, again.sounded) == (line.alert, case.sounds)
    if case.answer != "wrong-character":
        today.verifier("comm1").verifies(again.alert, *case.shown, fit=case.fit)
    for car in today.cars:  # every unit learns what was cleared in its next conversation
        car.sync()
        if case.answer == "wrong-character":  # the misread plate is cleared, the entry's own stays wanted
            plate, own = case.shown[0], case.read.text
            other = replace(seen(plate, 0.6), candidates=((plate, 0.6), (own, 0.35)))
            assert not car.alerts.watch.matches(passing(other, case))
            assert car.sounds(case) is case.sounds
        else:
            assert not car.sounds(case)
    for alert in (line.alert, again.alert):
        person.closes(alert, Outcome.HANDED_OVER)


@pytest.mark.slow  # continues the last row of the table above
def test_another_entry_of_the_same_plate_is_met_again(today: Today) -> None:
    """The plate is cleared for that entry only, until the entry changes."""
    case = CASES[-1]
    car = today.cars[1]
    assert not car.sounds(case)
    changed = entry("BQO512", "US-CO", make="FORD", vin_tail="4711")
    offer = Offer(
        list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
    )
    publish_list(today.desk.home, car.server.store, offer, [changed], now_us())
    car.sync()
    assert car.sounds(case)
