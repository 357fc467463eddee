"""A damaged page in the log's database that no start reads: the log rolls over, and all else arrives."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from machine_clocks import MachineClocks
from sqlalchemy import func, select
from sync_twins import DepartmentProcess, Unit, checked

from firmware.custody.damage_watch import DamageWatch
from firmware.custody.log_rollover import Successor
from storage import damage as damage_rule
from storage.damage import MOST_FAILED, is_confirmed, is_damaged, settled
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


def test_an_error_of_the_card_is_not_damage(enrolled: Unit) -> None:
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


def confirms(path: Path) -> bool:
    """Whether a look confirms that SQLite calls this database malformed."""
    with pytest.raises(DamagedError) as caught, naming_damage(path):
        raise malformed()
    return is_confirmed(caught.value, path)


def test_a_page_that_the_card_did_not_give_once_is_not_damage(tmp_path: Path) -> None:
    """Once, a single failed read gave up a whole log, which meant an incident for two people."""
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE t (a)")
        made.executemany("INSERT INTO t VALUES (?)", [(bytes(3000),)] * 10)
    assert not any(confirms(path) for _ in range(MOST_FAILED + 1))
    whole = path.read_bytes()
    for damaged in (whole[:8192] + bytes(4096) + whole[12288:], whole[:-5000], bytes(9) + whole[9:]):
        path.write_bytes(damaged)
        assert confirms(path)


@pytest.mark.parametrize("code", ["AUTH", "ABORT", "INTERNAL", "INTERRUPT", "SCHEMA", "MISUSE", "TOOBIG"])
def test_an_error_that_says_nothing_of_the_content_is_no_damage(tmp_path: Path, code: str) -> None:
    """Any code outside a short list once gave up a whole log."""
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE t (a)")
    error = DamagedError("cannot be opened", where=str(path))
    error.__cause__ = sqlite3.OperationalError("not now")
    error.__cause__.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{code}")
    assert not is_confirmed(error, path)
    assert "cannot be used: not now" in str(settled(error))
    path.write_bytes(bytes(9) + path.read_bytes()[9:])
    assert is_confirmed(error, path)
    assert settled(error) is error


def test_a_file_that_the_card_did_not_give_is_no_damage(tmp_path: Path) -> None:
    error = DamagedError("is damaged: log.pub: cannot be read", where=str(tmp_path / "a.sqlite3"))
    error.__context__ = OSError(5, "Input/output error")
    assert not is_confirmed(error, tmp_path / "a.sqlite3")
    assert "the card did not give" in str(settled(error))


def test_a_table_that_is_not_there_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as made, pytest.raises(sqlite3.OperationalError) as caught:
        made.execute("SELECT 1 FROM leaves")
    error = DamagedError("cannot be opened", where=str(path))
    error.__cause__ = caught.value
    assert is_confirmed(error, path)


def test_an_index_that_lacks_a_row_is_damage(tmp_path: Path) -> None:
    """SQLite calls it malformed at each deletion of that row, and its quick check finds nothing."""
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE t (a)")
        made.execute("CREATE INDEX i ON t (a)")
        made.execute("PRAGMA writable_schema=ON")
        made.execute("UPDATE sqlite_master SET sql = 'CREATE INDEX i ON t (a) WHERE a > 1' WHERE name = 'i'")
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("INSERT INTO t VALUES (1)")
        made.execute("PRAGMA writable_schema=ON")
        made.execute("UPDATE sqlite_master SET sql = 'CREATE INDEX i ON t (a)' WHERE name = 'i'")
    with closing(sqlite3.connect(path)) as made:
        assert made.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert confirms(path)


LOOKS = "unable to get the page. error code={}", "failed to get page 7"  # the latter: of a long row


@pytest.mark.parametrize(
    ("said", "damaged"),
    [(LOOKS[0].format(8458), False), (LOOKS[1], False), (LOOKS[0].format(11), True)],
)
def test_a_look_at_the_whole_that_the_card_ends_finds_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, damaged: bool
) -> None:
    path = tmp_path / "a.sqlite3"
    path.touch()
    monkeypatch.setattr(damage_rule, "LOOK", f"SELECT '*** in database main ***\nPage 2: {said}'")
    assert confirms(path) == damaged


def test_a_page_that_the_card_never_gives_again_is_damage_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sync of a unit with such a card failed for ever, and no new log took the place of its log."""
    path, machine = tmp_path / "a.sqlite3", MachineClocks(monkeypatch)
    path.touch()
    monkeypatch.setattr(damage_rule, "LOOK", f"SELECT '{LOOKS[1]}'")
    said = []
    for step_s in (0, 1, 1, 12, 15, 90_000, 15, 15, 14, 1):  # 90,000: the card was well for a day
        machine.runs(step_s)
        said.append(is_damaged(path))
    assert said == [False] * 9 + [True]
    monkeypatch.setattr(damage_rule, "LOOK", "SELECT 'ok'")
    assert not is_damaged(path)
    assert not list(tmp_path.glob("*.looks"))
    monkeypatch.setattr(damage_rule, "LOOK", f"SELECT '{LOOKS[1]}'")
    for number in range(4):  # what was counted of one log says nothing of the one in its place
        if number == 3:
            path.rename(tmp_path / "old")
            path.touch()
        machine.runs(200)
        assert not is_damaged(path)


@pytest.mark.parametrize(
    ("clocks_s", "damaged"),
    [
        pytest.param([1_800_000_100] * 4, True, id="a restart loop"),
        pytest.param([30] * 4, True, id="a clock that starts in 1970 each time"),
        pytest.param([1_800_000_000 + day * 100_000 for day in range(4)], False, id="one a day"),
    ],
)
def test_a_restart_forgets_no_look_that_the_card_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clocks_s: list[int], damaged: bool
) -> None:
    """Short drives counted each look from the start, so that the log never ended."""
    path, machine = tmp_path / "a.sqlite3", MachineClocks(monkeypatch)
    path.touch()
    monkeypatch.setattr(damage_rule, "LOOK", f"SELECT '{LOOKS[1]}'")
    said = []
    for clock_s in clocks_s:
        machine.restarts(clock_s=clock_s)
        said.append(is_damaged(path))
    assert said == [False] * 3 + [damaged]
    (kept,) = tmp_path.glob("*.looks")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "spoiled", [b"", b"\xff", b"1 2\n", bytes(5000)], ids=["empty", "bytes", "short", "long"]
)
def test_a_spoiled_count_of_looks_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: bytes
) -> None:
    path, machine = tmp_path / "a.sqlite3", MachineClocks(monkeypatch)
    path.touch()
    monkeypatch.setattr(damage_rule, "LOOK", f"SELECT '{LOOKS[1]}'")
    for last in (False, False, False, True):
        damage_rule._KEPT.clear()
        if not last:
            (tmp_path / "a.sqlite3.looks").write_bytes(spoiled)
        machine.runs(60)
        assert not is_damaged(path)


def test_no_frame_waits_for_a_look_and_nothing_acts_on_it_once_the_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes, said = threading.Event(), threading.Event(), list[str]()

    def look(_error: DamagedError, _path: Path) -> bool:
        begun.set()
        return goes.wait(30)

    monkeypatch.setattr("firmware.custody.damage_watch.is_confirmed", look)
    for ends in (False, True):
        begun.clear()
        goes.clear()
        watch = DamageWatch(tmp_path / "a.sqlite3", said.append)
        assert watch.report(DamagedError("is damaged", where="a"))
        assert watch.report(DamagedError("is damaged", where="b")), "one look at a time"
        assert watch.report(OSError(5, "EIO")), "on a failing card, errors alternate"
        assert begun.wait(30)
        if ends:
            watch.end()
        goes.set()
        assert watch._thread is not None
        watch._thread.join(30)
        assert not watch.report(DamagedError("is damaged", where="c")), "the look has just ended"
    assert said == ["a: is damaged"]


def test_no_read_waits_for_what_a_look_leads_to_and_the_end_of_a_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeping the old log's keys takes the store's lock, and long on a failing card."""
    monkeypatch.setattr("firmware.custody.damage_watch.is_confirmed", lambda _error, _path: True)
    acts, goes, answers = threading.Event(), threading.Event(), list[bool]()

    def act(_what: str) -> None:
        acts.set()
        goes.wait(30)

    watch, damaged = DamageWatch(tmp_path / "a.sqlite3", act), DamagedError("is damaged", where="a")
    assert not watch.report(OSError(5, "EIO")), "no word of damage"
    assert watch.report(damaged)
    assert acts.wait(30)
    read = threading.Thread(target=lambda: answers.append(watch.report(damaged)))
    ending = threading.Thread(target=watch.end)
    read.start()
    ending.start()
    read.join(5)
    assert answers == [True]
    assert ending.is_alive()
    goes.set()
    ending.join(30)
    read.join(30)
    assert not ending.is_alive()
