"""A card that is away at a start: that start fails, and only starts in a row, minutes apart, end a log."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from field_home import enroll
from machine_clocks import MachineClocks

from firmware.custody import opening
from firmware.custody.opening import open_ledger, open_or_roll_over, replace_ledger
from firmware.errors import UsageError
from firmware.run.prepared_home import prepare_home
from hw.secure_slot import FileSlot
from storage import damage, database, store
from storage.damage import MOST_FAILED, STARTS_APART_S
from storage.errors import CardFailedError, DamagedError, LedgerError, SlotError, StoreFullError
from storage.home import Home
from sync import rollover

CODES = {
    "disk I/O error": sqlite3.SQLITE_IOERR_READ,
    "locked": sqlite3.SQLITE_BUSY,
    "malformed": sqlite3.SQLITE_CORRUPT,  # what SQLite makes of EIO
    "a page": sqlite3.SQLITE_IOERR_CORRUPTFS,
    "unable to open": sqlite3.SQLITE_CANTOPEN,
    "no memory": sqlite3.SQLITE_NOMEM,
    "not authorized": sqlite3.SQLITE_AUTH,
}
EIO = "EIO"


class Unit:
    """An enrolled unit whose card can be away, and what its starts say."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.away, self.tried = home, False, 0
        self.new_logs: list[str] = []
        self.clocks = MachineClocks(monkeypatch)
        monkeypatch.setattr("sync.rollover.time.sleep", self._sleep)
        self.slept_s, self.returns_s = 0.0, float("inf")
        prepare_home(home)
        enroll(home)
        self.start()

    @property
    def count(self) -> Path:
        return self.home / "store" / "ledger.sqlite3.starts"

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        if self.slept_s % 1 == 0:
            self.clocks.runs(1)
        if self.slept_s >= self.returns_s:
            self.away = False

    def start(self) -> None:
        """Start the reader's process: what another one had in memory is gone."""
        damage._KEPT.clear()
        open_or_roll_over(self.home, on_new_log=self.new_logs.append).close()

    def fails(self, error: str) -> Callable[..., None]:
        """Raises an error of the card while that is away."""

        def fail() -> None:
            self.tried += self.away
            if not self.away:
                return
            if error == EIO:
                raise OSError(errno.EIO, "Input/output error")
            made = sqlite3.OperationalError(error)
            made.sqlite_errorcode = CODES[error]
            raise made

        return fail


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unit:
    return Unit(tmp_path / "home", monkeypatch)


def _fail_book(unit: Unit, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fails, real = unit.fails(error), store.kept_book

    def read_book(*parts: Any) -> Any:
        try:
            fails()
        except OSError as why:
            raise LedgerError(f"cannot be read: {why}", where="a file of the ledger") from None
        return real(*parts)

    monkeypatch.setattr("storage.opening.kept_book", read_book)


def _fail_database(unit: Unit, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fails, real = unit.fails(error), database.connect

    def connect(path: Path, mode: str) -> Any:
        unit.away &= path.name != "ledger.new"  # the card gives the next log
        fails()
        return real(path, mode)

    monkeypatch.setattr("storage.database.connect", connect)


def _fail_slot(unit: Unit, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's key is a file on the same card."""
    monkeypatch.setattr(opening, "READ_AGAIN_S", 0.0)
    fails, real, taken = unit.fails(error), os.open, unit.home / "store" / "slot.new"

    def opened(path: Any, *parts: Any) -> int:
        unit.away &= path != taken  # the card takes the next log's key
        if path == taken.with_name("slot") and taken.with_name("slot").exists():
            fails()
        return real(path, *parts)

    monkeypatch.setattr("hw.secure_slot.os.open", opened)


@pytest.mark.parametrize("failures", [1, MOST_FAILED - 1, MOST_FAILED])
@pytest.mark.parametrize(
    ("step", "error"),
    [
        *((_fail_book, name) for name in (EIO, *CODES)),
        *((_fail_database, name) for name in ("disk I/O error", "locked", "a page")),
        (_fail_slot, EIO),
    ],
)
def test_a_card_that_is_away_costs_a_start_and_no_log_unless_it_stays_away(
    unit: Unit,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[Unit, str, pytest.MonkeyPatch], None],
    error: str,
    failures: int,
) -> None:
    """Two seconds without the card closed a log with all that was not delivered, and raised an incident."""
    step(unit, error, monkeypatch)
    unit.away = True
    for _ in range(min(failures, MOST_FAILED - 1)):
        with pytest.raises(CardFailedError, match="opens a new log if this lasts for minutes"):
            unit.start()
        unit.clocks.runs(STARTS_APART_S)
    unit.away = failures == MOST_FAILED
    unit.start()
    assert len(unit.new_logs) == (failures == MOST_FAILED)
    unit.away = False
    unit.start()
    assert not unit.count.exists()
    assert len(unit.new_logs) == (failures == MOST_FAILED)


def test_starts_within_a_minute_count_once_and_one_that_opens_the_log_ends_the_row(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor starts the reader again after two seconds."""
    _fail_book(unit, EIO, monkeypatch)
    for row in (1, 2):
        unit.away = True
        for number in range(3 * MOST_FAILED):
            unit.clocks.runs(5 + (number % MOST_FAILED == 0) * STARTS_APART_S)
            with pytest.raises(CardFailedError):
                unit.start()
        assert len(unit.count.read_text().splitlines()) == 3, row
        unit.away = False
        unit.start()
    assert unit.new_logs == []


@pytest.mark.parametrize("returns", [True, False])
def test_a_start_whose_failure_cannot_be_counted_goes_through_the_time_itself(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, returns: bool
) -> None:
    """Without the count, each start would be the first, and the unit would restart forever."""
    _fail_book(unit, EIO, monkeypatch)
    unit.count.mkdir()
    needed_s = (MOST_FAILED - 1) * STARTS_APART_S
    unit.away, unit.returns_s = True, needed_s - 5 if returns else float("inf")
    unit.start()
    assert len(unit.new_logs) == (not returns)
    assert unit.slept_s == pytest.approx(needed_s if not returns else unit.returns_s, abs=5)


def test_the_count_ends_with_the_log_that_it_ended(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older program would call it a file that does not belong to a closed log."""
    _fail_book(unit, EIO, monkeypatch)
    unit.away = True
    for _ in range(MOST_FAILED - 1):
        with pytest.raises(CardFailedError):
            unit.start()
        unit.clocks.runs(STARTS_APART_S)
    unit.start()
    assert len(unit.new_logs) == 1
    assert not list(unit.home.rglob("*.starts"))
    assert not damage._KEPT


def test_a_spoiled_count_is_none(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_book(unit, EIO, monkeypatch)
    unit.away = True
    for _ in range(2 * MOST_FAILED):
        unit.count.write_bytes(b"\xff 1 2\n" * 200)
        unit.clocks.runs(STARTS_APART_S)
        with pytest.raises(CardFailedError):
            unit.start()
    assert unit.new_logs == []


def test_a_whole_look_is_made_once_a_start(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes seconds, and more on a slow card."""
    looks: list[Path] = []
    monkeypatch.setattr("sync.rollover.is_damaged", looks.append)
    _fail_book(unit, "malformed", monkeypatch)
    unit.away = True
    with pytest.raises(CardFailedError):
        unit.start()
    assert unit.tried == rollover.OPEN_TRIES
    assert len(looks) == 1


def test_what_a_look_finds_in_the_content_ends_the_log_at_once(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.rollover.is_damaged", lambda _path: True)
    _fail_book(unit, "malformed", monkeypatch)
    unit.away = True
    unit.start()
    assert (unit.tried, len(unit.new_logs)) == (1, 1)


def test_a_full_card_is_no_failing_one(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite reports an I/O error, too, if there is no room for its extra files."""

    def full(*_: Any) -> Any:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
        raise error

    monkeypatch.setattr("storage.opening.kept_book", full)
    for _ in range(MOST_FAILED + 1):
        unit.clocks.runs(STARTS_APART_S)
        with pytest.raises(StoreFullError):
            unit.start()
    assert unit.new_logs == []
    assert not unit.count.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ENOMEM])
def test_a_ledger_of_which_the_card_says_nothing_is_not_gone(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A new log in its place takes the slot, and with it the keys of all that was not delivered."""
    real, key = os.lstat, FileSlot(unit.home / "store").read()
    ledger = Home(unit.home).database

    def lstat(path: Any, **options: Any) -> os.stat_result:
        if path == ledger:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, **options)

    with monkeypatch.context() as failing:
        failing.setattr("storage.home.os.lstat", lstat)
        with pytest.raises(OSError, match=os.strerror(number)):
            unit.start()
    assert FileSlot(unit.home / "store").read() == key
    unit.start()
    assert unit.new_logs == []


def _away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the card not give this file."""
    monkeypatch.setattr(opening, "READ_AGAIN_S", 0.0)
    real = os.open

    def opened(name: Any, *parts: Any, **options: Any) -> int:
        if name == path:
            raise OSError(errno.EIO, "Input/output error", str(name))
        return real(name, *parts, **options)

    monkeypatch.setattr(os, "open", opened)


def test_a_key_that_the_card_does_not_give_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice was to set the ledger aside, and that destroyed the key of a sound one."""
    prepare_home(tmp_path)
    key = FileSlot(tmp_path / "store").read()
    with monkeypatch.context() as failing:
        _away(tmp_path / "store" / "slot", failing)
        for refused in (open_ledger, replace_ledger):
            with pytest.raises(SlotError, match=r"try again; .*replace the card") as caught:
                refused(tmp_path)
            assert "aside" not in str(caught.value)
    assert FileSlot(tmp_path / "store").read() == key
    open_ledger(tmp_path).close()


def test_for_a_line_that_the_card_does_not_give_no_one_is_sent_to_write_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_home(tmp_path)
    _away(tmp_path / "store" / "slot.uri", monkeypatch)
    with pytest.raises(LedgerError, match="replace the card") as caught:
        Home(tmp_path).read_slot_uri()
    assert "one line" not in str(caught.value)
    with pytest.raises(UsageError, match="its ledger is whole"):
        replace_ledger(tmp_path)


def test_a_unit_of_no_department_keeps_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No department could close the incident of a new log: a person decides."""
    prepare_home(tmp_path)
    monkeypatch.setattr(opening, "READ_AGAIN_S", 0.0)
    (tmp_path / "store" / "slot").unlink()
    (tmp_path / "store" / "slot").mkdir()
    with pytest.raises((DamagedError, SlotError)):
        open_or_roll_over(tmp_path, on_new_log=lambda _reason: None)
    assert not (tmp_path / "store" / "ledger.sqlite3.starts").exists()
