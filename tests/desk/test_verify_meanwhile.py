"""`department verify` beside a running server: what comes and goes meanwhile is no fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
from sync.department.desk.context import DeskContext
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import DepartmentHome
from sync.department.server import daily
from sync.department.server.open_desk import front_of
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

    def wrong() -> list[str]:
        main(["--home", str(department.home.path), "verify"])
        said = capsys.readouterr().out.splitlines()
        return [one for one in said if one.startswith("WRONG") and "vouch" not in one]  # of the twin's reads

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Checker, "run", run)
        assert wrong() == []
    assert wrong() == []
    with server.store.write() as connection:
        connection.execute(delete(elements).where(elements.c.day == department.clock.us // DAY_US - 1))
    assert [one for one in wrong() if "5 were counted and 0 are here" in one]


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
    usual = verify_log.entries_now

    def entries_now(home: DepartmentHome) -> int | None:
        many = usual(home)
        change(department, front)
        assert all(converse(unit, server).done for _ in range(2))  # it takes it, and then reports that
        return many

    monkeypatch.setattr(verify_log, "entries_now", entries_now)
    main(["--home", str(department.home.path), "verify"])
    said = capsys.readouterr().out
    assert [one for one in said.splitlines() if one.startswith("WRONG") and "vouch" not in one] == []


def test_a_day_that_was_purged_while_the_store_was_checked_is_not_missed(
    department: Department,
    server: Server,
    front: DeskContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its key, rows and pictures go in the middle of the check, as each day at the hour of the purge."""
    usual = Checker._days

    def days(checker: Checker, connection: sa.Connection) -> None:
        usual(checker, connection)
        department.clock.us = START_US + 364 * DAY_US
        assert server.time.accept(department.clock.us)
        assert len(server.retention.run(through=START_US // DAY_US)) == 2
        daily.run(front, server.retention)

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
