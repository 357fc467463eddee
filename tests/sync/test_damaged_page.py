"""A damaged page in the log's database that no start reads: the log rolls over, and all else arrives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sync_twins import DepartmentProcess, Unit, checked

from firmware.custody.log_rollover import Successor
from storage import database
from storage.database import MOST_LOOKS, is_damaged, naming_damage
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
    unit.reopen()  # a start finds the log intact


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
    """Otherwise each sync would end there, and no later read would arrive."""
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
    assert len(reads) + 2 - 12 <= arrived < len(reads) + 2  # all except what was on the page
    assert checked(server.home).problems == []


def test_an_error_of_the_card_is_no_damage(enrolled: Unit) -> None:
    """It may be over in a moment, and giving up a log is an incident that two people must close."""
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


def malformed() -> sqlite3.DatabaseError:
    """SQLite's error for a damaged page, or for a failed read of the card (SQLITE_IOERR_CORRUPTFS)."""
    made = sqlite3.DatabaseError("database disk image is malformed")
    made.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return made


def test_a_page_that_the_card_did_not_give_is_no_damage_unless_it_stays_so(tmp_path: Path) -> None:
    """Once, a single failed read gave up a whole log, which meant an incident for two people."""
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE t (a)")
        made.executemany("INSERT INTO t VALUES (?)", [(bytes(3000),)] * 10)
    kinds: list[type[Exception]] = []
    for _ in range(MOST_LOOKS):
        with pytest.raises((DamagedError, sqlite3.OperationalError)) as caught, naming_damage(path):
            raise malformed()
        kinds.append(type(caught.value))
    assert kinds == [sqlite3.OperationalError] * (MOST_LOOKS - 1) + [DamagedError]
    whole = path.read_bytes()
    for damaged in (whole[:8192] + bytes(4096) + whole[12288:], whole[:-5000], bytes(9) + whole[9:]):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError), naming_damage(path):
            raise malformed()


LOOKS = "unable to get the page. error code={}", "failed to get page 7"  # the latter: of a long row


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (LOOKS[0].format(8458), sqlite3.OperationalError),
        (LOOKS[1], sqlite3.OperationalError),
        (LOOKS[0].format(11), DamagedError),
    ],
)
def test_a_look_at_the_whole_that_the_card_ends_finds_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Exception]
) -> None:
    path = tmp_path / "a.sqlite3"
    path.touch()
    monkeypatch.setattr(database, "LOOK", f"SELECT '*** in database main ***\nPage 2: {said}'")
    with pytest.raises(kind), naming_damage(path):
        raise malformed()


def test_a_page_that_the_card_never_gives_again_is_damage_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sync of a unit with such a card failed for ever, and no new log took the place of its log."""
    path, now_s = tmp_path / "a.sqlite3", [1e6]
    path.touch()
    monkeypatch.setattr(database, "LOOK", f"SELECT '{LOOKS[1]}'")
    monkeypatch.setattr("storage.database.time.monotonic", lambda: now_s[0])
    said = []
    for step_s in (0, 1, 1, 12, 15, 90_000, 15, 15, 14, 1):  # 90,000: the card was well for a day
        now_s[0] += step_s
        said.append(is_damaged(path))
    assert said == [False] * 9 + [True]
    monkeypatch.setattr(database, "LOOK", "SELECT 'ok'")
    assert not is_damaged(path)
    monkeypatch.setattr(database, "LOOK", f"SELECT '{LOOKS[1]}'")
    for number in range(4):  # what was counted of one log says nothing of the one in its place
        if number == 3:
            path.rename(tmp_path / "old")
            path.touch()
        now_s[0] += 200
        assert not is_damaged(path)
