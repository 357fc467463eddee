"""Root applies a person's signed search of one unit to the reads of another: nothing opens.

Root controls the store and the log's key, and can claim in either that the other unit's log is this unit's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_root import Root, covered_by
from desk_twins import GROUND, Department
from desk_units import Pass, UnitTwin
from sqlalchemy import update

from storage.times import DAY_US, HOUR_US
from sync.department.content.reads import FoundRead
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.desk.machine.naming_logs import name_logs
from sync.department.desk.machine.unit_calls import UnitForm
from sync.department.journal import check_log
from sync.department.journal.inquiry_entries import Query
from sync.department.journal.machine_entries import UnitCodeIssued, UnitLogsNamed
from sync.department.journal.unit_logs import WAS, LogsOfUnits
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.unit_reports import Reported
from sync.department.store import tables
from sync.department.store.opening import open_store

PLATE = "8XYZ123"
MINE, OTHER = "car-7", "car-8"


@dataclass
class Fleet:
    """A department with root in it and two units, both of which met the vehicle."""

    root: Root
    other_log: str
    access: int = -1
    query: Query | None = None

    @property
    def department(self) -> Department:
        return self.root.department

    def search(self, unit: str) -> tuple[FoundRead, ...]:
        """Make an honest search of one unit."""
        self.query = query = replace(self.department.plate(PLATE), unit=unit)
        form = RunForm(query=query, ground=GROUND)
        answer = self.department.call("inquiry/run", self.department.logon("comm1"), form)
        assert isinstance(answer, Answer)
        self.access = answer.access
        return answer.reads

    def opens_all(self) -> None:
        """Ask the key service as root for the matches at every unit, under the newest search."""
        front = self.department.front
        assert self.query is not None
        cover = front.desk.covered(self.access)
        store = open_store(self.department.home.database_url)
        with store.write() as connection:  # to the desk, both are now one unit
            connection.execute(
                update(tables.logs)
                .where(tables.logs.c.log_id == bytes.fromhex(self.other_log))
                .values(unit_id=MINE)
            )
        store.close()
        front.reads.find(front.door, cover, self.query, 100)

    def write(self, unit: str, name: str, *logs: str) -> None:
        self.root.write(UnitLogsNamed(unit=unit, name=name, logs=logs), self.root.stamp("system"))

    def named(self) -> list[str]:
        """What `verify` says about the units' logs."""
        covered, log = covered_by(self.department), self.department.desk.log
        check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
        return covered.compare(Reported(logs=self.department.front.state.unit_logs()))[0]


@pytest.fixture
def fleet(department: Department) -> Fleet:
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), OTHER)
    day_us = department.clock.us // DAY_US * DAY_US - DAY_US
    unit.deliver([Pass(plate=PLATE, at_us=day_us + HOUR_US)], received_us=day_us + 2 * HOUR_US)
    unit.close()
    made = Fleet(Root(department), unit.log_id.hex())
    name_logs(department.front)
    return made


def by_the_store_alone(fleet: Fleet) -> str:
    fleet.search(MINE)
    return "is unit car-7's, but the access log says car-8's"


def by_an_entry_that_gives_the_log_away(fleet: Fleet) -> str:
    fleet.write(MINE, MINE, fleet.other_log)
    fleet.search(MINE)
    return "car-7 is given another unit's log"


def by_an_entry_that_gives_the_name_away(fleet: Fleet) -> str:
    fleet.write(OTHER, MINE, fleet.other_log)
    fleet.search(MINE)
    return "by no code that a person signed for"


ATTACKS = (
    by_the_store_alone,
    by_an_entry_that_gives_the_log_away,
    by_an_entry_that_gives_the_name_away,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_search_of_one_unit_opens_no_read_of_another(fleet: Fleet, attack: Callable[[Fleet], str]) -> None:
    assert {one.unit for one in fleet.search(MINE)} == {MINE}
    assert {one.unit for one in fleet.search(OTHER)} == {OTHER}
    assert {one.unit for one in fleet.search("")} == {MINE, OTHER}
    assert fleet.named() == []
    said = attack(fleet)
    with pytest.raises(DeskRefusal, match="the search is of one unit") as refused:
        fleet.opens_all()
    assert refused.value.code == "other-unit"
    assert any(said in one for one in fleet.named())


def test_a_unit_that_joins_later_is_searched_by_its_name_at_once(fleet: Fleet) -> None:
    department = fleet.department
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-9")
    day_us = department.clock.us // DAY_US * DAY_US - DAY_US
    (read,) = unit.deliver([Pass(plate=PLATE, at_us=day_us + HOUR_US)], received_us=day_us + 2 * HOUR_US)
    unit.close()
    size = department.desk.log.size()
    assert [one.read for one in fleet.search("car-9")] == [read]
    named = list(department.desk.log.entries(size, kinds=(UnitLogsNamed.KIND,)))
    assert [one.note.name for one in named] == ["car-9"]  # type: ignore[attr-defined]
    size = department.desk.log.size()
    fleet.search("car-9")
    assert list(department.desk.log.entries(size, kinds=(UnitLogsNamed.KIND,))) == []  # once


def test_a_unit_takes_another_name_by_a_code_and_its_own_by_the_one_that_makes_room(fleet: Fleet) -> None:
    """The name of a revoked unit is free for another one, and a unit may rejoin under another name."""
    department = fleet.department
    department.call("unit/enroll", department.logon("chief"), UnitForm(name="car-8b"))
    logs = LogsOfUnits()
    for entry in department.desk.log.entries(kinds=(UnitLogsNamed.KIND, UnitCodeIssued.KIND)):
        assert logs.apply(entry) == ""
    held = [(fleet.other_log, OTHER, f"{OTHER}{WAS}12)"), ("ff" * 32, "new", OTHER)]
    made = logs.missing(held)
    assert [(one.unit, one.name) for one in made] == [(OTHER, f"{OTHER}{WAS}12)"), ("new", OTHER)]
    assert len(logs.missing([(fleet.other_log, OTHER, "car-8b")])) == 1
    assert logs.missing([(fleet.other_log, OTHER, "car-8c")]) == []  # no code for that name


def named(held: list[tuple[str, str, str]], *codes: str) -> LogsOfUnits:
    """Units under today's names, and codes that a person requested under other names."""
    logs = LogsOfUnits()
    for note in logs.missing(held):
        logs._take(note)
    logs.asked |= set(codes)
    return logs


@pytest.mark.parametrize(
    "later",
    [
        {"A": "car-2", "B": "car-1"},
        {"A": "car-9", "B": "car-1"},
        {"B": "car-9", "A": "car-2"},
        {"A": "car-2", "B": "car-3", "C": "car-1"},
    ],
    ids=["an exchange", "one after the other", "the other way round", "a round of three"],
)
def test_units_that_take_each_others_names_have_them_by_one_look(later: dict[str, str]) -> None:
    today = [("11", "A", "car-1"), ("22", "B", "car-2"), ("33", "C", "car-3")]
    held = [(log, unit, later.get(unit, name)) for log, unit, name in today]
    logs = named(today, *later.values())
    for note in logs.missing(held):
        assert logs._wrong_with(note) == ""
        logs._take(note)
    assert [logs.name_of(log) for log, _, _ in today] == [name for _, _, name in held]
    assert logs.missing(held) == []


def test_units_exchange_no_names_that_no_person_signed_for() -> None:
    today = [("11", "A", "car-1"), ("22", "B", "car-2")]
    swapped = [("11", "A", "car-2"), ("22", "B", "car-1")]
    assert named(today).missing(swapped) == []
    one = named(today, "car-1")
    for note in one.missing(swapped):
        one._take(note)
    assert one.name_of("11") != "car-2"
