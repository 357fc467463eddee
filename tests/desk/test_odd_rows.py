"""A row of the store with a value of the wrong type: the desk reports it and does all its other work."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from desk_twins import START_US, Department
from structlog.testing import capture_logs

from storage.times import DAY_US
from sync.department.cli import main
from sync.department.server import daily
from sync.department.server.due_work import standing
from sync.department.server.server import Department as Server
from sync.department.store import typed_rows
from sync.department.store.tables import metadata


@pytest.fixture(autouse=True)
def looked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed_rows, "AGAIN_S", 0.0)


def by_hand(department: Department, *statements: str) -> None:
    with closing(sqlite3.connect(department.home.path / "store.db")) as database:
        for one in statements:
            database.execute(one)
        database.commit()


def make_odd(department: Department, table: str, column: str) -> None:
    row = f"rowid = (SELECT min(rowid) FROM {table})"  # noqa: S608
    by_hand(department, f"UPDATE {table} SET {column} = CAST(x'ff' AS TEXT) WHERE {row}")  # noqa: S608


@pytest.mark.thorough
def test_a_search_finds_what_is_beside_an_odd_row(department: Department) -> None:
    token = department.logon("super")
    query = replace(department.plate("7ABC*"), since_us=START_US - 10 * DAY_US)
    here = len(department.front.reads.part(query, "", 1000).named)
    assert here == len(department.reads)
    of_text = "rowid = (SELECT min(rowid) FROM elements WHERE name = 'text')"
    by_hand(department, f"UPDATE elements SET stored = 'x' WHERE {of_text}")  # noqa: S608
    assert len(department.front.reads.part(query, "", 1000).named) == here - 1
    found = 0
    for read in department.reads:
        with suppress(AssertionError):
            found += len(department.searched(token, [read]))
    assert found == here - 1


@pytest.mark.parametrize("table", ["units", "documents", "logs"])
def test_the_daily_run_does_the_rest_and_compliance_names_the_row(department: Department, table: str) -> None:
    column = {"units": "seen_us", "documents": "version", "logs": "opened_us"}[table]
    department.clock.step(DAY_US)
    server = Server(department.home)
    try:
        make_odd(department, table, column)
        with capture_logs() as events:
            daily.run(department.front, server.retention)
        failed = [one for one in events if one["event"] == "daily_failed"]
        assert {one["part"] for one in failed} == {"counts"} | ({table} & {"documents"})
        assert failed[0]["what"].startswith(f"the rows of the day are not counted: {table}: ")
        assert any(one["event"] == "row_left_out" and one["what"].startswith(table) for one in events)
        (late,) = [one.what for one in standing(department.front).overdue if one.kind == "store"]
        assert late.startswith(f"{table}: the row of ")
        assert column in late
        assert "department verify" in late
        assert server.retention.plan()
    finally:
        server.close()


def test_a_server_starts_beside_odd_rows_in_every_table(department: Department) -> None:
    for table in metadata.tables.values():
        column = [*table.columns][-1]
        if column.name != "log_no":  # SQLite's own row number
            make_odd(department, table.name, f'"{column.name}"')
    server = Server(department.home)
    server.store.demand_own()
    server.close()


def test_a_department_with_a_planted_trigger_is_not_served(
    department: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand(department, "CREATE TRIGGER quiet BEFORE INSERT ON incidents BEGIN SELECT raise(ignore); END")
    assert main(["serve", "--home", str(department.home.path)]) == 1
    said = capsys.readouterr().err
    assert "quiet on incidents" in said
    assert "DROP TRIGGER" in said
    assert "Traceback" not in said
    (late,) = [one.what for one in standing(department.front).overdue if one.kind == "store"]
    assert "quiet on incidents" in late


@pytest.mark.parametrize("table", ["incidents", "alerts", "units", "documents", "alert_records"])
def test_compliance_names_a_view_without_end_in_the_place_of_a_table(
    department: Department, table: str
) -> None:
    columns = ", ".join(f'n AS "{one.name}"' for one in metadata.tables[table].columns)
    by_hand(
        department,
        f"ALTER TABLE {table} RENAME TO more",
        f"CREATE VIEW {table} AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "  # noqa: S608
        f"SELECT {columns} FROM c",
    )
    said = [one.what for one in standing(department.front).overdue if one.kind == "store"]
    assert any(f"a view that is not its own: {table}" in one for one in said)
