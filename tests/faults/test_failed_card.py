"""What the card or the machine fails for a moment is no damage, and costs no log."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any, Never

import pytest

from firmware.cli import explain
from firmware.console.verbs import screen_error
from firmware.custody.opening import create_ledger, open_ledger, replace_ledger, serve_door
from storage.database import naming_damage
from storage.errors import CardFailedError, DamagedError, LedgerError, StoreFullError
from storage.home import Home
from storage.ledger import Ledger
from storage.socket_door import ask
from sync.command_frame import Common


def test_a_page_that_the_card_did_not_give_once_costs_no_command_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it malformed after one failed read, and a person was to set it aside for that."""
    home = tmp_path / "home"
    create_ledger(home).close()
    database = home / "store" / "ledger.sqlite3"

    def fails(home: Path) -> Ledger:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        with naming_damage(home / "store" / "ledger.sqlite3"):
            raise error

    def said() -> str:
        with pytest.raises(DamagedError) as caught:
            fails(home)
        return explain(caught.value, Common(home))[0]

    monkeypatch.setattr("firmware.custody.opening.open_ledger", fails)
    with pytest.raises(CardFailedError, match=r"did not give a page of the log.*try again"):
        replace_ledger(home)
    assert database.exists()
    assert "try again" in said()
    assert "--set-aside" not in said()
    database.write_bytes(database.read_bytes()[:5000])
    assert "--set-aside" in said()


@pytest.mark.parametrize("step", ["storage.database.connect", "storage.opening.kept_book"])
@pytest.mark.parametrize(
    ("code", "says"),
    [
        (sqlite3.SQLITE_IOERR_CORRUPTFS, "replace the card"),
        (sqlite3.SQLITE_IOERR_READ, "replace the card"),
        (sqlite3.SQLITE_BUSY, "a database shell or a backup holds it"),
        (sqlite3.SQLITE_CANTOPEN, "replace the card"),
        (sqlite3.SQLITE_NOMEM, "replace the card"),
    ],
)
def test_an_error_that_says_nothing_of_its_content_costs_no_command_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, says: str
) -> None:
    """At its first page, SQLite gives a failed read its own name. That was no damage, nor a known failure of
    the card, and so the log was set aside and its keys destroyed.
    """
    home = tmp_path / "home"
    create_ledger(home).close()

    def fails(*_: object) -> Never:
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = code
        raise error

    with monkeypatch.context() as failing:
        failing.setattr(step, fails)
        with pytest.raises(LedgerError, match=r"as SQLite says it|did not give a page") as caught:
            replace_ledger(home)
    assert says in str(caught.value)
    assert not list(home.glob("damaged-*"))
    open_ledger(home).close()


def test_a_card_that_fails_the_write_of_an_extra_file_is_called_full_only_if_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person was sent to make room on a card with 20 GB free."""
    home = tmp_path / "home"
    create_ledger(home).close()

    def fails(*_: object) -> Never:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE"
        raise error

    monkeypatch.setattr("storage.database.connect", fails)
    with pytest.raises(LedgerError, match=r"disk I/O error .*replace the card"):
        open_ledger(home)
    full = shutil.disk_usage(home)._replace(free=0)
    monkeypatch.setattr("storage.schema.shutil.disk_usage", lambda _folder: full)
    with pytest.raises(StoreFullError, match="no room to open"):
        open_ledger(home)


def test_no_console_and_no_door_calls_a_log_damaged_for_a_page_that_the_card_did_not_give_once(
    tmp_path: Path,
) -> None:
    """A technician was sent to the new log of a card that had failed a single read."""
    home = tmp_path / "home"
    with create_ledger(home) as ledger:

        def fails(_body: dict[str, Any]) -> dict[str, Any]:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            with naming_damage(Home(home).database):
                raise error

        with pytest.raises(DamagedError) as caught:
            fails({})
        assert "did not give a page of the log (try again" in screen_error(caught.value)
        with (
            serve_door(ledger, {"fails": fails}),
            pytest.raises(LedgerError, match="did not give a page") as answered,
        ):
            ask(Home(home), "fails", {})
        assert "--set-aside" not in str(answered.value)
