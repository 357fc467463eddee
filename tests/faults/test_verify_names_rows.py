"""`verify` names a version, a time, a day or a list that no program wrote so, and writes nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from receiver_twins import Joined
from sync_twins import bare_home, converse, verified

from storage.times import DAY_US, now_us
from sync.department.commands.serve import started
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.store import unit_health
from sync.department.store.tables import REVISION
from sync.department.units.hot_lists import Offer, publish_list
from sync.errors import NewerError, StoreError
from sync.hot_lists.entry import ListEntry


@pytest.fixture(name="home")
def home_with_a_unit(tmp_path: Path) -> DepartmentHome:
    home = bare_home(tmp_path / "department")
    server = Department(home)
    unit = Joined(tmp_path / "unit", server, "unit")
    unit.add(2)
    converse(unit, server)
    unit.close()
    server.close()
    return home


def _change(home: DepartmentHome, *statements: str) -> None:
    with closing(sqlite3.connect(home.path / "store.db")) as store:
        for one in statements:
            store.execute(one)
        store.commit()


def _digest(home: DepartmentHome) -> bytes:
    """A digest of the whole store."""
    with closing(sqlite3.connect(home.path / "store.db")) as store:
        return hashlib.sha256("".join(store.iterdump()).encode(errors="surrogatepass")).digest()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "names 0001, and the tables are those of"),
        ("UPDATE alembic_version SET version_num = '9999'", "names 9999, and the tables are those of"),
        ("DELETE FROM alembic_version", "names no version, and the tables are those of"),
        ("INSERT INTO alembic_version VALUES ('0001')", "names 0001, 0005, and the tables are those of"),
        ("DROP TABLE alembic_version", "the store's table alembic_version is not here"),
    ],
)
def test_a_version_that_is_not_that_of_the_tables_is_named_and_nothing_is_written(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str], statement: str, said: str
) -> None:
    assert verified(home, capsys)[0] == 0
    _change(home, statement)
    before = _digest(home)
    status, lines = verified(home, capsys)
    assert (status, said in lines, "alembic_version" in lines) == (1, True, True), lines
    assert "15 records" in lines  # the rest is checked
    assert _digest(home) == before
    if "INSERT" not in statement:
        with pytest.raises((StoreError, NewerError), match=r"alembic_version|has tables 9999"):
            Department(home)
    assert _digest(home) == before


def test_a_store_of_an_earlier_version_is_not_changed_by_verify_and_serve_brings_it_up(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(home, "DROP TABLE destructions", "UPDATE alembic_version SET version_num = '0004'")
    before = _digest(home)
    status, said = verified(home, capsys)
    named = f"are of version 0004, and those of these programs are {REVISION}" in said
    assert (status, named) == (2, True), said
    assert "department serve" in said
    assert _digest(home) == before
    with started(home):
        pass
    assert verified(home, capsys)[0] == 0


def test_a_sync_at_a_time_to_come_is_named_and_silences_no_line_of_compliance(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(home, f"UPDATE units SET seen_us = {now_us() + 90 * DAY_US}")  # noqa: S608 - a number
    status, said = verified(home, capsys)
    assert (status, "WRONG unit unit: its recorded last sync is in the future" in said) == (1, True), said
    with closing(Department(home)) as server, server.store.listing() as connection:
        (line,) = unit_health.due_in(connection, now_us() + 60 * DAY_US)
    assert line.startswith("unit unit has a recorded last sync in the future")


@pytest.mark.parametrize("day", [20000, 2_000_000])
def test_a_day_of_receipt_before_the_first_unit_or_to_come_is_named(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str], day: int
) -> None:
    _change(home, f"INSERT INTO days (day) VALUES ({day})")  # noqa: S608 - a number
    status, said = verified(home, capsys)
    named = f"WRONG day of receipt {day}: no unit had joined, or it is in the future" in said
    assert (status, named) == (1, True), said


def test_a_list_that_was_cut_is_named_with_its_file(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = Offer(list_id="doj", issuer="chief", source="DOJ", agency="DOJ", extracted_us=now_us(), hours=24)
    entries = [ListEntry(plate=f"8XYZ{number:03}", category="stolen-vehicle") for number in range(40)]
    with closing(Department(home)) as server:
        publish_list(home, server.store, offer, entries, now_us())
    assert verified(home, capsys)[0] == 0
    path = home.path / "hotlists" / "doj.list"
    whole = path.read_bytes()
    for size in (200, len(whole) - 5, 0):
        path.write_bytes(whole[:size])
        status, said = verified(home, capsys)
        named = "WRONG hot list doj.list does not open" in said
        assert (status, named, "8XYZ" in said) == (1, True, False), said
    path.write_bytes(whole)
    assert verified(home, capsys)[0] == 0
