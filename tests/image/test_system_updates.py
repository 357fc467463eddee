"""An update is a record in the log: each event of the installer reaches it once, whatever is in the file."""

from __future__ import annotations

import errno
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from alpr_device import events

from firmware.custody.opening import create_ledger
from firmware.custody.system_updates import RECORDED, record_system_updates
from firmware.run import run_ledger
from firmware.run.orders import StopRequest
from firmware.run.prepared_home import prepare_home
from hw.clock import SystemClock
from storage import files
from storage.audit_records import Update
from storage.errors import StoreFullError
from storage.holds import audit_records
from storage.ledger import Ledger

EVENT: dict[str, object] = {
    "at_us": 1,
    "what": "x",
    "from_version": "1",
    "to_version": "2",
    "digest": "ab" * 32,
    "outcome": "x",
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with create_ledger(home, slot_uri="file:slot") as made:
        yield made


def recorded(ledger: Ledger) -> list[Update]:
    return [one for one in audit_records(ledger.store) if isinstance(one, Update)]


def noted(path: Path, outcome: str) -> None:
    events.note(outcome, from_version="1", to_version="2", digest="ab" * 32, path=path)


def test_each_event_is_one_record_in_order(ledger: Ledger, tmp_path: Path) -> None:
    path, home = tmp_path / "events.jsonl", tmp_path / "home"
    for outcome in ("installed", "running in slot B, committed"):
        noted(path, outcome)
    assert record_system_updates(ledger, home, path) == 2
    noted(path, "refused: not newer")
    assert record_system_updates(ledger, home, path) == 1
    assert record_system_updates(ledger, home, path) == 0
    assert [one.outcome for one in recorded(ledger)] == [
        "installed",
        "running in slot B, committed",
        "refused: not newer",
    ]
    assert recorded(ledger)[0].digest == bytes.fromhex("ab" * 32)


@pytest.mark.parametrize("bounded", [False, True], ids=["new", "cut back"])
def test_events_are_readable_for_the_reader_s_account_whatever_the_service_s_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    """The services that write them have UMask=0077, and events in a file of mode 0600 would reach no log."""
    monkeypatch.setattr(events, "MAX_LINES", 1 if bounded else events.MAX_LINES)
    before = os.umask(0o077)
    try:
        for outcome in ("installed", "running in slot B, committed"):
            noted(tmp_path / "events.jsonl", outcome)
    finally:
        os.umask(before)
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o644


def test_a_disk_that_is_full_after_the_record_is_a_full_store(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader survives only that error: it keeps running, and so makes room."""

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    noted(tmp_path / "events.jsonl", "installed")
    with monkeypatch.context() as patched:
        patched.setattr(files, "replace", full)
        with pytest.raises(StoreFullError):
            record_system_updates(ledger, tmp_path / "home", tmp_path / "events.jsonl")
    assert record_system_updates(ledger, tmp_path / "home", tmp_path / "events.jsonl") == 1


def test_system_without_the_installer_has_nothing_to_record(ledger: Ledger, tmp_path: Path) -> None:
    assert record_system_updates(ledger, tmp_path / "home", tmp_path / "nowhere") == 0


def test_events_that_the_reader_may_not_read_are_reported_and_keep_no_unit_from_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a report, a file with the wrong mode would leave every update without a record."""
    (tmp_path / "events.jsonl").mkdir()
    home = tmp_path / "home"
    prepare_home(home)
    read = functools.partial(record_system_updates, events=tmp_path / "events.jsonl")
    monkeypatch.setattr(run_ledger, "record_system_updates", read)
    with (
        structlog.testing.capture_logs() as said,
        run_ledger.run_ledger(home, SystemClock(), structlog.get_logger(), StopRequest()) as ledger,
    ):
        assert recorded(ledger) == []
    [event] = [one for one in said if one["event"] == "updates_not_recorded"]
    assert "events.jsonl" in event["reason"]


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"at_us": "x"}',
        "\x00\xff",
        '{"at_us":1,"what":"x","digest":"zz"}',
        "[" * 5000,
        json.dumps(EVENT | {"at_us": -1}),
        json.dumps(EVENT | {"at_us": 10**30}),
        json.dumps(EVENT | {"at_us": float("inf")}),
    ],
    ids=range(11),
)
def test_junk_beside_an_event_is_left_out_and_stops_nothing(
    ledger: Ledger, tmp_path: Path, junk: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(junk + "\n", encoding="latin-1")
    noted(path, "installed")
    with path.open("a") as file:
        file.write('{"at_us": 1, "what"')
    assert record_system_updates(ledger, tmp_path / "home", path) == 1
    assert [one.outcome for one in recorded(ledger)] == ["installed"]


def test_an_update_whose_file_has_a_name_that_is_no_text_is_recorded(ledger: Ledger, tmp_path: Path) -> None:
    """Once, such a name in the list of events kept the reader from starting."""
    path = tmp_path / "events.jsonl"
    noted(path, f"not installed: {os.fsdecode(b'/media/stick/' + bytes([0xFF]) + b'.raucb')} is not signed")
    assert record_system_updates(ledger, tmp_path / "home", path) == 1
    assert [one.outcome for one in recorded(ledger)] == ["not installed: /media/stick/?.raucb is not signed"]


def test_a_pipe_in_place_of_the_list_of_recorded_events_holds_up_no_start(
    ledger: Ledger, tmp_path: Path
) -> None:
    path, home = tmp_path / "events.jsonl", tmp_path / "home"
    noted(path, "installed")
    os.mkfifo(home / RECORDED)
    assert record_system_updates(ledger, home, path) == 1
    assert record_system_updates(ledger, home, path) == 0
