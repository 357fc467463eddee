"""Nested transactions are all or nothing for every failure; reading an immutable file adds no files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlite_utils

from storage import database


class _Refused(BaseException):
    """Like an interrupt, this is not an Exception."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite_utils.Database]:
    made = database.connect(tmp_path / "some.sqlite3")
    made.conn.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    yield made
    made.close()


def rows(path: Path) -> list[int]:
    """The rows that another process would see."""
    other = sqlite3.connect(path)
    try:
        return [int(row[0]) for row in other.execute("SELECT n FROM t ORDER BY n")]
    finally:
        other.close()


def put(db: sqlite_utils.Database, number: int) -> None:
    db.conn.execute("INSERT INTO t VALUES (?)", (number,))


def put_and_fail(db: sqlite_utils.Database, number: int) -> None:
    with db.atomic():
        put(db, number)
        raise _Refused


def test_what_was_written_is_there_for_another_process_and_a_failure_leaves_nothing(
    db: sqlite_utils.Database, tmp_path: Path
) -> None:
    with db.atomic():
        put(db, 1)
    with pytest.raises(_Refused):
        put_and_fail(db, 2)
    assert rows(tmp_path / "some.sqlite3") == [1]
    assert not db.conn.in_transaction


def test_a_nested_failure_takes_back_its_own_part_alone(db: sqlite_utils.Database, tmp_path: Path) -> None:
    with db.atomic():
        put(db, 1)
        with pytest.raises(_Refused):
            put_and_fail(db, 2)
        put(db, 3)
    assert rows(tmp_path / "some.sqlite3") == [1, 3]


def test_an_immutable_file_is_read_without_a_trace_beside_it(
    db: sqlite_utils.Database, tmp_path: Path
) -> None:
    put(db, 1)
    db.conn.commit()
    db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    path = tmp_path / "some.sqlite3"
    path.chmod(0o400)
    before = sorted(tmp_path.iterdir())
    reader = database.connect(path, "immutable")
    assert reader.execute("SELECT n FROM t").fetchall() == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        put(reader, 2)
    assert sorted(tmp_path.iterdir()) == before
    reader.close()


def test_a_path_with_signs_of_a_uri_names_that_file(tmp_path: Path) -> None:
    path = tmp_path / "50%?mode=memory#x.sqlite3"
    database.connect(path).close()
    assert path.exists()


def test_a_path_that_is_not_utf8_names_that_file(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.sqlite3")
    database.connect(path).close()
    assert path.is_file()
