"""After a power cut during a factory reset, the next start completes it, or it never began."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from firmware.cli import main
from firmware.console import factory_reset
from firmware.console.factory_reset import LastWord
from firmware.custody.opening import folder_with_chip, open_ledger
from firmware.run import prepared_home
from firmware.run.prepared_home import prepare_home, take_home
from storage import schema
from sync import destruction
from sync.errors import LinkError
from sync.membership import Member, SyncFolder

MEMBER = Member(
    department="d", unit_id="unit-7", name="car-12", unit_address="127.0.0.1:1", front_address="x:1",
    department_key=bytes(32), command_key=bytes(32), authority=b"", root=b"",
)  # fmt: skip


@pytest.mark.thorough_rows(every=5)
@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.parametrize("chip", [False, True])
@pytest.mark.parametrize(
    "gone", [(), ("config.toml",), ("store/ledger.sqlite3", "store/slot.uri"), ("store",)]
)
def test_a_reset_that_a_power_cut_ended_is_done_to_its_end_by_the_next_start(
    tmp_path: Path, chip: bool, enrolled: bool, gone: tuple[str, ...]
) -> None:
    """Otherwise a department's unit would continue in a new log, and one with a chip would never start."""
    home, uri = tmp_path / "home", f"loopback:{tmp_path}/chip" if chip else "file:slot"
    prepare_home(home, slot_uri=uri)
    if enrolled:
        SyncFolder.of(home).make()
        SyncFolder.of(home).save_member(MEMBER)
    with open_ledger(home) as ledger:
        log = ledger.store.log_id
    with open_ledger(home) as ledger:
        factory_reset.begin(home, uri, None)
        factory_reset.destroy_keys(ledger.store)
        ledger.closed = True  # the cut: nothing is anchored
        ledger.store.close()
    for name in gone:  # what had been cleared by then
        path = home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    take_home(home)
    with open_ledger(home) as ledger:
        assert ledger.store.log_id != log
        assert ledger.store.slot.uri == uri
    assert not SyncFolder.of(home).is_member()
    assert {path.name for path in home.iterdir()} == {"config.toml", "reserve", "store"}


@pytest.mark.parametrize("content", [b"file:slot", b"", b"\xff", b"x" * 5000])
def test_a_reset_that_was_cut_off_before_the_keys_went_has_destroyed_nothing(
    tmp_path: Path, content: bytes
) -> None:
    prepare_home(tmp_path)
    with open_ledger(tmp_path) as ledger:
        log = ledger.store.log_id
    (tmp_path / factory_reset.MARK).write_bytes(content)
    take_home(tmp_path)
    assert not (tmp_path / factory_reset.MARK).exists()
    with open_ledger(tmp_path) as ledger:
        assert ledger.store.log_id == log


@pytest.mark.parametrize("chip", [False, True])
@pytest.mark.parametrize(
    ("room", "step"),
    [
        (prepared_home, "write_config"),
        (prepared_home, "create_ledger"),
        (schema, "migrate"),
        (factory_reset, "end"),
    ],
)
def test_a_new_unit_that_a_power_cut_ended_after_a_reset_is_made_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chip: bool, room: ModuleType, step: str
) -> None:
    """In the previous unit's slot, for no one is there to type `reader init`."""
    home, uri = tmp_path / "home", f"loopback:{tmp_path}/chip" if chip else "file:slot"
    line = _Line(monkeypatch, answers=True)
    message = cut_off(home, uri)

    def cut(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, step, cut)
        with pytest.raises(KeyboardInterrupt):
            take_home(home)
    assert (home / factory_reset.MARK).exists()
    take_home(home)
    with open_ledger(home) as ledger:
        assert ledger.store.slot.uri == uri
    assert line.sent == [message]
    assert {path.name for path in home.iterdir()} == {"config.toml", "reserve", "store"}


def test_another_units_log_beside_the_mark_of_a_reset_stays(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    (tmp_path / factory_reset.MARK).write_bytes(f"loopback:{tmp_path}/chip".encode())  # empty: was reset
    with open_ledger(tmp_path) as ledger:
        log = ledger.store.log_id
    take_home(tmp_path)
    with open_ledger(tmp_path) as ledger:
        assert ledger.store.log_id == log
    assert not (tmp_path / factory_reset.MARK).exists()


def cut_off(home: Path, uri: str, *, keys_gone: bool = True) -> bytes:
    """Cut off a member's reset. Returns what it would have sent."""
    prepare_home(home, slot_uri=uri)
    folder = folder_with_chip(home, uri)
    folder.make()
    folder.save_member(MEMBER)
    folder.tls_private()
    with open_ledger(home) as ledger:
        word = LastWord.of(ledger, folder, [], [], "g-463", 1)
        assert word is not None
        factory_reset.begin(home, uri, word)
        if keys_gone:
            factory_reset.destroy_keys(ledger.store)
            ledger.closed = True  # nothing is anchored
            ledger.store.close()
    return word.message


class _Line:
    """The department's door, which accepts what is sent with a TLS key, or does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
        self.sent: list[bytes] = []
        self._answers = answers
        monkeypatch.setattr(factory_reset, "open_link", self._open)
        monkeypatch.setattr(destruction, "send", self._send)

    def _open(self, folder: SyncFolder, member: Member, *, passed_us: int) -> Any:
        assert (member, passed_us) == (MEMBER, 0)
        with folder.tls_key_file() as key:
            assert b"PRIVATE KEY" in key.read_bytes()
        return SimpleNamespace(close=lambda: None)

    def _send(self, _link: object, _department: object, message: bytes) -> None:
        if not self._answers:
            raise LinkError("no answer")
        self.sent.append(message)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("chip", [False, True])
def test_the_receipt_of_a_reset_that_was_cut_off_is_sent_or_kept_by_the_next_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chip: bool,
    answers: bool,
) -> None:
    home, uri = tmp_path / "home", f"loopback:{tmp_path}/chip" if chip else "file:slot"
    message = cut_off(home, uri)
    line = _Line(monkeypatch, answers=answers)
    take_home(home)
    kept = destruction.kept(home)
    assert line.sent == ([message] if answers else [])
    assert [path.read_bytes() for path in kept] == ([] if answers else [message])
    capsys.readouterr()
    assert main(["--home", str(home), "--json", "status"]) == 1  # a clock without a source is an alarm, too
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    assert any("not delivered" in one for one in wrong) is not answers


def test_a_receipt_that_a_full_disk_does_not_take_is_kept_once_the_home_is_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that completes a reset has no one to print it for."""
    message, real = cut_off(tmp_path, "file:slot"), destruction.keep
    _Line(monkeypatch, answers=False)

    def keep(home: Path, log_id: bytes, said: bytes) -> None:
        if (home / "store" / "ledger.sqlite3").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(home, log_id, said)

    monkeypatch.setattr(destruction, "keep", keep)
    take_home(tmp_path)
    assert [path.read_bytes() for path in destruction.kept(tmp_path)] == [message]


@pytest.mark.parametrize("answers", [True, False])
def test_a_cut_while_the_home_is_cleared_loses_no_receipt_and_sends_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    message, real = cut_off(tmp_path, "file:slot"), shutil.rmtree
    line = _Line(monkeypatch, answers=answers)

    def cut(path: Path, **_options: object) -> None:
        real(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            take_home(tmp_path)
    take_home(tmp_path)
    assert line.sent == ([message] if answers else [])
    assert [path.read_bytes() for path in destruction.kept(tmp_path)] == ([] if answers else [message])


def test_a_second_reset_keeps_the_receipt_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Line(monkeypatch, answers=False)
    first = cut_off(tmp_path, "file:slot")
    take_home(tmp_path)
    second = cut_off(tmp_path, "file:slot")
    take_home(tmp_path)
    assert {path.read_bytes() for path in destruction.kept(tmp_path)} == {first, second}


def test_a_reset_that_destroyed_nothing_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = _Line(monkeypatch, answers=True)
    cut_off(tmp_path, "file:slot", keys_gone=False)
    with contextlib.suppress(OSError):
        take_home(tmp_path)
    assert (line.sent, destruction.kept(tmp_path)) == ([], [])
