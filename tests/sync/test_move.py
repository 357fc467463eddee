"""A store moves from SQLite to PostgreSQL whole and once, and two never serve at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_twin import empty, postgres_cluster
from receiver_twins import Joined
from sqlalchemy import insert, select
from sync_twins import checked, converse

from storage import files
from storage.times import now_us
from sync.department.cli import main
from sync.department.ground.home import KEPT_FILE, SETTINGS_FILE, SQLITE_FILE, DepartmentHome, examined
from sync.department.ground.settings import load_settings, with_database
from sync.department.server.founding import found
from sync.department.server.machine_due import overdue_kept_store
from sync.department.server.server import Department
from sync.department.store import incidents, move
from sync.department.store.database import Store
from sync.department.store.move import RowSum, move_store
from sync.department.store.opening import open_store
from sync.department.store.tables import documents, metadata
from sync.errors import HomeError, InvalidInputError, StoreAwayError, StoreError

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres_cluster() as found:
        yield found


@pytest.fixture
def url(cluster: str) -> str:
    empty(cluster)
    return cluster


def rows(store: Store) -> Rows:
    with store.read() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
        }


def enter(connection: sa.Connection, detail: str) -> None:
    incidents.record(connection, kind="fork", detail=detail, unit_id=None, log_id=None, now_us=now_us())


@pytest.fixture
def small(department: Department) -> DepartmentHome:
    """A department on SQLite with an enrollment code and an incident."""
    department.enrollment.issue_code("Car 12")
    with department.store.write() as connection:
        enter(connection, "one")
    department.close()
    return department.home


@pytest.fixture
def filled(department: Department, unit: Joined) -> DepartmentHome:
    """A department with a unit's reads, an incident, and a document whose name is not ASCII."""
    unit.add(5, size=3000)
    assert converse(unit, department).done
    with department.store.write() as connection:
        incidents.record(
            connection,
            kind="fork",
            detail="a line\nbreak, a tab\t and \\N",
            unit_id=None,
            log_id=None,
            now_us=now_us(),
        )
        row = {"name": "Überwachung", "unit_id": "", "version": 1 << 40, "message": bytes(range(256))}
        connection.execute(insert(documents).values(**row, at_us=0))
    department.close()
    return department.home


def quiet(_line: str) -> None:
    pass


def moved_home(home: DepartmentHome) -> DepartmentHome:
    return DepartmentHome.open(home.path)


def test_a_moved_store_holds_the_same_and_takes_what_comes(
    filled: DepartmentHome, unit: Joined, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(open_store(filled.database_url)) as store:
        before = rows(store)
    file = (filled.path / SQLITE_FILE).read_bytes()
    assert main(["move", "--home", str(filled.path), "--database", url, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == sum(map(len, before.values()))
    assert (filled.path / KEPT_FILE).read_bytes() == file
    assert [one.name for one in filled.path.glob("store*")] == [KEPT_FILE]
    (left,) = overdue_kept_store(filled)
    assert f"{KEPT_FILE} is the store from before the move, and no purge reaches it" in left.what
    (filled.path / KEPT_FILE).unlink()
    assert not list(overdue_kept_store(filled))
    home = moved_home(filled)
    department = Department(home)
    try:
        department.store.demand_own()
        assert rows(department.store) == before
        unit.department = department
        unit.add(2)
        assert converse(unit, department).done
        with department.store.write() as connection:
            enter(connection, "the number after it")
            assert [one.number for one in incidents.listed(connection)] == [1, 2]
    finally:
        department.close()
    assert main(["move", "--home", str(filled.path), "--database", url]) == 2
    assert "in a database already" in capsys.readouterr().err


class Power(BaseException):
    """Stands for a power cut."""


def cut(*_args: object, **_more: object) -> None:
    raise Power


CUTS = {
    "while rows are copied": (RowSum, "add"),
    "before the settings name it": (files, "replace"),
    "before the old one has its other name": (move, "_set_aside"),
}


@pytest.mark.parametrize("when", CUTS)
def test_a_move_that_is_cut_leaves_one_store_or_none_to_serve_and_runs_again(
    small: DepartmentHome, url: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    with monkeypatch.context() as power:
        power.setattr(*CUTS[when], cut)
        with pytest.raises(Power):
            move_store(small, url, quiet)
    home = moved_home(small)
    if home.settings.database:
        with pytest.raises(HomeError, match="run department move with that database again"):
            Department(home)
    else:
        Department(home).close()
    move_store(home, url, quiet)
    home = moved_home(small)
    assert home.settings.database == url
    assert checked(home).problems == []


def test_an_older_copy_is_never_taken_for_the_store(
    small: DepartmentHome, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move was interrupted and the department continued, so the copy lacks what came since."""
    with monkeypatch.context() as power:
        power.setattr(files, "replace", cut)
        with pytest.raises(Power):
            move_store(small, url, quiet)
    with contextlib.closing(Department(small)) as department:
        department.enrollment.issue_code("later")
    with pytest.raises(StoreError, match="table codes: 2 rows here, 1 there, and they differ"):
        move_store(small, url, quiet)
    by_hand = small.path / SETTINGS_FILE
    by_hand.write_bytes(with_database(by_hand, url))
    for changes in (True, False):
        with pytest.raises(HomeError, match="one of the two is out of date"):
            Department(moved_home(small), changes=changes)
    with pytest.raises(StoreError, match="they differ: nothing was moved"):
        move_store(moved_home(small), url, quiet)


def test_a_command_that_waited_for_the_move_writes_nothing_into_the_old_store(
    small: DepartmentHome, url: str
) -> None:
    with contextlib.closing(Department(small)) as waiting:
        waiting.enrollment.listed()
        move_store(small, url, quiet)
        with pytest.raises(StoreAwayError, match="moved or replaced while this program had it open"):
            waiting.enrollment.issue_code("late")


@pytest.mark.parametrize("why", ["a server", "tables", "another's", "an odd row", "no PostgreSQL"])
def test_what_cannot_be_moved_whole_is_not_moved(small: DepartmentHome, url: str, why: str) -> None:
    to, wrong = url, why
    with contextlib.ExitStack() as held:
        if why == "a server":
            held.enter_context(small.locked())
            wrong = "already runs"
        elif why == "tables":
            open_store(url).close()
            wrong = "0 there, and they differ"
        elif why == "another's":
            with contextlib.closing(open_store(url, migrate=False)) as store, store.write() as connection:
                connection.exec_driver_sql("CREATE TABLE payroll (id int)")
            wrong = "a table that is not its own: payroll"
        elif why == "an odd row":
            with contextlib.closing(sqlite3.connect(small.path / SQLITE_FILE)) as file, file:
                file.execute("UPDATE incidents SET at_us = 'yesterday'")
            wrong = "incidents: the row of incident_no 1"
        else:
            to, wrong = f"sqlite:///{small.path / 'other.db'}", "must be PostgreSQL"
        before = (small.path / SETTINGS_FILE).read_bytes()
        with pytest.raises((HomeError, StoreError, InvalidInputError), match=wrong):
            move_store(small, to, quiet)
    assert (small.path / SETTINGS_FILE).read_bytes() == before
    assert (small.path / SQLITE_FILE).exists()


def test_the_settings_stay_as_the_person_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / SETTINGS_FILE
    text = "# ours\nname = 'Police'  # short\n  database = ''   # none yet\nkeep_days = 365\n"
    path.write_text(text)
    made = with_database(path, "postgresql+psycopg://a:\\1@h/d").decode()
    assert made == text.replace(
        "  database = ''   # none yet", 'database = "postgresql+psycopg://a:\\\\1@h/d"'
    )
    path.write_text("name = 'Police'\n")
    path.write_bytes(with_database(path, "postgresql+psycopg://a@h/d"))
    assert (load_settings(path).name, load_settings(path).database) == (
        "Police",
        "postgresql+psycopg://a@h/d",
    )
    with pytest.raises(InvalidInputError, match="at most 200 characters"):
        with_database(path, "postgresql+psycopg://" + "h" * 200)


def test_a_database_that_takes_no_writing_is_named_with_what_to_set(small: DepartmentHome, url: str) -> None:
    def cure(database: str, statement: str) -> str:
        with (
            contextlib.closing(open_store(database, migrate=False)) as store,
            pytest.raises(StoreAwayError, match=r"read-?only") as refused,
            store.write() as connection,
        ):
            connection.exec_driver_sql(statement)
        return refused.value.cure

    standby = f"{url}&options=-c%20default_transaction_read_only%3Don"
    assert cure(standby, "CREATE TABLE one (two int)").endswith("or set default_transaction_read_only off")
    file = f"sqlite:///file:{small.path / SQLITE_FILE}?mode=ro&uri=true"
    assert "yours to write" in cure(file, "DELETE FROM codes")


@pytest.mark.parametrize(("caller", "refused"), [(0, True), (1234, False)])
def test_root_works_in_no_home_of_another_user(
    small: DepartmentHome, monkeypatch: pytest.MonkeyPatch, caller: int, refused: bool
) -> None:
    """Root would leave databases, locks and keys that the server's user cannot open."""
    known = Path.stat

    def owned(path: Path, **words: bool) -> os.stat_result:
        if path != small.path:
            return known(path, **words)
        return os.stat_result((0o40700, 0, 0, 1, 1234, 0, 0, 0, 0, 0))

    monkeypatch.setattr(Path, "stat", owned)
    monkeypatch.setattr(os, "geteuid", lambda: caller)
    if not refused:
        assert DepartmentHome.open(small.path).path == small.path
        return
    with pytest.raises(HomeError, match="belongs to #1234, and root would leave files") as root:
        DepartmentHome.open(small.path)
    assert "sudo -u '#1234' department" in root.value.cure
    assert main(["user", "first", "chief", "--home", str(small.path)]) == 2
    assert main(["health", "--home", str(small.path)]) == 0  # for monitoring as root: it leaves no files
    with pytest.raises(HomeError, match="belongs to #1234"):
        found(small.path, small.settings)
    with examined(small.path) as seen:
        assert seen.path == small.path
