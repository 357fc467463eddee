"""A damaged page of the log's database that no start reads: the log gives way, and all the rest arrives."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import func, select
from sync_twins import DepartmentProcess, Unit, checked

from firmware.custody.log_rollover import Successor
from storage.database import naming_damage
from storage.errors import DamagedError
from sync.department.server.server import Department
from sync.department.store.tables import elements


def damage(unit: Unit, sequence: int) -> None:
    """Overwrite the page that holds a read's sealed text, as a worn card does."""
    store = unit.ledger.store
    text = store.stored(store.leaf(sequence), "text")
    (page,) = store.db.execute("PRAGMA page_size").fetchone()
    unit.ledger.close()
    data = store.home.database.read_bytes()
    at = data.index(text[:200]) // page * page
    store.home.database.write_bytes(data[:at] + bytes(page) + data[at + page :])
    unit.reopen()  # a start opens the log as whole


def texts_held(server: DepartmentProcess) -> int:
    department = Department(server.home)
    try:
        with department.store.read() as connection:
            query = select(func.count()).select_from(elements).where(elements.c.name == "text")
            return int(connection.execute(query).scalar_one())
    finally:
        department.close()


def test_a_damaged_page_of_a_read_ends_the_log_and_not_the_sync_of_all_others(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    """Else each sync ends there, and nothing that the unit reads arrives any more."""
    before = texts_held(server)
    reads = enrolled.add(40)
    damage(enrolled, reads[20])
    made = enrolled.attempt()
    assert made.outcome == "log-damaged"
    assert "malformed" in made.gives_way
    successor = Successor(enrolled.ledger, enrolled.folder, made.gives_way)
    enrolled.ledger.close()
    enrolled.ledger = successor.open(enrolled.home, enrolled.clock)
    enrolled.add(2)
    assert enrolled.attempt().outcome == "done"
    assert enrolled.ledger.status().unreceived == 0
    arrived = texts_held(server) - before
    assert len(reads) + 2 - 12 <= arrived < len(reads) + 2  # all but what was on the page
    assert checked(server.home).problems == []


def test_an_error_of_the_card_is_no_damage(enrolled: Unit) -> None:
    """It may be over in a moment; a log that is given up is an incident that two people close."""
    enrolled.add(3)

    def denied(action: int, table: str | None, *_: object) -> int:
        refused = action == sqlite3.SQLITE_READ and table == "leaves"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    enrolled.ledger.store.db.conn.set_authorizer(denied)
    with pytest.raises(sqlite3.DatabaseError):
        enrolled.attempt()
    enrolled.ledger.store.db.conn.set_authorizer(None)
    assert enrolled.attempt().outcome == "done"


@pytest.mark.parametrize(
    "error",
    [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("of no code"), OSError(5, "EIO")],
)
def test_only_the_databases_own_word_is_damage(error: Exception, enrolled: Unit) -> None:
    with pytest.raises(type(error)) as caught, naming_damage(enrolled.home):
        raise error
    assert not isinstance(caught.value, DamagedError)
