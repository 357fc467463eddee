"""A store of an earlier version with content is migrated to this one, on SQLite and a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from postgres_twin import empty, postgres_cluster
from receiver_twins import Joined
from sync_twins import LoopbackLink, bare_home, checked, converse

from sync.closed_delivery import ClosedDelivery
from sync.department.server.server import Department
from sync.department.store.database import Store
from sync.department.store.opening import MIGRATIONS, open_store
from sync.department.store.tables import REVISION, destructions, elements, leaves, logs, metadata
from sync.errors import NewerError
from sync.handover import closed_logs
from sync.messages import seal_message
from sync.rollover import registration

HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
UNDO = {
    "0004": ("DROP TABLE destructions",),
    "0003": ("DROP INDEX ix_logs_closed_of", "ALTER TABLE logs DROP COLUMN closed_of"),
}
"""What each revision added, taken away again: from the newest down."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres_cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    changes = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster")
        empty(url)
        changes = {"database": url}
    made = Department(bare_home(tmp_path / "department", **changes))
    yield made
    made.close()


def version(store: Store) -> str:
    with store.read() as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def test_a_store_of_the_newest_revision_is_opened_as_it_is() -> None:
    assert HEAD == REVISION, "or every start would run the migrations"


@pytest.mark.thorough_rows
def test_a_store_of_a_newer_revision_is_refused_as_it_is(department: Department) -> None:
    with department.store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerError, match=f"has tables 9999, and this version knows {REVISION}"):
        open_store(str(department.store.engine.url.render_as_string(hide_password=False)))
    assert version(department.store) == "9999"


def set_back(store: Store, to: str) -> None:
    """Undo the revisions after `to` in a store."""
    with store.write() as connection:
        for revision, statements in UNDO.items():
            if revision >= to:
                for one in statements:
                    connection.exec_driver_sql(one)
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": to})


def shape(store: Store) -> dict[str, Any]:
    """The columns of our tables, with types and nullability, and their indexes."""
    with store.read() as connection:
        found = sa.inspect(connection)
        return {
            name: (
                {one["name"]: (str(one["type"]), one["nullable"]) for one in found.get_columns(name)},
                sorted(
                    (str(one["name"]), tuple(one["column_names"]), bool(one["unique"]))
                    for one in found.get_indexes(name)
                ),
                tuple(found.get_pk_constraint(name)["constrained_columns"]),
            )
            for name in sorted(metadata.tables)
        }


def rows(store: Store, table: sa.Table) -> list[tuple[Any, ...]]:
    names = [one for one in table.columns if one.name != "closed_of"]
    with store.read() as connection:
        found = connection.execute(sa.select(*names).order_by(*table.primary_key.columns)).all()
    return [tuple(row) for row in found]


@pytest.mark.thorough_rows
@pytest.mark.parametrize("before", ["0003", "0004"])
def test_a_filled_store_of_an_earlier_revision_is_kept_whole_and_takes_what_is_new(
    department: Department, unit: Joined, before: str
) -> None:
    fresh = shape(department.store)
    unit.add(6, size=3000)
    converse(unit, department)
    held = {table.name: rows(department.store, table) for table in (logs, leaves, elements)}
    assert len(held["elements"]) >= 24
    set_back(department.store, before)
    assert shape_lacks(department.store, before)
    again = open_store(department.home.database_url)
    try:
        assert version(again) == HEAD
        assert shape(again) == fresh
        assert {table.name: rows(again, table) for table in (logs, leaves, elements)} == held
    finally:
        again.close()
    assert checked(department.home).problems == []
    newer = Department(department.home)
    try:
        unit.add(2)
        close_the_log(unit, newer)  # revision 4: records that arrive late
        hand_over(unit, newer)
        assert closed_logs(unit.folder) == []
        unit.add(1)
        converse(unit, newer)
        newer.receiver.answer("destroyed", seal_message(unit.last_word(), unit.outbox.sign))  # revision 5
        assert len(rows(newer.store, destructions)) == 1
        assert newer.retention.run() == []
    finally:
        newer.close()
    assert checked(department.home).problems == []


def shape_lacks(store: Store, before: str) -> bool:
    with store.read() as connection:
        found = sa.inspect(connection)
        gone = not found.has_table("destructions")
        columns = {one["name"] for one in found.get_columns("logs")}
    return gone and ("closed_of" in columns) is (before == "0004")


def close_the_log(unit: Joined, department: Department) -> None:
    unit.close_log()
    message = registration(unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="a fork")
    department.enrollment.answer("new-log", message)


def hand_over(unit: Joined, department: Department) -> None:
    key = department.home.log_key().public_key()
    ClosedDelivery(unit.outbox, LoopbackLink(department), key, parcel_bytes=1 << 20).run(unit.folder)


def test_programs_that_start_together_on_an_earlier_store_bring_it_up_once(
    department: Department, unit: Joined
) -> None:
    """After an update, the server and a command may open the store at the same time."""
    unit.add(3)
    converse(unit, department)
    set_back(department.store, "0003")
    start, failed = threading.Barrier(4), []

    def opened() -> None:
        start.wait()
        try:
            open_store(department.home.database_url).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told below
            failed.append(error)

    threads = [threading.Thread(target=opened) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    assert version(department.store) == HEAD
    assert checked(department.home).problems == []


@pytest.mark.thorough_rows
def test_an_upgrade_that_fails_midway_changes_nothing(
    department: Department, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(3)
    converse(unit, department)
    set_back(department.store, "0003")

    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as power:
        power.setattr(destructions, "create", broken)
        with pytest.raises(RuntimeError, match="power"):
            open_store(department.home.database_url)
    assert version(department.store) == "0003"
    assert shape_lacks(department.store, "0003")
    open_store(department.home.database_url).close()
    assert version(department.store) == HEAD
    assert checked(department.home).problems == []
