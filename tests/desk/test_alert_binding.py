"""An alert at the department is what a unit recorded; any other picture, time or step is found (463.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_cars import Car
from desk_root import Root
from desk_twins import Department

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit
from storage.read_records import Alert
from storage.times import DAY_US, HOUR_US
from sync.department.content.alert_records import open_records
from sync.department.content.opened_list import OpenedCheck, OpenedList
from sync.department.desk.alerts.calls import AlertForm
from sync.department.desk.alerts.opening import access_of, known_by
from sync.department.desk.inquiry.forms import Images, NothingForm
from sync.department.journal import check_log
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken, planted_name
from sync.department.journal.entry_base import Note, Stamp
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.due_work import standing

STEP = AlertStep(
    step=AlertEvent.ANSWERED,
    user="officer1",
    role="sworn-officer",
    at_us=1,
    answer=AlertAnswer.CONFIRMED,
    fit=Fit.YES,
)


def problems(department: Department) -> tuple[str, ...]:
    """The problems that `department verify` finds, given the key service's list."""
    listed = OpenedList(department.home.keys)
    seen = OpenedCheck.of(listed.all_messages(), listed.public)
    listed.close()
    log = department.desk.log
    return check_log.check(log.folder, log.public, keys=log.keys, opened=seen).problems


class Colluding(Root):
    """Root, with a dispatcher who lists the alerts: that call opens what the units recorded."""

    def lists(self, *names: str) -> tuple[Stamp, bytes]:
        stamp, signed = self.signed("disp1", "alert/list", NothingForm())
        entry = self.write(access_of("alert", "alerts that units raised", names), stamp, signed)
        front = self.department.front
        cover = self.department.desk.covered(entry)
        self.records = list(open_records(front.door, cover, front.alerts.named(names)))
        return stamp, signed

    def known(self, name: str) -> AlertKnown:
        """The entry that the desk would write."""
        (sealed,) = self.department.front.alerts.named([name])
        record = self.records[0]
        assert isinstance(record, Alert)
        return known_by(sealed, record)


Attack = Callable[[Colluding, Car], tuple[Note, tuple[Stamp, bytes]]]


def with_the_picture_of_another_vehicle(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    other, name = car.raises(plate="8XYZ123"), car.raises()
    read = f"{other.rpartition('/')[0]}/{int(other.rpartition('/')[2]) - 1}"
    by = root.lists(name)
    return replace(root.known(name), read=read), by


def of_today_that_was_raised_last_week(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    root.department.clock.step(7 * DAY_US)
    by = root.lists(name)
    return replace(root.known(name), raised_us=root.department.clock.us), by


def that_is_silent(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    by = root.lists(name)
    return replace(root.known(name), silent=("low-score",)), by


def for_one_persons_eyes(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    by = root.lists(name)
    return replace(root.known(name), recipients=("chief",)), by


def of_another_entry(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    by = root.lists(name)
    return replace(root.known(name), entry=bytes(32)), by


def planted_with_another_picture(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    other, name = car.passes("8XYZ123"), car.raises()
    by = root.lists(name)
    planted = replace(root.known(name), alert=planted_name("ab", name), read=other, planted_plate="7XKR218")
    return planted, by


def withheld_as_a_step_that_is_known(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    """The alert counts as opened, but no one ever sees it."""
    name = car.raises()
    return AlertRecordsOpened(records=(name,)), root.lists(name)


def withheld_unopened(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name, seen = car.raises(), car.raises(plate="8XYZ123")
    return AlertRecordsOpened(records=(name,)), root.lists(seen)


def confirmed_by_an_officer_who_never_saw_it(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    return AlertStepTaken(alert=name, unit="car-8", step=STEP), root.lists(name)


def with_a_step_of_another_unit(root: Colluding, car: Car) -> tuple[Note, tuple[Stamp, bytes]]:
    name = car.raises()
    return AlertStepTaken(alert="22" * 32 + "/3", unit="car-9", step=STEP), root.lists(name)


ATTACKS: tuple[Attack, ...] = (
    with_the_picture_of_another_vehicle,
    of_today_that_was_raised_last_week,
    that_is_silent,
    for_one_persons_eyes,
    of_another_entry,
    planted_with_another_picture,
    withheld_as_a_step_that_is_known,
    withheld_unopened,
    confirmed_by_an_officer_who_never_saw_it,
    with_a_step_of_another_unit,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_an_alert_that_says_what_no_unit_recorded_is_named(
    department: Department, car: Car, attack: Attack
) -> None:
    root = Colluding(department)
    note, (stamp, signed) = attack(root, car)
    entry = root.write(note, replace(stamp, at_us=root.stamp().at_us), signed)
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: {note.KIND}")]
    assert named, problems(department)


def test_the_control_is_an_alert_and_its_steps_as_units_recorded_them(
    department: Department, car: Car
) -> None:
    name = car.raises(silent=("low-score",))
    car.steps(name, replace(STEP, at_us=department.clock.us))
    department.call("alert/list", department.logon("disp1"), NothingForm())
    entries = department.desk.log.entries(kinds=(AlertKnown.KIND, AlertStepTaken.KIND))
    kinds = {type(one.note) for one in entries}
    assert kinds == {AlertKnown, AlertStepTaken}
    assert problems(department) == ()


def test_the_key_service_shows_no_picture_of_a_read_without_an_alert(
    department: Department, car: Car
) -> None:
    """Root names another vehicle's read in the alert, so that the dispatcher's look opens its picture."""
    root = Colluding(department)
    unalerted, name = car.passes("8XYZ123"), car.raises()
    stamp, signed = root.lists(name)
    entry = root.write(replace(root.known(name), read=unalerted), stamp, signed)
    department.desk.refresh()
    with pytest.raises(DeskRefusal) as refused:
        department.call("alert/show", department.logon("disp1"), AlertForm(alert=str(entry)))
    assert refused.value.code == "other-alert"
    assert "no alert of that read was opened" in str(refused.value)


def test_an_alert_is_shown_again_by_a_key_service_that_forgot_it(department: Department, car: Car) -> None:
    """Its disk was restored from a backup; the record is opened again, as a separate access."""
    car.raises()
    token = department.logon("disp1")
    lines: Any = department.call("alert/list", token, NothingForm())
    (line,) = lines
    listed = OpenedList(department.home.keys)
    listed._db.execute("DELETE FROM alerts WHERE digest != ?", (bytes(32),))
    listed.close()
    form = AlertForm(alert=line.alert)
    with pytest.raises(DeskRefusal) as refused:
        department.call("alert/show", token, form)
    assert refused.value.code == "other-alert"
    assert isinstance(department.call("alert/show", token, form), Images)


def test_compliance_names_alerts_that_no_one_opened(department: Department, car: Car) -> None:
    def said() -> list[str]:
        return [one.what for one in standing(department.front).overdue if one.kind == "unopened"]

    car.raises()
    car.raises(plate="8XYZ123")
    assert said() == []
    department.clock.step(2 * DAY_US + HOUR_US)
    (line,) = said()
    assert line.startswith("2 records of alerts by car-8 were never opened")
    department.call("alert/list", department.logon("disp1"), NothingForm())
    assert said() == []
