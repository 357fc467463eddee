"""The outcome of a sync that cannot be written: the unit heals what it can, and no one waits for the rest."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from sync_twins import DepartmentProcess, Unit

from firmware import cli as reader
from firmware.console.consoles import _ask_uplink
from firmware.custody.opening import serve_door
from firmware.run.uplink_thread import UplinkThread
from storage import files
from storage.times import HOUR_US, MINUTE_US, now_us
from sync.errors import SyncError
from sync.event_log import event_log, events_to_stderr
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Runner
from sync.schedule import Conditions, Schedule, Wait, decide


@pytest.fixture
def folder(tmp_path: Path) -> SyncFolder:
    made = SyncFolder.of(tmp_path)
    made.make()
    made.save_status(outcome="link")
    return made


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "a person's").touch()


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/status.json")


@pytest.mark.parametrize("put", [Path.unlink, put_folder, put_pipe, put_link])
def test_what_is_in_the_place_of_the_status_gives_way_to_it(folder: SyncFolder, put: Any) -> None:
    put(folder.path / "status.json")
    folder.demand_status()
    folder.save_status(outcome="done")
    assert folder.status() == {"outcome": "done"}
    assert list(folder.path.glob("status.json.moved-1/*")) == (
        [folder.path / "status.json.moved-1" / "a person's"] if put is put_folder else []
    )


def test_a_full_card_takes_the_status_in_the_room_of_the_old_one(
    folder: SyncFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync is what makes room: it is neither refused nor without an outcome."""

    def full(*_parts: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("storage.files._replace", full)
    folder.ask_sync()
    for outcome in ("refused: for a long reason", "done"):
        folder.save_status(outcome=outcome)
        assert folder.status() == {"outcome": outcome}


@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.EPERM, "lsattr"), (errno.EROFS, "often made read-only"), (errno.EIO, "replace the card")],
)
@pytest.mark.parametrize("where", ["folder", "file"])
def test_no_one_waits_for_an_outcome_that_cannot_be_written(
    folder: SyncFolder, monkeypatch: pytest.MonkeyPatch, number: int, cure: str, where: str
) -> None:
    def fails(path: Any, *_parts: Any, **_options: Any) -> int:
        raise OSError(number, os.strerror(number), str(path))

    if where == "folder":
        monkeypatch.setattr("storage.files._replace", fails)
    else:
        monkeypatch.setattr("sync.status_file.os.open", fails)
        monkeypatch.setattr("storage.files._replace", lambda *_parts, **_options: None)
    with pytest.raises(SyncError, match=cure) as caught:
        folder.ask_sync()
    assert "status.json: cannot be written" in str(caught.value)
    assert not folder.wanted.exists()


def test_what_cannot_be_written_is_an_event_once_and_again_after_it_was(
    folder: SyncFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A waiting unit writes its status each second."""
    events_to_stderr()
    real = files.replace

    def fails(*_parts: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", "status.json")

    for _ in range(2):
        monkeypatch.setattr("sync.status_file.files.replace", fails)
        for second in range(3):
            folder.save_status(next_us=second)
        assert capsys.readouterr().err.count("sync_status_not_written") == 1
        monkeypatch.setattr("sync.status_file.files.replace", real)
        folder.save_status(next_us=9)
        assert capsys.readouterr().err == ""


def test_a_person_who_asks_is_answered_where_the_unit_cannot_begin_to_sync(
    server: DepartmentProcess, enrolled: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its certificate, each attempt ended before there was an outcome, and each wait took minutes."""
    enrolled.attempt()
    enrolled.folder.certificate.write_bytes(b"no certificate")
    with (
        serve_door(enrolled.ledger),
        UplinkThread(enrolled.ledger, enrolled.home, Schedule(interval_s=600), log=event_log()),
    ):
        assert reader.main(["--home", str(enrolled.home), "sync", "now"]) == 1
        said = capsys.readouterr()
        assert "error  " in said.out
        assert "the certificate or its key cannot be read (enroll again)" in said.out
    put_folder(enrolled.folder.path / "status.json")
    with UplinkThread(enrolled.ledger, enrolled.home, Schedule(interval_s=600), log=event_log()):
        assert "enroll again" in _ask_uplink(enrolled.folder, threading.Event())


def test_a_long_sync_is_not_called_one_that_did_not_begin(
    enrolled: Unit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its advice was to restart the reader, in the middle of the sync."""
    monkeypatch.setattr("firmware.commands.sync.WAIT_S", 0.3)
    monkeypatch.setattr("firmware.commands.sync.time.sleep", lambda _s: enrolled.folder.wanted.unlink(True))
    with serve_door(enrolled.ledger):
        assert reader.main(["--home", str(enrolled.home), "sync", "now"]) == 1
    said = capsys.readouterr().err
    assert "took the request, and its sync has not ended" in said
    assert "restart" not in said


def test_an_attempt_that_could_not_begin_is_made_soon_after_a_restart(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    """The status named it the last attempt: the next start waited a whole interval, of up to a week."""
    enrolled.attempt()
    plan, later = Schedule(interval_s=6 * 3600), now_us() + 7 * HOUR_US

    def runner() -> Runner:
        outbox = LedgerOutbox(enrolled.ledger, enrolled.folder.inbox)
        return Runner(outbox, enrolled.folder, plan, now_us=lambda: later)

    runner().save_failure("OperationalError: database is locked")
    planned = decide(plan, Conditions(network="cable"), runner()._past(), now_us=later, alert=False)
    assert isinstance(planned, Wait)
    assert planned.until_us - later < 5 * MINUTE_US
    assert enrolled.folder.status()["outcome"] == "error"
