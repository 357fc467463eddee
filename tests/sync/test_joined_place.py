"""Whether a unit recorded something before it joined depends on the place in its log, not on any clock."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from custody_twins import START_US, SteppedTime
from receiver_twins import Joined
from sync_twins import LoopbackLink, converse, raise_alert

from hw.clock import TimeState
from storage.times import DAY_US
from sync import membership
from sync.department.content.alert_records import StoreAlerts
from sync.department.server.server import Department
from sync.department.store import unit_health, unit_logs
from sync.department.store.joined_place import JoinedPlace
from sync.department.store.tables import days, elements
from sync.errors import LinkError
from sync.ledger_outbox import LedgerOutbox
from sync.rollover import registration

OFF = {
    "400 days behind": -400 * DAY_US,
    "right": 0,
    "400 days ahead": 400 * DAY_US,
    "1970": -START_US + 1,
    "2255": 2**53 - START_US,
}


def judged(department: Department) -> dict[int, bool | None]:
    """For each alert that waits at the desk, whether it is from before its unit joined."""
    waiting = StoreAlerts(department.store).waiting(set())
    return {one.sequence: one.before_joining for one in waiting}


def place(connection: sa.Connection, log_no: int) -> JoinedPlace:
    """What the store now has about a log's joining."""
    made = JoinedPlace()
    made.look(connection, log_no)
    return made


@pytest.mark.thorough_rows
@pytest.mark.parametrize("cut_at", ["", "leaves"])
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("right", "400 days behind"),
        ("right", "1970"),
        ("400 days behind", "2255"),
        ("400 days ahead", "right"),
        ("2255", "400 days ahead"),
    ],
)
def test_an_alert_is_from_before_the_joining_by_its_place_whatever_the_clock_says(
    department: Department, tmp_path: Path, first: str, then: str, cut_at: str
) -> None:
    """Even if only the alerts have arrived."""
    time = SteppedTime(START_US + OFF[first])
    time.lose(TimeState.UNKNOWN)
    early: list[int] = []
    unit = Joined(
        tmp_path / "unit",
        department,
        "unit",
        time_source=time,
        alone=lambda one: early.append(raise_alert(one)),
    )
    time.jump(OFF[then] - OFF[first])
    late = raise_alert(unit)
    link = LoopbackLink(department)
    if cut_at:
        link.cut_at(cut_at)
        with pytest.raises(LinkError):
            converse(unit, department, link)
    else:
        assert converse(unit, department, link).done
    assert judged(department) == {early[0]: True, late: False}
    unit.close()


def test_what_the_unit_says_of_its_joining_goes_ahead_once(department: Department, unit: Joined) -> None:
    place = unit.outbox.joined_at()
    assert place is not None
    first = raise_alert(unit)
    link = LoopbackLink(department)
    progress = converse(unit, department, link)
    assert (progress.alerts, link.names.count("alert")) == (1, 2)
    raise_alert(unit)
    link = LoopbackLink(department)
    progress = converse(unit, department, link)
    assert (progress.alerts, link.names.count("alert")) == (1, 1)
    assert first > place


def test_a_unit_without_alerts_sends_nothing_ahead(department: Department, unit: Joined) -> None:
    link = LoopbackLink(department)
    converse(unit, department, link)
    assert "alert" not in link.names


def test_an_alert_of_a_log_that_replaced_another_is_not_from_before(
    department: Department, unit: Joined
) -> None:
    assert converse(unit, department).done
    unit.close_log()
    late = raise_alert(unit)
    said = registration(
        unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="the department refused it"
    )
    link = LoopbackLink(department)
    link.post("new-log", [said])
    link.cut_at("leaves")
    with pytest.raises(LinkError):
        converse(unit, department, link)
    assert judged(department) == {late: False}


def test_once_what_it_said_may_be_purged_nothing_that_comes_is_from_before(
    department: Department, unit: Joined
) -> None:
    """The record of the joining is purged with its day of receipt, but the log continues."""
    assert converse(unit, department).done
    with department.store.read() as connection:
        log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        assert place(connection, log.log_no).is_before(0)
    with department.store.write() as connection:
        connection.execute(sa.update(days).values(purge_started_us=1, purged_us=2))
        connection.execute(sa.delete(elements))
    with department.store.read() as connection:
        assert place(connection, log.log_no).is_before(1 << 40) is False


def test_until_its_place_is_known_an_alert_of_an_older_unit_is_not_judged(
    department: Department, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit of an earlier version sends only its alerts; the place comes with its log's first leaves."""
    late = raise_alert(unit)
    link = LoopbackLink(department)
    link.cut_at("leaves")
    monkeypatch.setattr(LedgerOutbox, "joined_at", lambda _self: None)
    with pytest.raises(LinkError):
        converse(unit, department, link)
    assert judged(department) == {late: None}
    assert converse(unit, department).done
    assert judged(department) == {late: False}


@pytest.mark.parametrize("said_us", [1, 2**53])
def test_when_a_unit_joined_is_the_departments_own_time(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said_us: int
) -> None:
    """So a unit that never synced counts as silent after some days, not at once and not in 2255."""
    monkeypatch.setattr(membership, "now_us", lambda: said_us)
    before_us = department.time.now_us()
    Joined(tmp_path / "unit", department, "unit").close()
    with department.store.read() as connection:
        (state,) = unit_health.states(connection)
    assert before_us <= state.enrolled_us <= department.time.now_us()
    assert not state.is_silent(department.time.now_us())
    assert state.is_silent(department.time.now_us() + 4 * DAY_US)
