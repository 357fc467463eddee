"""Planted objects in the department's database are named and cannot write, on both databases."""

from __future__ import annotations

import sqlite3
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
from sync.department.store.opening import open_store
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
IN_TURN = {
    "hide rows": (
        "ALTER TABLE incidents FORCE ROW LEVEL SECURITY",
        "ALTER TABLE incidents NO FORCE ROW LEVEL SECURITY",
    ),
    "emptied by a crash": ("ALTER TABLE incidents SET UNLOGGED", "ALTER TABLE incidents SET LOGGED"),
    "table incidents is not as": (
        "ALTER TABLE incidents DROP CONSTRAINT incidents_pkey",
        "ALTER TABLE incidents ADD PRIMARY KEY (incident_no)",
    ),
    "table leaves is not as": (
        "ALTER TABLE leaves ADD CONSTRAINT more FOREIGN KEY (log_no) REFERENCES logs ON DELETE CASCADE",
        "ALTER TABLE leaves DROP CONSTRAINT more",
    ),
    "table receipts is not as": (
        "ALTER TABLE receipts ALTER receipt_no SET DEFAULT nextval('incidents_incident_no_seq')",
        "ALTER TABLE receipts ALTER receipt_no SET DEFAULT nextval('receipts_receipt_no_seq')",
    ),
    "index leaves_missing is not here": (
        "DROP INDEX leaves_missing",
        "CREATE INDEX leaves_missing ON leaves (log_no, sequence) WHERE missing > 0",
    ),
    "part that is not its own: elements_more": (
        "CREATE TABLE elements_more PARTITION OF elements DEFAULT",
        "DROP TABLE elements_more",
    ),
    "sequence that is not its own: incidents_incident_no_seq": (
        "ALTER SEQUENCE incidents_incident_no_seq MAXVALUE 3 CYCLE",
        "ALTER SEQUENCE incidents_incident_no_seq NO MAXVALUE NO CYCLE",
    ),
    "function that is not its own: max": (
        "CREATE FUNCTION max(varchar) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
        "DROP FUNCTION max(varchar)",
    ),
    "function that is not its own: format_type": (
        "CREATE SCHEMA evil; ALTER ROLE alpr SET search_path = evil, pg_catalog, public; "
        "CREATE FUNCTION evil.format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
        "DROP SCHEMA evil CASCADE; ALTER ROLE alpr RESET search_path",
    ),
    "table that is not its own: incidents": (
        "CREATE SCHEMA evil; ALTER ROLE alpr SET search_path = evil, public; "
        "CREATE TABLE evil.incidents (LIKE public.incidents INCLUDING ALL)",
        "DROP SCHEMA evil CASCADE; ALTER ROLE alpr RESET search_path",
    ),
    "trigger of the database that is not its own: quiet": (
        "CREATE FUNCTION quiet() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; "
        "CREATE EVENT TRIGGER quiet ON sql_drop EXECUTE FUNCTION quiet()",
        "DROP FUNCTION quiet CASCADE",
    ),
}
"""Words that name it, how it is planted and how it is taken out again."""
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
    """Plant an object with the database's own tool."""
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


@pytest.mark.thorough
@pytest.mark.parametrize("department", ["postgresql"], indirect=True)
def test_what_a_database_server_can_do_beside_is_named_too(department: Department) -> None:
    named = {}
    for words, (planted, taken_out) in IN_TURN.items():
        for statement in (planted, taken_out):
            plant(department, statement)
            store = open_store(department.home.database_url, migrate=False)  # by current settings
            named[words, statement] = any(words in one for one in store.planted())
            store.close()
            if statement == taken_out:
                assert department.store.planted() == (), words
    expected = {(words, one): one == each[0] for words, each in IN_TURN.items() for one in each}
    assert named == expected


@pytest.mark.parametrize("department", ["postgresql"], indirect=True)
def test_a_day_that_opens_meanwhile_is_nothing_planted(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.store.open_day(20_800)
    monkeypatch.setattr(own_schema, "_pg_parts", lambda *_: ())  # checked too early
    with department.store.read() as connection:
        assert own_schema.examined(connection).wrong == ()


@pytest.mark.parametrize("department", ["postgresql"], indirect=True)
def test_what_is_committed_is_on_the_disk_whatever_was_set_for_the_role(department: Department) -> None:
    plant(department, "ALTER ROLE alpr SET synchronous_commit = off")
    store = open_store(department.home.database_url, migrate=False)
    try:
        with store.read() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    finally:
        store.close()
        plant(department, "ALTER ROLE alpr RESET synchronous_commit")


@pytest.mark.parametrize("department", ["postgresql"], indirect=True)
def test_other_roles_that_can_change_rows_are_due_and_stop_nothing(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' own role is a superuser. A role that only reads, for reports, is harmless. From PostgreSQL
    16 on, a member may be unable to act as the role, and then cannot be removed.
    """
    (own,) = department.store.others()
    assert own == "this program's role is a superuser of the database server: alpr"
    try:
        plant(department, "CREATE ROLE reads", "CREATE ROLE writes", "GRANT alpr TO writes")
        plant(department, "GRANT SELECT ON units TO reads", "GRANT UPDATE (seen_us) ON units TO writes")
        assert department.store.others()[1:] == (
            "other roles are members of this program's role: writes",
            "other roles were granted more than SELECT on the store's tables: writes",
        )
        department.store.demand_own()
        of_16 = "(SELECT *, false AS set_option, false AS inherit_option FROM pg_catalog.pg_auth_members)"
        as_16 = [
            (query.replace("pg_catalog.pg_auth_members", of_16), words)
            for query, words in own_schema._PG_OTHERS
        ]
        monkeypatch.setattr(own_schema, "_PG_OTHERS", as_16)
        assert "other roles are members" not in str(department.store.others())
    finally:
        plant(department, "DROP OWNED BY reads, writes", "DROP ROLE reads", "DROP ROLE writes")


@pytest.mark.parametrize("department", ["sqlite", "postgresql"], indirect=True)
def test_no_incident_is_dropped_by_a_trigger_that_is_planted_under_a_running_server(
    department: Department,
) -> None:
    def note(detail: str) -> None:
        with department.store.write() as connection:
            incidents.record(
                connection, kind="fork", detail=detail, unit_id=None, log_id=None, now_us=department.time()
            )

    note("before")
    postgres = department.store.postgres
    plant(department, *(POSTGRES if postgres else SQLITE)["a trigger"])
    with pytest.raises(StoreError, match="quiet on incidents"):
        note("after")
    plant(department, "DROP FUNCTION quiet CASCADE" if postgres else "DROP TRIGGER quiet")
    note("after")
    with department.store.read() as connection:
        assert [one.detail for one in incidents.listed(connection)] == ["before", "after"]


COLUMNS = {
    "ALTER closed_us SET NOT NULL": "ALTER closed_us DROP NOT NULL",
    'ALTER detail TYPE text COLLATE "C"': 'ALTER detail TYPE text COLLATE "default"',
    "ALTER kind TYPE text": "ALTER kind TYPE varchar(32)",
    "ALTER kind SET DEFAULT 'none'": "ALTER kind DROP DEFAULT",
    "ADD COLUMN more text": "DROP COLUMN more",
    "ADD COLUMN more text GENERATED ALWAYS AS (lower(kind)) STORED": "DROP COLUMN more",
}
"""How a column of the incidents is changed, and how it is set right."""


@pytest.mark.thorough
@pytest.mark.parametrize("department", ["postgresql"], indirect=True)
def test_a_column_that_is_changed_under_a_running_server_is_found_at_the_next_write(
    department: Department,
) -> None:
    found = []
    for planted, taken_out in COLUMNS.items():
        with department.store.write():
            pass
        plant(department, f"ALTER TABLE incidents {planted}")
        try:
            with department.store.write():
                pass
        except StoreError as error:
            found += [planted] if "table incidents is not as" in str(error) else []
        plant(department, f"ALTER TABLE incidents {taken_out}")
    assert found == list(COLUMNS)


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
    again = Department(department.home)  # which does not take such a time for the newest
    try:
        state = StoredState(again.store)
        assert [one.name for one in state.units(again.time())] == [unit.folder.member().name]
        (line,) = again.store.odd_rows()
        assert line.startswith("units: the row of unit_id")
        assert line.endswith("its seen_us holds a value of the wrong type or size")
        with pytest.raises(StoreError, match="not counted: units"):
            state.rows_to(-1, 30_000)
    finally:
        again.close()


def test_text_that_is_not_utf8_is_reported_and_not_shown(department: Department, unit: Joined) -> None:
    plant(department, "UPDATE units SET name = CAST(x'37415845ff' AS TEXT)")
    store = open_store(department.home.database_url)
    try:
        with pytest.raises(StoreError, match="a text in it is not UTF-8") as told, store.read() as connection:
            connection.exec_driver_sql("SELECT name FROM units").all()
    finally:
        store.close()
    assert "7AXE" not in str(told.value)
    assert "yours to write" not in str(told.value)


@pytest.mark.thorough
def test_an_error_of_another_database_is_not_called_the_stores(tmp_path: Path) -> None:
    store = open_store(bare_home(tmp_path / "home").database_url)
    with pytest.raises(sqlite3.OperationalError), store.write():
        raise sqlite3.OperationalError
    store.close()
