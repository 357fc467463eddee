"""A person who can write to the department's database but has none of its keys: every table and column.

In a real store with rows in all tables, each row is removed, each column changed and emptied, and a row is
added; with ALPR_FAULTS=full each column is also exchanged between two rows. `department verify` reports each
change, or the column is listed here with the reason why nothing depends on it. So a new table or column
fails until it is checked or listed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from custody_twins import SteppedTime
from desk_root import covered_by
from desk_twins import Department, found_department, open_copy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from receiver_twins import Joined, incident_kinds, report_of
from sync_twins import LoopbackLink, converse

from storage.read_records import Alert
from storage.times import DAY_US, now_us
from sync import messages
from sync.closed_delivery import ClosedDelivery
from sync.department.desk.machine.unit_calls import UnitCode, UnitForm
from sync.department.ground.department_time import Clocks
from sync.department.journal import check_log
from sync.department.server import daily
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import CoveredByEntries
from sync.department.server.verify import Checker
from sync.department.store.opening import open_store
from sync.department.store.tables import metadata
from sync.department.units.list_seal import unsealing
from sync.errors import LinkError, RefusedByDepartmentError
from sync.hot_lists.entry import ListEntry
from sync.membership import SyncFolder
from sync.rollover import registration

FULL = os.environ.get("ALPR_FAULTS") == "full"
MOST_ROWS = 6 if FULL else 3  # rows of a table to remove, one at a time
VALUES = 40 if FULL else 12  # random values, each in a random column
LATER = "content that is here is under other keys; what comes later does not open, and is asked for again"
REST_ON_NOTHING = {
    "alert_records.record_no": "the order in which alerts are listed, nothing more",
    "bad_records.tries": "an element is asked for once more, or once less, before it is given up and counted",
    "bad_records.reason": "shown nowhere; the incident has the words",
    "codes.expires_us": "a code is refused before its time, or is good for the longest time that any is",
    "codes.used_us": "a code that is used again is missed by the unit that used it first",
    "documents.at_us": "the entry of the log says when it was offered",
    "epoch_keys.epoch": LATER,
    "epoch_keys.day_key": LATER,
    "epoch_keys.sealed": LATER,
    "incidents.times": "how often an incident came since is the store's word alone, as CHECKS.md says",
    "incidents.closed_us": "the desk shows the entries of the two people; the same comes as a new incident",
    "incidents.closed_by": "the desk shows the entries of the two people",
    "incidents.second_by": "the desk shows the entries of the two people",
    "unit_health.received_us": "another time shows as a wrong clock of the unit; the report's own is signed",
    "units.enrolled_us": "within a day of its first log, whose time is counted",
    "units.revoked_why": "the entry of the revocation has the reason",
}
"""Columns that nothing proves, and why no one is misled by another value."""
FREE_ROWS = {
    "bad_records": "an element that is only asked for again comes again; one that was given up is counted",
    "days": "a day of receipt without content holds nothing that is found or purged",
    "epoch_keys": LATER,
}
"""Tables in which a row may be added or taken out, and why no one is misled by it."""


@dataclass
class Yard:
    """A department with something in every table, and what its log says; each change is made in a copy of
    its database."""

    department: Department
    server: Server
    covered: CoveredByEntries
    whole: Path
    copy: Path
    before: list[str]

    def said(self) -> list[str]:
        """What `department verify` says of the copy of the store and not of the store itself."""
        store = open_store(f"sqlite:///{self.copy}", migrate=False)
        try:
            key = self.server.home.log_key().public_key()
            server = self.server
            report = Checker(store, server.keys, server.packs, key, unsealing(server.home)).run()
        finally:
            store.close()
        wrong, unchecked = self.covered.compare(report.reported)
        return [
            one for one in [*report.problems, *report.unchecked, *wrong, *unchecked] if one not in self.before
        ]

    def after(self, *statements: sa.Executable) -> list[str]:
        """What `said` returns after these statements."""
        return self.said() if self.change(statements) else ["the database itself refuses it"]

    def change(self, statements: Sequence[sa.Executable]) -> bool:
        """Make a new copy and execute the statements in it. Returns whether the database accepted them."""
        for one in self.copy.parent.glob(f"{self.copy.name}*"):
            one.unlink()
        shutil.copyfile(self.whole, self.copy)
        engine = sa.create_engine(f"sqlite:///{self.copy}")  # checks no foreign keys, as a person's
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(statement)
        except sa.exc.IntegrityError:
            return False
        finally:
            engine.dispose()
        return True

    def stored(self, column: sa.Column[Any], number: int) -> Any:
        """The value of a column in a row of the copy."""
        name = column.table.name
        query = f'SELECT typeof("{column.name}") = \'text\', "{column.name}" FROM {name} ORDER BY rowid'  # noqa: S608
        with closing(sqlite3.connect(self.copy)) as database:
            database.text_factory = bytes
            is_text, value = database.execute(f"{query} LIMIT 1 OFFSET {number}").fetchone()
        return value.decode(errors="replace") if is_text else value


def raise_alert(unit: Joined, read: int) -> None:
    entry = ListEntry(plate="7XKR219", state="US-CA", category="stolen-vehicle")
    unit.ledger.append(
        Alert(
            read=read, list_id="doj", list_version=1, source="SVS", entry=entry.to_bytes(),
            category="stolen-vehicle", score=0.97, twin=False, disagrees=(), silent=(), stale=False,
            at_us=unit.clock.now().us,
        )
    )  # fmt: skip


def only_alerts(unit: Joined, server: Server) -> None:
    """A sync whose line is cut after the alerts."""
    link = LoopbackLink(server)

    def before(name: str, data: bytes) -> bytes:
        if name == "leaves":
            raise LinkError("cut")
        return data

    link.before = before
    with pytest.raises(LinkError):
        converse(unit, server, link)


def damaged(unit: Joined, server: Server) -> None:
    """Deliver one picture that is bad until it is given up, and one that is bad once."""
    link = LoopbackLink(server)

    def before(name: str, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if name == "parcel" else data

    link.before = before
    while "bad-record" not in incident_kinds(server):
        converse(unit, server, link)


class Fleet:
    """Units that join by signed codes, sync, raise alerts, fork and are reset."""

    def __init__(self, folder: Path, department: Department, server: Server) -> None:
        self.folder, self.department, self.server = folder, department, server
        self.units: list[Joined] = []

    def join(self, name: str) -> Joined:
        made = self.department.call("unit/enroll", self.department.logon("chief"), UnitForm(name=name))
        assert isinstance(made, UnitCode)
        clock = SteppedTime(us=self.department.clock.us)
        unit = Joined(self.folder / name, self.server, name, time_source=clock, code=made.code)
        self.units.append(unit)
        return unit

    def drive(self) -> None:
        """Make reads, alerts (one out of order), a record that stays bad, a fork and a reset."""
        server = self.server
        car, van, bike, old = (self.join(name) for name in ("car 8", "van 3", "bike 1", "car 5"))
        car.add(2, size=40)
        (hit,) = car.add(1, hit=True, size=40)
        raise_alert(car, hit)
        car.add(1, size=9000)
        converse(car, server)
        old.add(2, size=40)
        damaged(old, server)
        van.add(1, size=40)
        converse(van, server)
        self.fork(van)
        bike.add(1, size=40)
        converse(bike, server)
        for unit in self.units:
            self.tell(unit)
        word = messages.seal_message(bike.last_word(), bike.outbox.sign)
        server.receiver.answer("destroyed", word)
        (late,) = car.add(1, hit=True, size=40)
        raise_alert(car, late)
        raise_alert(car, late)
        only_alerts(car, server)

    def tell(self, unit: Joined) -> None:
        self.server.receiver.answer("health", messages.seal_message(report_of(unit), unit.outbox.sign))

    def copied(self, unit: Joined) -> Joined:
        """A second card with the same keys."""
        unit.ledger.close()
        place = self.folder / f"copy of {unit.folder.member().name}"
        shutil.copytree(unit.path, place)
        copy = Joined.__new__(Joined)
        copy.__dict__.update(unit.__dict__)
        copy.home, copy.slot = place / "home", type(unit.slot)(place / "chip")
        copy.folder = SyncFolder.of(copy.home)
        copy.reopen()
        unit.reopen()
        return copy

    def fork(self, unit: Joined) -> None:
        """Run two cards of one unit: its log is closed, and the other card's records are kept beside it."""
        copy = self.copied(unit)
        unit.add(4, size=40)
        copy.add(3, size=40)
        converse(copy, self.server)
        copy.ledger.close()
        with pytest.raises(RefusedByDepartmentError, match="do not lead"):
            converse(unit, self.server)
        unit.close_log()
        message = registration(
            unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="another log"
        )
        self.server.enrollment.answer("new-log", message)
        key = self.server.home.log_key().public_key()
        ClosedDelivery(unit.outbox, LoopbackLink(self.server), key, parcel_bytes=1 << 20).run(unit.folder)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Made once; tests change only the copy of its database."""
    folder = tmp_path_factory.mktemp("yard")
    found_department(folder, with_reads=False)
    department = open_copy(folder)
    department.arrive(now_us())
    server = Server(department.home, Clocks.simulated(department.clock))
    assert server.time.accept(department.clock.us)
    server.authority.renew()
    daily.list_units(department.front)
    department.front.send_down()
    fleet = Fleet(folder, department, server)
    fleet.drive()
    department.clock.step(DAY_US)
    department.logon("chief")
    daily.run(department.front, server.retention)
    log = department.desk.log
    covered = covered_by(department)
    assert check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems == ()
    whole = folder / "whole.db"
    with closing(sqlite3.connect(department.home.path / "store.db")) as database:
        database.execute("VACUUM INTO ?", (str(whole),))
    made = Yard(department, server, covered, whole, folder / "copy.db", [])
    made.before = made.after()
    yield made
    for unit in fleet.units:
        unit.close()
    server.close()
    department.close()


TABLES = sorted(metadata.tables.values(), key=lambda one: one.name)
COLUMNS = [f"{table.name}.{column.name}" for table in TABLES for column in table.columns]


def rows_of(yard: Yard, table: sa.Table) -> list[sa.Row[Any]]:
    with yard.server.store.read() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all())


def that(table: sa.Table, row: sa.Row[Any]) -> sa.ColumnElement[bool]:
    """The condition that selects this row by its key."""
    return sa.and_(*(one == getattr(row, one.name) for one in table.primary_key.columns))


def other_than(value: Any, column: sa.Column[Any]) -> Any:
    """Another value of the same kind."""
    if isinstance(value, int):
        return value + (10 * DAY_US if column.name.endswith("_us") else 1000)
    if isinstance(value, str):
        return "0" + value[1:] if value[:1] != "0" else "1" + value[1:]
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"\1"
    if isinstance(column.type, (sa.Integer, sa.BigInteger, sa.SmallInteger)):
        return 10 * DAY_US
    return b"\1" * 32 if isinstance(column.type, sa.LargeBinary) else "other"


def changes_of(
    table: sa.Table, column: sa.Column[Any], rows: list[sa.Row[Any]]
) -> Iterator[tuple[str, list[sa.Executable]]]:
    """Yield the changes to one column, as (what is done, its statements)."""

    def put(row: sa.Row[Any], value: Any) -> sa.Executable:
        return sa.update(table).where(that(table, row)).values({column: value})

    values = [getattr(row, column.name) for row in rows]
    yield "changed", [put(rows[0], other_than(values[0], column))]
    if column.nullable and values[0] is not None:
        yield "emptied", [put(rows[0], None)]
    another = next((at for at, value in enumerate(values) if value != values[0]), 0)
    if FULL and another and not column.primary_key and not column.unique:
        yield "exchanged", [put(rows[0], values[another]), put(rows[another], values[0])]


def test_the_department_has_something_in_every_table(yard: Yard) -> None:
    assert [table.name for table in TABLES if not rows_of(yard, table)] == []
    wrong = [one for one in yard.before if not one.startswith("that unit ")]
    assert wrong == ["bike 1 was reset under grant g-463: no entry allows it"]


@pytest.mark.thorough_rows("logs.public", "logs.size", "logs.closed_of", "units.seen_us", every=6)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_value_that_was_changed_in_the_database_is_named(yard: Yard, name: str) -> None:
    table = metadata.tables[name.partition(".")[0]]
    column = table.columns[name.partition(".")[2]]
    rows = rows_of(yard, table)
    rows.sort(key=lambda one: sum(value is None for value in one))  # rows with the fewest NULLs first
    rows.sort(key=lambda one: getattr(one, column.name) is None)
    silent = [what for what, work in changes_of(table, column, rows) if not yard.after(*work)]
    if name not in REST_ON_NOTHING:
        assert silent == []


@pytest.mark.thorough_rows("leaves", "logs", every=6)
@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_a_row_that_was_taken_out_or_added_is_named(yard: Yard, name: str) -> None:
    table = metadata.tables[name]
    silent = []
    rows = rows_of(yard, table)
    for row in rows[:: max(1, len(rows) // MOST_ROWS)]:
        if not yard.after(sa.delete(table).where(that(table, row))):
            silent.append("taken out")
    last = list(table.primary_key.columns)[-1]
    values = {
        one.name: other_than(value, one) if one is last or one.unique else value
        for one, value in zip(table.columns, rows[-1], strict=True)
    }
    if not yard.after(sa.insert(table).values(values)):
        silent.append("added")
    if name not in FREE_ROWS:
        assert silent == []


STORED = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.text(max_size=80),
    st.binary(max_size=80),
)
NOT_UTF8 = st.binary(max_size=8).map(lambda data: b"\xff" + data)


def put(column: sa.Column[Any], number: int, value: Any, *, text: bool = False) -> list[sa.Executable]:
    """Statements that put a value into a row, and remove rows of another table that `verify` must miss."""
    counted = "certificates" if column.table.name == "codes" else "codes"
    new = "CAST(:value AS TEXT)" if text else ":value"
    name = column.table.name
    where = f"rowid = (SELECT rowid FROM {name} ORDER BY rowid LIMIT 1 OFFSET {number})"  # noqa: S608
    change = sa.text(f'UPDATE {name} SET "{column.name}" = {new} WHERE {where}')  # noqa: S608
    return [sa.delete(metadata.tables[counted]), change.bindparams(value=value)]


def belongs(value: Any, column: sa.Column[Any]) -> bool:
    """Whether a value from SQLite has this column's type."""
    if value is None:
        return bool(column.nullable)
    kinds = {sa.Integer: int, sa.LargeBinary: bytes, sa.String: str}
    return next(isinstance(value, kind) for sql, kind in kinds.items() if isinstance(column.type, sql))


def named_beside(said: list[str], column: sa.Column[Any]) -> bool:
    words = "certificates of units" if column.table.name == "codes" else "enrollment codes"
    return any(words in one for one in said)


def names_odd(said: list[str], column: sa.Column[Any]) -> bool:
    return any(one.startswith(f"{column.table.name}: ") and column.name in one for one in said)


def of_no_kind(column: sa.Column[Any]) -> list[sa.Executable]:
    is_text = isinstance(column.type, sa.String)
    return put(column, 0, b"\xffplate" if is_text else "of no kind", text=is_text)


@pytest.mark.thorough_rows
@pytest.mark.parametrize("number", range(max(len(table.columns) for table in TABLES)))
def test_a_value_of_another_kind_is_named_and_hides_nothing_beside_it(yard: Yard, number: int) -> None:
    """SQLite stores any value in any column. One column of every table is changed at once, but those of
    `certificates` and `codes` separately, since their missing rows must be noticed too."""
    columns = [list(table.columns)[number] for table in TABLES if len(table.columns) > number]
    taken = [one for one in columns if yard.change(of_no_kind(one))]
    alone = [[one] for one in taken if one.table.name in {"certificates", "codes"}]
    for changed in ([one for one in taken if [one] not in alone], *alone):
        said = yard.after(*(work for one in changed for work in of_no_kind(one)))
        assert [one.name for one in changed if not names_odd(said, one)] == []
        assert all(named_beside(said, one) for one in changed)
        assert not any("of no kind" in one or "plate" in one for one in said)


@pytest.mark.thorough
@given(data=st.data())
@settings(
    max_examples=VALUES,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_no_value_in_any_column_ends_the_check(yard: Yard, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(COLUMNS))
    table = metadata.tables[name.partition(".")[0]]
    column = table.columns[name.partition(".")[2]]
    is_text = data.draw(st.booleans())
    value = data.draw(NOT_UTF8 if is_text else STORED)
    number = data.draw(st.integers(0, len(rows_of(yard, table)) - 1))
    said = yard.after(*put(column, number, value, text=is_text))
    if said != ["the database itself refuses it"]:
        assert named_beside(said, column)
        if is_text or not belongs(yard.stored(column, number), column):
            assert names_odd(said, column)


def test_rows_that_fit_are_all_seen_again_after_the_check(yard: Yard) -> None:
    """Odd rows are left out of one transaction only."""
    column = metadata.tables["units"].columns["seen_us"]
    yard.after(*put(column, 0, "of no kind"))
    store = open_store(f"sqlite:///{yard.copy}", migrate=False)
    try:
        Checker(store, yard.server.keys, yard.server.packs, yard.server.home.log_key().public_key()).run()
        with store.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM temp.sqlite_master").scalar_one() == 0
            assert connection.exec_driver_sql("SELECT count(*) FROM units").scalar_one() == 4
    finally:
        store.close()


def test_every_exemption_is_of_a_column_or_table_that_there_is() -> None:
    assert set(REST_ON_NOTHING) <= set(COLUMNS)
    assert set(FREE_ROWS) <= set(metadata.tables)
