"""People, threads and processes at once: none sees a half-made or half-undone change of another."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from desk_cars import Car
from desk_twins import DAY_US, MINUTE_US, Department

from storage import sealing
from storage.day_keys import DayKey, seal_to_day
from sync.department.content.followed_log import AT_ONCE
from sync.department.content.key_service import LocalKeyService
from sync.department.content.proven_door import ProvenDoor
from sync.department.desk import snapshot
from sync.department.desk.alerts.events import AlertEvents, AlertStream
from sync.department.desk.due import CalendarForm, OverdueForm
from sync.department.desk.holds import calls as holds
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.log_state import system_stamp
from sync.department.desk.people.passkeys import begin_passkey
from sync.department.desk.state import DeskState
from sync.department.journal import access_log
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import WitnessAway
from sync.department.journal.plain_state import is_part
from sync.department.server import roster
from sync.department.server.due_work import standing
from sync.department.store.opening import open_store
from sync.department.units import list_seal
from sync.errors import HomeError, KeyServiceError


class TurnedBackError(Exception):
    """The reason why a decision is rolled back."""


def is_free(log: AccessLog) -> bool:
    """Whether another thread could append an entry now."""

    def tried() -> bool:
        free = log._guard.acquire(blocking=False)
        if free:
            log._guard.release()
        return free

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(tried).result()


def is_turn_free(path: Path) -> bool:
    """Whether no process holds a lock file."""
    with path.open("a") as file, contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def rolled_back(department: Department, entries: int = 1) -> None:
    """Make a decision that fails after its entries."""
    with contextlib.suppress(TurnedBackError), department.desk.deciding() as moment:
        for _ in range(entries):
            department.desk.add(WitnessAway(reason="never"), system_stamp(department.desk.root, moment.at_us))
        raise TurnedBackError


def demand_true(department: Department) -> None:
    """Assert that the book matches the log."""
    again = DeskState()
    for entry in department.desk.log.entries():
        again.apply(entry)
    department.desk.refresh()
    assert snapshot.to_bytes(department.desk.book) == snapshot.to_bytes(again)


def test_no_one_decides_on_entries_that_were_rolled_back(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is read again before another thread may decide."""
    free: list[bool] = []
    kept = department.desk.kept_book

    def watched() -> DeskState:
        free.append(is_free(department.desk.log))
        return kept()

    monkeypatch.setattr(department.desk, "kept_book", watched)
    rolled_back(department)
    assert free == [False]
    demand_true(department)


def test_a_commit_that_the_disk_refuses_leaves_nothing_in_the_book(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def refused(db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.rollback()
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(access_log, "transaction", refused)
        with pytest.raises(sqlite3.OperationalError):
            department.desk.system(WitnessAway(reason="never"))
    assert department.desk.book.away is None
    department.desk.system(WitnessAway(reason="the line is cut"))
    demand_true(department)


def test_a_step_of_a_longer_transaction_that_is_rolled_back_leaves_nothing_in_the_book(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "EVERY", 0)
    written: list[int] = []
    monkeypatch.setattr(snapshot, "write", lambda _log, book: written.append(book.seen))
    desk = department.desk
    size = desk.log.size()
    with contextlib.suppress(TurnedBackError), desk.log.writing():
        desk.system(WitnessAway(reason="never"))
        desk._snapshot_at = 0  # a snapshot is due
        desk.refresh()
        with contextlib.suppress(TurnedBackError), desk.deciding():
            raise TurnedBackError
        raise TurnedBackError
    assert max(written, default=0) <= size  # no snapshot contains what may be rolled back
    assert (desk.log.size(), desk.book.seen, desk.book.away) == (size, size, None)
    desk.system(WitnessAway(reason="the line is cut"))
    demand_true(department)


def test_a_book_that_could_not_be_read_again_is_read_by_the_next_call(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> DeskState:
        raise OSError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(department.desk, "kept_book", refused)
        with pytest.raises(OSError, match="disk"):
            rolled_back(department)
    demand_true(department)


def test_the_newest_time_stays_while_another_thread_rolls_back(department: Department) -> None:
    log = department.desk.log
    newest_us = log.entry(log.size() - 1).stamp.at_us

    class Peeked(tuple[int, int]):
        """Lets another thread, if it can, change the cached size between two readings of it."""

        __slots__ = ()

        def __getitem__(self, at: Any) -> Any:
            if at == 0 and is_free(log):
                log._newest = (0, 0)  # as after a rollback
            return super().__getitem__(at)

    log._newest = Peeked((log.size(), newest_us))
    assert log.newest_us() == newest_us


class Watched(dict[Any, Any]):
    """A dictionary of the book that notes each use by a thread that does not hold the log."""

    log: AccessLog
    wrong: list[str]

    def _look(self, name: str) -> None:
        if not self.log._guard._is_owned():  # type: ignore[attr-defined]
            self.wrong.append(name)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._look("set")
        super().__setitem__(key, value)

    def __iter__(self) -> Iterator[Any]:
        self._look("iter")
        return super().__iter__()

    def values(self) -> Any:
        self._look("values")
        return super().values()

    def items(self) -> Any:
        self._look("items")
        return super().items()


def watch(part: Any, log: AccessLog, wrong: list[str]) -> None:
    """Replace the dictionaries of a part of the book by watched ones."""
    for one in dataclasses.fields(part):
        value = getattr(part, one.name)
        if isinstance(value, dict):
            made = Watched(dict(value))
            made.log, made.wrong = log, wrong
            setattr(part, one.name, made)
        elif is_part(type(value)):
            watch(value, log, wrong)


GOES_THROUGH: dict[str, Callable[[Department, Callable[[str], str]], object]] = {
    "alert/list": lambda one, token: one.call("alert/list", token("super"), NothingForm()),
    "alert events": lambda one, token: AlertEvents(one.front)._next(stream(one, token("super")), 0),
    "calendar": lambda one, token: one.call("calendar/list", token("chief"), CalendarForm()),
    "compliance": lambda one, token: one.call("compliance/overdue", token("chief"), OverdueForm()),
    "retention": lambda one, token: one.call("retention/read", token("chief"), NothingForm()),
    "own lookups": lambda one, token: one.call("inquiry/mine", token("comm1"), NothingForm()),
    "mail": lambda one, _token: standing(one.front),
    "roster": lambda one, _token: one.front.notify_units(),
    "passkey": lambda one, _token: begin_passkey(one.desk, "nobody", "198.51.100.7"),
    "holds": lambda one, _token: holds.finish(one.front),
    "refresh": lambda one, _token: take_in_again(one),
}
"""What goes through parts of the book outside of a decision, or changes them."""


def take_in_again(department: Department) -> None:
    """Take the newest entries in again, as if another process had appended them."""
    department.desk.book.seen -= 20
    department.desk.refresh()


def stream(department: Department, token: str) -> AlertStream:
    watchers = department.front.watchers
    return AlertStream(token, watchers.join(bytes(32)), watchers, 0)


@pytest.mark.thorough_rows
@pytest.mark.parametrize("name", GOES_THROUGH)
def test_who_goes_through_the_book_holds_the_log(
    department: Department, tokens: Callable[[str], str], car: Car, name: str
) -> None:
    """Otherwise another thread may add to it meanwhile, and the call ends in an error."""
    car.raises()
    department.call("alert/list", tokens("super"), NothingForm())
    car.raises()
    department.front.planting.owe(0)
    for user in ("chief", "comm1"):
        tokens(user)
    wrong: list[str] = []
    watch(department.desk.book, department.desk.log, wrong)
    GOES_THROUGH[name](department, tokens)
    assert wrong == []


def test_two_who_send_the_roster_at_once_send_the_newer_one_last(
    department: Department, tokens: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older one would bring back a person who was removed."""
    trainer, publish = tokens("super"), roster._publish
    department.clock.step(MINUTE_US)  # another time of training
    others: list[Future[None]] = []

    def slow(*given: Any) -> int | None:
        """Delay between reading the people and sending them."""
        if not others:
            free = is_turn_free(department.desk.log.folder / roster.LOCK_FILE)
            others.append(pool.submit(department.train, trainer, "comm1", "super"))
            if free:  # without a lock, the other one is faster
                others[0].result()
        return publish(*given)

    with ThreadPoolExecutor(1) as pool, contextlib.closing(open_store(department.home.database_url)) as store:
        monkeypatch.setattr(roster, "_publish", slow)
        department.train(trainer, "officer1", "super")
        others[0].result()
        assert roster.is_out(store, department.desk)


def test_two_processes_that_issue_day_keys_at_once_issue_the_same(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a unit sealed to a replaced key could never be opened."""
    folder, day = department.home.keys, department.clock.us // DAY_US + 100
    first, second = LocalKeyService(folder, department.clock), LocalKeyService(folder, department.clock)
    look, done, others = first._day_key, threading.Event(), list[Future[tuple[DayKey, ...]]]()

    def issued() -> tuple[DayKey, ...]:
        found = second.issue_day_keys(day, 1)
        done.set()
        return found

    def slow(path: Path) -> ec.EllipticCurvePrivateKey | None:
        found = look(path)
        others.append(pool.submit(issued))
        done.wait(0.5)  # without a lock, the other one is faster
        return found

    monkeypatch.setattr(first, "_day_key", slow)
    with contextlib.closing(first), contextlib.closing(second), ThreadPoolExecutor(1) as pool:
        assert first.issue_day_keys(day, 1) == others[0].result()


def test_of_two_processes_that_make_a_key_at_once_both_have_the_first_one(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one process sealed under its own key would be lost."""
    folder, day = department.home.keys, department.clock.us // DAY_US
    first, second = LocalKeyService(folder, department.clock), LocalKeyService(folder, department.clock)
    made, new_key = list[bytes](), sealing.new_key

    def late() -> bytes:
        """Delay between looking for a file and making it."""
        if not made:
            made.append(b"")
            made[0] = second._store_key(day, make=True)
        return new_key()

    with contextlib.closing(first), contextlib.closing(second):
        monkeypatch.setattr(sealing, "new_key", late)
        assert first._store_key(day, make=True) == made[0]
        assert second._store_key(day, make=True) == made[0]


def test_a_key_that_another_process_destroyed_is_gone_here_too(department: Department) -> None:
    folder, day = department.home.keys, department.clock.us // DAY_US
    server, command = LocalKeyService(folder, department.clock), LocalKeyService(folder, department.clock)
    with contextlib.closing(server), contextlib.closing(command):
        server._store_key(day, make=True)
        department.clock.step(400 * DAY_US)
        command.destroy_store_key(day)
        with pytest.raises(KeyServiceError, match="purged"):
            server._store_key(day, make=False)
        command.destroy_store_key(day)  # doing it again is fine


def test_no_day_key_is_looked_for_while_old_ones_are_destroyed(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is just being overwritten would count as damaged, and a good element as a bad one."""
    with contextlib.closing(LocalKeyService(department.home.keys, department.clock)) as keys:
        held: list[bool] = []
        find = keys._private

        def watched(key_id: bytes) -> ec.EllipticCurvePrivateKey:
            held.append(keys._guard.locked())
            return find(key_id)

        monkeypatch.setattr(keys, "_private", watched)
        (day,) = keys.issue_day_keys(department.clock.us // DAY_US, 1)
        keys._epoch_key(bytes(32), 7, day.key_id, seal_to_day(bytes(32), day, bytes(32), 7))
        assert held == [True]


def test_of_two_who_make_the_key_of_the_lists_at_once_both_have_the_first_one(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, made = os.urandom, list[bytes]()

    def draw(count: int) -> bytes:
        if not made:
            made.append(b"")
            made[0] = list_seal.list_key_of(department.home, first=True)
        return drawn(count)

    monkeypatch.setattr(os, "urandom", draw)
    assert list_seal.list_key_of(department.home, first=True) == made[0]


def test_the_keys_are_shown_no_more_at_once_than_they_take(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call may move the keys' position in the log, in either direction."""
    shown: list[tuple[int, int]] = []
    log, said = department.desk.log, iter([20, 3, 3, 3])

    class Moving(ProvenDoor):
        @property
        def _since(self) -> int:
            return next(said)

        @_since.setter
        def _since(self, _to: int) -> None:
            """The position that another call set."""

        def follow(self, part: Any) -> int:
            shown.append((part.start, part.end))
            return 3

    monkeypatch.setattr(log, "part", lambda start, end: SimpleNamespace(start=start, end=end))
    Moving(lambda: department.front.door, log)._step(10_000)
    assert shown == [(20, 20 + AT_ONCE)]


def test_a_lock_file_that_is_removed_under_a_server_lets_no_second_one_start(department: Department) -> None:
    """Two servers would write to one access log."""
    home = department.home
    with home.locked():
        (home.path / "serve.lock").unlink()
        for _ in range(2):  # and with the lock file that the second one made
            with pytest.raises(HomeError, match="a server already runs on this home"), home.locked():
                pass
    with home.locked():
        pass


def test_a_share_that_locks_no_file_open_for_reading_starts_a_server(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, the log's key, open for reading, takes no exclusive lock. A share without locks is named."""
    honest, names = fcntl.flock, {"log.key"}

    def flock(descriptor: int, how: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name in names:
            raise OSError(errno.EBADF, "Bad file descriptor")
        honest(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    held, second = department.home.locked(), department.home.locked()
    with held, pytest.raises(HomeError, match="a server already runs"), second:
        pass
    names.add("serve.lock")
    with pytest.raises(HomeError, match=r"serve\.lock: cannot be locked"), department.home.locked():
        pass
