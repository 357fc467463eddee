"""`department verify` beside a running server: what comes and goes meanwhile is no fault."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from desk_forms import forms
from desk_twins import START_US, Department
from receiver_twins import Joined
from restore_twins import joined_today, next_day, set_reviewer
from sqlalchemy import delete, update
from sync_twins import converse

from storage.times import DAY_US
from sync.department.cli import main
from sync.department.commands import verify, verify_log
from sync.department.content.held_check import OpenHolds
from sync.department.content.vault import HOLDS
from sync.department.desk.context import DeskContext
from sync.department.desk.holds.calls import AskReleaseForm, ReleaseForm
from sync.department.desk.machine.joined import TAKEN_BACK
from sync.department.desk.machine.unit_calls import RevokeUnitForm, UnitCode, UnitForm
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import DepartmentHome
from sync.department.journal import check_log
from sync.department.journal import reading as of_log
from sync.department.server import daily
from sync.department.server.open_desk import adopt_root, front_of
from sync.department.server.purged_since import PurgedSince
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker, StoreReport
from sync.department.store.tables import days as days_table
from sync.department.store.tables import elements

NEW_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+1HhcUv5yPtQ9xoHc1dQ9wY6kL8m3r7d7tqCkqS0aB x"


@pytest.fixture
def front(server: Server) -> Iterator[DeskContext]:
    made = front_of(server)
    assert made is not None
    yield made
    made.close()


@pytest.fixture
def unit(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    with joined_today(department, server, tmp_path / "unit") as made:
        yield made


def wrong_with(department: Department, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `verify` names, except that no real unit vouched for the twin's reads."""
    main(["--home", str(department.home.path), "verify"])
    said = capsys.readouterr().out.splitlines()
    return [one for one in said if one.startswith("WRONG") and "vouch" not in one]


def before_the_store(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let `verify` meet a change after it counted the log's entries and before it reads the store."""
    usual = verify_log.entries_now

    def entries_now(home: DepartmentHome) -> int | None:
        many = usual(home)
        change()
        return many

    monkeypatch.setattr(verify_log, "entries_now", entries_now)


def test_reads_that_came_while_the_store_was_checked_are_not_missed(
    department: Department,
    server: Server,
    front: DeskContext,
    unit: Joined,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A check of millions of reads takes hours: the day ends, and the daily run counts it."""
    unit.add(2)
    assert converse(unit, server).done
    usual = Checker.run

    def run(checker: Checker, *, content: bool = True) -> StoreReport:
        report = usual(checker, content=content)
        unit.add(3)
        assert converse(unit, server).done
        next_day(department, server, front)
        return report

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Checker, "run", run)
        assert wrong_with(department, capsys) == []
    assert wrong_with(department, capsys) == []
    with server.store.write() as connection:
        connection.execute(delete(elements).where(elements.c.day == department.clock.us // DAY_US - 1))
    assert [one for one in wrong_with(department, capsys) if "5 were counted and 0 are here" in one]


def new_roster(department: Department, front: DeskContext) -> None:
    set_reviewer(department, NEW_KEY)
    front.send_down()


def new_hot_list(department: Department, _front: DeskContext) -> None:
    form = forms(department)["hotlist/push"]
    department.two_hands("hotlist/push", department.logon("super"), form, second="chief")


@pytest.mark.parametrize("change", [new_roster, new_hot_list])
def test_what_a_unit_took_just_before_the_store_was_checked_is_covered(
    change: Callable[[Department, DeskContext], None],
    department: Department,
    server: Server,
    front: DeskContext,
    unit: Joined,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert converse(unit, server).done

    def take() -> None:
        change(department, front)
        assert all(converse(unit, server).done for _ in range(2))  # it takes it, and then reports that

    before_the_store(monkeypatch, take)
    assert wrong_with(department, capsys) == []


def test_an_entry_that_is_written_while_the_log_is_read_is_no_fault_of_it(
    department: Department,
    unit: Joined,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Entries, tree and heads were read one after the other, and a search came between."""
    assert converse(unit, server).done
    written = list[str]()

    class Beside:
        def __init__(self, db: sqlite3.Connection) -> None:
            self._db = db

        def execute(self, query: str) -> sqlite3.Cursor:
            if "FROM entries" not in query:
                department.desk.covered(department.desk.log.size() - 1)
                written.append(department.logon("officer1"))
                department.desk.covered(department.desk.log.size() - 1)
            return self._db.execute(query)

    @contextmanager
    def reading(path: Path, *, at_home: bool) -> Iterator[Beside]:
        with of_log.reading(path, at_home=at_home) as db:
            yield Beside(db)

    monkeypatch.setattr(check_log, "reading", reading)
    assert wrong_with(department, capsys) == []
    assert len(written) >= 2


def join(department: Department, server: Server, folder: Path) -> None:
    """A person makes a code, and a unit joins with it and syncs."""
    made = department.call("unit/enroll", department.logon("chief"), UnitForm(name="car 20"))
    assert isinstance(made, UnitCode)
    with closing(Joined(folder, server, "car 20", code=made.code)) as one:
        assert converse(one, server).done


def revoke(department: Department, _server: Server, _folder: Path) -> None:
    form = RevokeUnitForm(unit="car 12", reason="stolen from the yard")
    department.call("unit/revoke", department.logon("chief"), form)


@pytest.mark.parametrize("change", [join, revoke])
def test_a_unit_that_joined_or_left_just_before_the_store_was_read_is_in_order(
    change: Callable[[Department, Server, Path], None],
    department: Department,
    server: Server,
    unit: Joined,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert converse(unit, server).done
    with monkeypatch.context() as meanwhile:
        before_the_store(meanwhile, lambda: change(department, server, tmp_path / "car 20"))
        assert wrong_with(department, capsys) == []
    assert wrong_with(department, capsys) == []


@pytest.mark.parametrize("when", ["before the log is read", "after"])
def test_a_root_file_that_is_adopted_meanwhile_is_no_fault_and_an_older_one_is(
    department: Department,
    server: Server,
    unit: Joined,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    when: str,
) -> None:
    assert converse(unit, server).done
    before = department.home.root_file.read_bytes()

    def adopt() -> None:
        adopt_root(department.home, department.desk, department.new_root(), department.desk.policy_document)

    def salt(folder: Path, home: DepartmentHome) -> bytes:
        adopt()
        return salt_of(folder, home)

    def check(*parts: Any, **options: Any) -> check_log.LogReport:
        made = check_of(*parts, **options)
        adopt()
        return made

    salt_of, check_of = verify_log._salt_of, check_log.check
    with monkeypatch.context() as meanwhile:
        if when == "after":
            meanwhile.setattr(check_log, "check", check)
        else:
            meanwhile.setattr(verify_log, "_salt_of", salt)
        assert wrong_with(department, capsys) == []
    assert wrong_with(department, capsys) == []
    department.home.root_file.write_bytes(before)
    assert any("the log adopted version" in one for one in wrong_with(department, capsys))


@pytest.mark.parametrize("ends", [True, False])
def test_a_revocation_is_not_missed_between_its_entry_and_the_store(
    department: Department,
    server: Server,
    unit: Joined,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: bool,
) -> None:
    """One that root keeps out of the store is."""
    assert converse(unit, server).done
    front, usual = department.front, Checker.run
    department.front = replace(front, shut_out=lambda _unit, _why: None)
    revoke(department, server, tmp_path)

    def run(checker: Checker, *, content: bool = True) -> StoreReport:
        report = usual(checker, content=content)
        if ends:
            front.shut_out("car 12", "stolen from the yard")
        return report

    monkeypatch.setattr(Checker, "run", run)
    wrong = wrong_with(department, capsys)
    assert [TAKEN_BACK in one for one in wrong] == ([] if ends else [True])


@pytest.mark.parametrize("how", ["two people", "root"])
def test_a_hold_that_was_released_after_the_log_was_read_lacks_nothing(
    department: Department,
    server: Server,
    unit: Joined,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    """Its key and its content go in the middle of the check. Root's removal of another is named."""
    assert converse(unit, server).done
    hold, other = (department.held(department.logon("super"), (one,)) for one in department.reads[:2])
    usual = OpenHolds.problems

    def problems(holds: OpenHolds, *asked: Any) -> Iterator[str]:
        if how == "two people":
            asks = AskReleaseForm(hold=hold, reason="it was placed on another car")
            department.call("hold/ask-release", department.logon("super"), asks)
            department.call("hold/release", department.logon("chief"), ReleaseForm(hold=hold))
        placed = holds.placed[other if how == "two people" else hold]
        shutil.rmtree(department.desk.log.folder / HOLDS / f"{placed.access}")
        yield from usual(holds, *asked)

    monkeypatch.setattr(OpenHolds, "problems", problems)
    named = other if how == "two people" else hold
    (wrong,) = wrong_with(department, capsys)
    assert f"hold {named}: the held content is not here" in wrong


def old_pages(server: Server) -> bool:
    """Whether the WAL of the store holds anything."""
    wal = Path(f"{server.store.engine.url.database}-wal")
    return wal.exists() and wal.stat().st_size > 0


def test_a_day_that_was_purged_while_the_store_was_checked_is_not_missed(
    department: Department,
    server: Server,
    front: DeskContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its key, rows and pictures go in the middle of the check, as each day at the hour of the purge."""
    usual, left_over = Checker._days, list[Server]()

    def days(checker: Checker, connection: sa.Connection) -> None:
        usual(checker, connection)
        department.clock.us = START_US + 364 * DAY_US
        assert server.time.accept(department.clock.us)
        assert len(server.retention.run(through=START_US // DAY_US)) == 2
        daily.run(front, server.retention)
        assert old_pages(server)  # this check itself keeps them
        left_over.append(server)

    def opened(home: DepartmentHome, *, changes: bool) -> Server:
        return Server(home, Clocks.simulated(department.clock), changes=changes)

    def said() -> list[str]:
        main(["--home", str(department.home.path), "verify"])
        lines = capsys.readouterr().out.splitlines()
        return [one for one in lines if one.startswith(("WRONG", "not checked: ")) and "vouch" not in one]

    monkeypatch.setattr(verify, "Department", opened)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Checker, "_days", days)
        first = said()
    assert [one for one in first if one.startswith("WRONG")] == []
    left = [one for one in first if "it was purged while this check ran" in one]
    assert [one.partition(" of the day of receipt ")[2][:10] for one in left] == ["2026-09-18", "2026-09-19"]
    assert left[0].startswith("not checked: ")
    assert left_over == [server]
    server.retention.run()
    assert not old_pages(server)
    assert [one for one in said() if "WRONG" in one or "purged" in one] == []


def test_a_row_of_a_purge_excuses_no_day_that_is_kept_and_none_of_before(
    department: Department, server: Server
) -> None:
    now, day = START_US // DAY_US, START_US // DAY_US - 3

    def begin(*of: int) -> None:
        with server.store.write() as connection:
            connection.execute(update(days_table).where(days_table.c.day.in_(of)).values(purge_started_us=1))

    begin(day)
    since = PurgedSince(server.store, 365, lambda: now * DAY_US)
    assert [since.has(one) for one in (day, day + 1, day + 2)] == [False] * 3
    begin(day + 1, day + 2)
    assert [since.has(one) for one in (day, day + 1, day + 2)] == [False] * 3
    now = day + 1 + 366
    assert [since.has(one) for one in (day, day + 1, day + 2)] == [False, True, False]
