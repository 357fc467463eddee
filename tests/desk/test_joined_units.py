"""Root enrolls, revokes and restores units without the desk: `verify` and `compliance` name each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk_root import Root, covered_by, problems
from desk_twins import Department
from receiver_twins import Joined

from storage.times import now_us
from sync.department.desk.due import OverdueForm
from sync.department.desk.machine.joined import TAKEN_BACK
from sync.department.desk.machine.naming_logs import name_logs
from sync.department.desk.machine.unit_calls import RevokeUnitForm, UnitCode, UnitForm, repeat_revocations
from sync.department.ground.department_time import Clocks
from sync.department.journal import check_log
from sync.department.journal.machine_entries import UnitCodeIssued, UnitsListed
from sync.department.server import daily, older_store
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import Reported
from sync.department.server.verify import Checker
from sync.department.store.tables import codes, logs, units


@dataclass
class Yard:
    """A department whose log lists its units, and its server."""

    department: Department
    server: Server
    folder: Path

    def code(self, name: str) -> UnitCode:
        """Request an enrollment code at the desk."""
        made = self.department.call("unit/enroll", self.department.logon("chief"), UnitForm(name=name))
        assert isinstance(made, UnitCode)
        return made

    def join(self, name: str, code: str = "") -> str:
        """Let a real unit join with the code, or with one that root made. Returns its id."""
        unit = Joined(self.folder / name, self.server, name, code=code)
        unit.close()
        return unit.folder.member().unit_id

    def revoke(self, unit: str) -> None:
        form = RevokeUnitForm(unit=unit, reason="stolen from the yard")
        self.department.call("unit/revoke", self.department.logon("chief"), form)

    def store(self, *work: sa.Executable) -> None:
        """Write into the database as root."""
        with self.server.store.write() as connection:
            for one in work:
                connection.execute(one)

    def named(self) -> list[str]:
        """What `verify` says about the units, after asserting that `compliance` says the same."""
        reported = Reported(units=self.department.front.state.joined())
        covered, log = covered_by(self.department), self.department.desk.log
        check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
        wrong, unchecked = covered.compare(reported)
        assert unchecked == []
        overdue = self.department.call("compliance/overdue", self.department.logon("chief"), OverdueForm())
        alarms = [one.what for one in overdue if one.kind == "enrollment"]  # type: ignore[attr-defined]
        assert [one.partition(":")[0] for one in alarms] == wrong
        return wrong


@pytest.fixture
def yard(department: Department, tmp_path: Path) -> Iterator[Yard]:
    department.arrive(now_us())  # a code made without the desk has today's date
    server = Server(department.home, Clocks.simulated(department.clock))
    server.time.accept(department.clock.us)
    server.authority.renew()
    assert daily.list_units(department.front) == 1
    assert daily.list_units(department.front) == 0
    yield Yard(department, server, tmp_path)
    server.close()


def enrolled_past_the_desk(yard: Yard) -> str:
    yard.join("ghost")
    return "unit ghost joined without a code that a person signed for"


def enrolled_by_an_entry_that_nobody_signed(yard: Yard) -> str:
    yard.join("ghost")
    with yard.server.store.read() as connection:
        digest = connection.execute(sa.select(codes.c.digest).where(codes.c.name == "ghost")).scalar_one()
    root = Root(yard.department)
    root.write(UnitCodeIssued(name="ghost", digest=bytes(digest)), root.stamp("chief"))
    return "unit ghost joined without a code that a person signed for"


def enrolled_by_the_signature_of_another_code(yard: Yard) -> str:
    """The same person and name, a minute later: a signed call permits only one code."""
    yard.join("car 9", yard.code("car 9").code)
    entry = next(yard.department.desk.log.entries(kinds=(UnitCodeIssued.KIND,)))
    yard.join("ghost")
    with yard.server.store.read() as connection:
        digest = connection.execute(sa.select(codes.c.digest).where(codes.c.name == "ghost")).scalar_one()
    note = UnitCodeIssued(name="car 9", digest=bytes(digest))
    Root(yard.department).write(note, Root(yard.department).stamp("chief", entry.stamp.session), entry.signed)
    return "unit ghost joined without a code that a person signed for"


def enrolled_by_the_code_of_another_unit(yard: Yard) -> str:
    """Root gives its own unit an honest unit's code, which then has none."""
    yard.join("car 9", yard.code("car 9").code)
    ghost = yard.join("ghost")
    yard.store(
        codes.delete().where(codes.c.name == "ghost"),
        codes.update().where(codes.c.name == "car 9").values(unit_id=ghost),
    )
    return "unit car 9 joined without a code that a person signed for"


def listed_a_second_time(yard: Yard) -> str:
    """Root makes the system list its unit among the earlier ones."""
    ghost = yard.join("ghost")
    Root(yard.department).write(
        UnitsListed(units=(ghost,), revoked=()), Root(yard.department).stamp("system")
    )
    return "unit ghost joined without a code that a person signed for"


def revoked_past_the_desk(yard: Yard) -> str:
    yard.store(units.update().where(units.c.name == "car-7").values(revoked_us=1, revoked_why="because"))
    return "unit car-7 was revoked, and no person signed for it"


def taken_back_past_the_desk(yard: Yard) -> str:
    yard.revoke("car-7")
    yard.store(units.update().where(units.c.name == "car-7").values(revoked_us=None))
    return f"unit car-7 {TAKEN_BACK}"


def joined_under_another_name(yard: Yard) -> str:
    """Root changes the name in the code's row before the unit joins."""
    code = yard.code("car 9").code
    yard.store(codes.update().where(codes.c.name == "car 9").values(name="van 1"))
    yard.join("van 1", code)
    return "unit van 1 joined with a code that a person requested for car 9"


ATTACKS = (
    joined_under_another_name,
    enrolled_past_the_desk,
    enrolled_by_an_entry_that_nobody_signed,
    enrolled_by_the_signature_of_another_code,
    enrolled_by_the_code_of_another_unit,
    listed_a_second_time,
    revoked_past_the_desk,
    taken_back_past_the_desk,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_unit_that_root_let_in_or_shut_out_is_named(yard: Yard, attack: Callable[[Yard], str]) -> None:
    assert yard.named() == []
    assert attack(yard) in yard.named()


def test_what_persons_did_with_units_is_covered(yard: Yard) -> None:
    """Joined by a code; revoked by name and by id; another unit with the name; the same unit again."""
    first = yard.join("car 9", yard.code("car 9").code)
    yard.revoke("car 9")
    assert yard.named() == []
    yard.join("car 9b", yard.code("car 9").code)
    yard.revoke("car-7")
    assert yard.named() == []
    yard.store(units.update().where(units.c.unit_id == first).values(revoked_us=None))
    assert len(yard.named()) == 1
    assert problems(yard.department) == ()


def test_a_unit_that_the_store_took_back_is_revoked_again_and_comes_back_by_a_new_code(yard: Yard) -> None:
    taken_back_past_the_desk(yard)
    first = yard.join("car 9", yard.code("car 9").code)
    yard.revoke("car 9")
    yard.store(units.update().where(units.c.unit_id == first).values(revoked_us=None))
    assert len(yard.named()) == 2
    assert sorted(repeat_revocations(yard.department.front)) == ["car 9", "car-7"]
    assert yard.named() == []
    assert repeat_revocations(yard.department.front) == []
    second = yard.join("car 9b", yard.code("car 9").code)
    assert repeat_revocations(yard.department.front) == []
    assert yard.named() == []
    ended = {one: older_store.ended(yard.server.store, yard.department.desk, one) for one in (first, second)}
    assert ended == {first: True, second: False}


def test_records_whose_unit_was_taken_out_of_the_store_are_named(yard: Yard) -> None:
    """Root delivers records by its own unit and then removes the unit."""
    path = yard.server.home.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database, database:  # the store's check references
        assert database.execute("DELETE FROM units WHERE name = 'car-7'").rowcount == 1
    key = yard.server.home.log_key().public_key()
    found = Checker(yard.server.store, yard.server.keys, yard.server.packs, key).run(content=False).problems
    assert [one.partition(": ")[2] for one in found] == ["its unit is not here"]


def test_a_log_that_lists_no_units_yet_leaves_them_unchecked(department: Department) -> None:
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    wrong, unchecked = covered.compare(Reported(units=department.front.state.joined()))
    assert wrong == []
    assert unchecked == ["who let units in: the log does not list those from before (the daily run does)"]


def names_in_store(yard: Yard) -> tuple[list[str], list[str]]:
    """What `verify` says about the names of units: (wrong, not checked)."""
    reported = Reported(logs=yard.department.front.state.unit_logs())
    covered, log = covered_by(yard.department), yard.department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    return covered.compare(reported)


def test_a_unit_that_was_renamed_in_the_database_is_named(yard: Yard) -> None:
    """Its reads would count as another car's. Also for a unit from before the log named codes."""
    name_logs(yard.department.front)
    assert names_in_store(yard) == ([], [])
    yard.store(units.update().where(units.c.name == "car-7").values(name="van 1"))
    assert names_in_store(yard) == (["a unit is named van 1, but the access log says car-7"], [])


def test_a_log_that_was_taken_out_of_the_database_is_named(yard: Yard) -> None:
    name_logs(yard.department.front)
    yard.store(logs.delete())
    (wrong,), _ = names_in_store(yard)
    assert wrong.endswith("of unit car-7 is not here")


def test_a_name_that_a_person_gave_a_unit_is_not_called_wrong_before_the_daily_run(yard: Yard) -> None:
    unit = Joined(yard.folder / "car 8", yard.server, "car 8", code=yard.code("car 8").code)
    name_logs(yard.department.front)
    yard.revoke("car 8")
    yard.code("car 9")
    yard.store(units.update().where(units.c.name == "car 8").values(name="car 9", revoked_us=None))
    wrong, unchecked = names_in_store(yard)
    unit.close()
    assert wrong == []
    assert unchecked == ["that unit car 8 is named car 9 now: its entry comes with the next daily run"]
