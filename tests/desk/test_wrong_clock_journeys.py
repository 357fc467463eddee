"""A real unit with a wrong clock, and a real department, from joining to the purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from custody_twins import SteppedTime, make_read
from desk_root import problems
from desk_twins import GROUND, HOLD, Department
from receiver_twins import Joined, report_of
from sync_twins import converse

from hw.clock import TimeState
from storage.read_records import Alert
from storage.record_base import ClockState, KeyClass
from storage.times import DAY_US, HOUR_US, day_text
from sync import messages
from sync.department.desk.alerts.calls import AlertLine
from sync.department.desk.holds.calls import Exported, ExportForm, Placed
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.journal.inquiry_entries import Query
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.hot_lists.entry import ListEntry

Tokens = Callable[[str], str]
PLATE = "6OFF365"
JOURNEYS = {  # the clock's error when the unit joins, when it reads, and when it syncs
    "right": (0, 0, 0),
    "400 days behind": (-400 * DAY_US,) * 3,
    "400 days ahead": (400 * DAY_US,) * 3,
    "in 1970": (-(1 << 60),) * 3,
    "in 2255": (2**53 - 1_795_000_000_000_000,) * 3,
    "set back in the middle": (0, -400 * DAY_US, -400 * DAY_US),
    "a leap during a run": (0, 400 * DAY_US, 400 * DAY_US),
    "set right before the sync": (-400 * DAY_US, -400 * DAY_US, 0),
    "wrong once": (0, -400 * DAY_US, 0),
}


class Unit(Joined):
    """A unit whose clock a test moves while time passes as usual."""

    time: SteppedTime

    def set_off(self, now_us: int, off_us: int) -> None:
        """Set the clock this far ahead of the true time, but not before 1970."""
        self.time.jump(max(1, now_us + off_us) - self.time.now().us)

    def meets(self, plate: str) -> tuple[str, str]:
        """Read a wanted plate and raise its alert, dated by the clock. Returns their names."""
        moment = self.time.now()
        read = make_read(
            moment.us, plate, demo=False, clock_state=ClockState(moment.state.value),
            time_error_us=DAY_US if moment.state is TimeState.UNKNOWN else 900,
        )  # fmt: skip
        number = self.ledger.append_read(read, patch=b"patch", overview=b"overview", hit=True).sequence
        entry = ListEntry(plate=plate, state="US-CA", category="stolen-vehicle")
        alert = Alert(
            read=number, list_id="doj", list_version=1, source="SVS", entry=entry.to_bytes(),
            category="stolen-vehicle", score=0.97, twin=False, disagrees=(), silent=(), stale=False,
            at_us=moment.us,
        )  # fmt: skip
        log = self.outbox.log_id.hex()
        return f"{log}/{number}", f"{log}/{self.ledger.append(alert).sequence}"


@pytest.fixture(params=JOURNEYS)
def journey(request: pytest.FixtureRequest) -> tuple[int, int, int]:
    return JOURNEYS[request.param]


@pytest.fixture
def unit(
    server: Server, department: Department, tmp_path: Path, journey: tuple[int, int, int]
) -> Iterator[Unit]:
    time = SteppedTime(max(1, department.clock.us + journey[0]))
    if journey[0]:
        time.lose(TimeState.UNKNOWN)
    made = Unit(tmp_path / "unit", server, "car-400", time_source=time)
    made.time = time
    yield made
    made.close()


@pytest.mark.thorough_rows
def test_a_wrong_clock_costs_no_alert_no_read_and_no_day(
    server: Server, department: Department, tokens: Tokens, unit: Unit, journey: tuple[int, int, int]
) -> None:
    read_off_us, sync_off_us = journey[1:]
    if read_off_us:
        unit.time.lose(TimeState.UNKNOWN)
    unit.set_off(department.clock.us, read_off_us)
    read, alert = unit.meets(PLATE)
    unit.set_off(department.clock.us, sync_off_us)
    assert converse(unit, server).done
    day = department.clock.us // DAY_US
    department.desk.refresh()

    lines = department.call("alert/list", tokens("disp1"), NothingForm())
    assert isinstance(lines, tuple)
    (line,) = lines
    assert isinstance(line, AlertLine)
    row = department.desk.book.alerts.find(line.alert)
    assert row is not None
    assert (row.known.alert, line.sounded, line.overdue) == (alert, True, False)
    assert abs(line.since_us - department.clock.us) < DAY_US

    today = Query(plate=PLATE, since_us=day * DAY_US, until_us=department.clock.us + HOUR_US)
    supervisor = tokens("super")
    answer = department.call("inquiry/run", supervisor, RunForm(query=today, ground=GROUND))
    assert isinstance(answer, Answer)
    (found,) = answer.reads
    assert (found.read, found.received) == (read, day_text(day))
    assert bool(found.time_doubt) is bool(read_off_us)

    form = replace(HOLD, reads=(read,), accesses=(answer.access,))
    placed = department.call("hold/place", supervisor, form)
    assert isinstance(placed, Placed)
    export = ExportForm(hold=placed.hold, medium="USB 1", ground=GROUND)
    assert isinstance(department.call("hold/export", supervisor, export), Exported)

    (kept,) = [one for one in unit.ledger.retention_plan() if one.key_class is KeyClass.HIT]
    assert (kept.received, kept.due) == (kept.records, False)  # there, a day of running time is kept
    checker = Checker(server.store, server.keys, server.packs, department.home.log_key().public_key())
    log = unit.outbox.log_id.hex()[:16]
    assert [one for one in checker.run().problems if log in one] == []
    assert problems(department) == ()

    report = report_of(unit)
    server.receiver.answer("health", messages.seal_message(report, unit.outbox.sign))
    unchecked = [one for one in checker.run().unchecked if "its newest report" in one]
    off_us = report.at_us - department.clock.us
    assert len(unchecked) == int(abs(off_us) > 3 * DAY_US)
    for one in unchecked:
        way = "ahead of" if off_us > 0 else "behind"
        assert one.endswith(f"days {way} the department's: set it right")
        assert "that unit car-400 synced at" in one

    due_us = (day + 1 + 365) * DAY_US
    for now_us, held in ((due_us - 1, True), (due_us, False)):
        department.clock.us = now_us
        assert server.time.accept(now_us)
        server.retention.run(through=day)
        assert server.keys.has_store_key(day) is held
