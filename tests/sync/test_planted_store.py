"""What was planted in the department's database is named, and nothing is written by it; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_twin import empty, postgres_cluster
from receiver_twins import Joined
from sync_twins import bare_home, checked

from sync.department.server.machine_state import StoredState
from sync.department.server.server import Department
from sync.department.store import incidents, own_schema
from sync.department.store.database import open_store
from sync.errors import StoreError

DROPS = "BEGIN SELECT raise(ignore); END"
SQLITE = {
    "a trigger": (f"CREATE TRIGGER quiet BEFORE INSERT ON incidents {DROPS}",),
    "a view under a table's name": (
        "ALTER TABLE incidents RENAME TO more",
        "CREATE VIEW incidents AS SELECT * FROM more WHERE 0",
    ),
    "a view that never ends": (
        "DROP TABLE alerts",
        "CREATE VIEW alerts AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
        "SELECT n AS log_no, n AS sequence, x'' AS leaf, n AS received_us, x'' AS parts FROM c",
    ),
    "a unique index": ("CREATE UNIQUE INDEX once ON incidents (kind) WHERE kind = 'fork'",),
    "a table that drops what comes twice": (
        "DROP TABLE days",
        "CREATE TABLE days (day INTEGER NOT NULL, purge_started_us BIGINT, purged_us BIGINT, receipt BLOB, "
        "PRIMARY KEY (day) ON CONFLICT IGNORE)",
    ),
    "a computed column": ("ALTER TABLE units ADD COLUMN more AS (lower(name))",),
    "another default": (
        "ALTER TABLE logs DROP COLUMN cosigned_size",
        "ALTER TABLE logs ADD COLUMN cosigned_size BIGINT DEFAULT 7 NOT NULL",
    ),
    "another order": ("DROP TABLE destructions", "CREATE TABLE destructions (log_no INTEGER NOT NULL, "
        "message BLOB NOT NULL COLLATE NOCASE, received_us BIGINT NOT NULL, PRIMARY KEY (log_no))"),
    "no table": ("DROP TABLE bad_records",),
    "a table without a column": ("ALTER TABLE units DROP COLUMN seen_us",),
    "another table": ("CREATE TABLE more (a)",),
    "what deleted rows leave": ("PRAGMA auto_vacuum = FULL", "VACUUM"),
}  # fmt: skip
FUNCTION = "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
POSTGRES = {
    "a trigger": (
        FUNCTION,
        "CREATE TRIGGER quiet BEFORE INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION quiet()",
    ),
    "a trigger of a partition": (
        FUNCTION,
        "CREATE TABLE tokens_7 PARTITION OF tokens FOR VALUES IN (7)",
        "CREATE TRIGGER quiet BEFORE INSERT ON tokens_7 FOR EACH ROW EXECUTE FUNCTION quiet()",
    ),
    "a rule": ("CREATE RULE quiet AS ON INSERT TO incidents DO INSTEAD NOTHING",),
    "a view under a table's name": (
        "ALTER TABLE incidents RENAME TO more",
        "CREATE VIEW incidents AS SELECT * FROM more WHERE false",
    ),
    "row security": (
        "CREATE POLICY quiet ON incidents USING (false)",
        "ALTER TABLE incidents ENABLE ROW LEVEL SECURITY",
    ),
    "a unique index": ("CREATE UNIQUE INDEX once ON incidents (kind) WHERE kind = 'fork'",),
    "a check": ("ALTER TABLE incidents ADD CHECK (kind <> 'fork')",),
    "a computed column": ("ALTER TABLE units ADD COLUMN more text GENERATED ALWAYS AS (lower(name)) STORED",),
    "another default": ("ALTER TABLE logs ALTER COLUMN cosigned_size SET DEFAULT 7",),
    "no table": ("DROP TABLE bad_records",),
}
EACH = [("sqlite", name) for name in SQLITE] + [("postgresql", name) for name in POSTGRES]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres_cluster() as url:
        yield url


@pytest.fixture
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    changes = {}
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("cluster")
        empty(url)
        changes = {"database": url}
    made = Department(bare_home(tmp_path / "department", **changes))
    yield made
    made.close()


def plant(department: Department, *statements: str) -> None:
    """By somebody with the database's own tool."""
    engine = sa.create_engine(department.home.database_url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for one in statements:
                connection.exec_driver_sql(one)
    finally:
        engine.dispose()


@pytest.mark.parametrize(("department", "name"), EACH, indirect=["department"])
def test_what_was_planted_is_named_and_not_served(department: Department, unit: Joined, name: str) -> None:
    unit.add(2)
    assert checked(department.home).problems == []
    assert department.store.planted() == ()
    plant(department, *(POSTGRES if department.store.postgres else SQLITE)[name])
    problems = checked(department.home).problems
    assert any(one.startswith("the store") and own_schema.CURE in one for one in problems)
    with pytest.raises(StoreError, match="the store"):
        department.store.demand_own()


def test_no_incident_is_dropped_by_a_trigger_that_is_planted_under_a_running_server(
    department: Department,
) -> None:
    def note(detail: str) -> None:
        with department.store.write() as connection:
            incidents.record(
                connection, kind="fork", detail=detail, unit_id=None, log_id=None, now_us=department.time()
            )

    note("before")
    plant(department, *SQLITE["a trigger"])
    with pytest.raises(StoreError, match="quiet on incidents"):
        note("after")
    plant(department, "DROP TRIGGER quiet")
    note("after")
    with department.store.read() as connection:
        assert [one.detail for one in incidents.listed(connection)] == ["before", "after"]


def test_a_store_that_was_analyzed_or_vacuumed_is_as_it_was(department: Department) -> None:
    plant(department, "ANALYZE", "VACUUM")
    assert department.store.planted() == ()
    with department.store.write():
        pass


def test_one_odd_row_takes_no_other_unit_from_the_list(
    department: Department, unit: Joined, tmp_path: Path
) -> None:
    other = Joined(tmp_path / "other", department, "other")
    other.close()
    plant(department, "UPDATE units SET seen_us = 'yesterday' WHERE name = 'other'")
    again = Department(department.home)  # which takes no such time for the newest
    try:
        state = StoredState(again.store)
        assert [one.name for one in state.units(again.time())] == [unit.folder.member().name]
        (line,) = again.store.odd_rows()
        assert line.startswith("units: the row of unit_id")
        assert line.endswith("its seen_us holds a value of another kind or size")
        with pytest.raises(StoreError, match="not counted: units"):
            state.rows_to(-1, 30_000)
    finally:
        again.close()


def test_text_that_is_no_utf8_is_said_and_not_shown(department: Department, unit: Joined) -> None:
    plant(department, "UPDATE units SET name = CAST(x'37415845ff' AS TEXT)")
    store = open_store(department.home.database_url)
    try:
        with pytest.raises(StoreError, match="a text in it is not UTF-8") as told, store.read() as connection:
            connection.exec_driver_sql("SELECT name FROM units").all()
    finally:
        store.close()
    assert "7AXE" not in str(told.value)
    assert "yours to write" not in str(told.value)
