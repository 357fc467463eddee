"""What a person, a repaired file system or a failing card may leave in place of a home's files."""

from __future__ import annotations

import errno
import io
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from custody_twins import SteppedTime, add_reads, check, home, make_read, slot, time
from field_home import COMMAND, enroll

from firmware.alerts.cleared import ClearedPlates
from firmware.cli import explain
from firmware.custody.give_way import NAME, is_way_asked, way_asked
from firmware.custody.log_rollover import Successor
from firmware.custody.opening import open_or_roll_over, slot_of
from firmware.fleet.sent_configuration import _dealt_with
from firmware.health.read_habit import ReadHabit
from firmware.run.prepared_home import prepare_home
from firmware.settings.config import load_config
from hw.clock import SystemClock
from hw.secure_slot import LoopbackSlot
from storage import codec, envelope, files
from storage.blobs import Blobs
from storage.day_keys import DayKey, DayKeys
from storage.errors import KeyLostError, LedgerError, NoHomeError, NotOwnerError, NotPlainError
from storage.home import Home
from storage.ledger import Ledger
from storage.socket_door import short_name
from storage.standing import DAY_KEYS, context_of
from storage.times import DAY_US
from sync.command_frame import Common
from sync.errors import NotEnrolledError
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder

__all__ = ["home", "slot", "time"]


@pytest.fixture
def aged(home: Path, slot: LoopbackSlot, time: SteppedTime) -> tuple[int, int]:
    """Make a home with a read that is due and one that is not. Returns their numbers."""
    ledger = Ledger.create(home, slot, time, boot=time.boot)
    (old,) = add_reads(ledger, time, 1)
    for _ in range(365):
        time.run(DAY_US)
        ledger.store.time.now()
    ledger.store.end_running([ledger.store.leaf(old).epoch])
    ledger._look_us = (1 << 62) - 1  # custody's own check is not tested here
    (kept,) = add_reads(ledger, time, 1)
    ledger.store.close()
    ledger.closed = True
    return old, kept


def test_a_purge_whose_files_cannot_be_removed_stops_no_start_and_ends_once_they_can(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged folder of a failing card, or one that an insider made unchangeable: the keys are gone, all
    else is purged and anchored, and the unit on its pole reads on and says so.
    """
    old, kept = aged
    epoch, real = 0, files.remove

    def fails(paths: Iterable[Path]) -> int:
        there = list(paths)
        if any(path.parent.name == f"{epoch:08d}" for path in there):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(there[0]))
        return real(there)

    with monkeypatch.context() as failing:
        failing.setattr(files, "remove", fails)
        ledger = Ledger.open(home, slot, time, boot=time.boot)
        epoch = ledger.store.leaf(old).epoch
        receipt = ledger.tend()
        assert receipt is not None
        assert "1 folder of its images could not be removed yet" in receipt.record.note
        status, path = ledger.status(), f"blobs/{epoch:08d}/"
        assert (status.purge_pending, status.purge_failed.count(path)) == (False, 1)
        with pytest.raises(KeyLostError):
            ledger.read(old)
        ledger.store.close()
        ledger = Ledger.open(home, slot, time, boot=time.boot)
        assert (ledger.status().incidents, path in ledger.status().purge_failed) == (0, True)
        (later,) = add_reads(ledger, time, 1)
        assert [ledger.read(one).text for one in (kept, later)]
        for _ in range(366):
            time.run(DAY_US)
            ledger.store.time.now()
        ledger.store.end_running([ledger.store.leaf(later).epoch])
        assert ledger.tend() is not None
        assert all(ledger.store.book.gone(ledger.store.leaf(one).epoch) for one in (kept, later))
        assert ledger.store.slot_content.anchor_us == ledger.store.time.trusted_us
        assert path in ledger.status().purge_failed
        ledger.store.close()
        assert "is still there after its purge receipt" in str(check(home, slot).findings)
    ledger = Ledger.open(home, slot, time, boot=time.boot)
    assert ledger.status().purge_failed == ""
    ledger.close()
    assert check(home, slot).ok


def test_a_purge_removes_a_folder_among_the_images_and_a_link_but_nothing_behind_it(tmp_path: Path) -> None:
    blobs, elsewhere = Blobs(tmp_path / "blobs"), tmp_path / "elsewhere"
    (blobs.folder / "00000007" / "lost").mkdir(parents=True)
    (blobs.folder / "00000007" / "lost" / "image").touch()
    elsewhere.mkdir()
    (elsewhere / "image").touch()
    (blobs.folder / "00000008").symlink_to(elsewhere)
    assert (blobs.foreign(), blobs.leads_elsewhere(8)) == (["00000008"], True)
    assert [blobs.drop(7), blobs.drop(8)] == [1, 0]
    assert (list(blobs.folder.iterdir()), [one.name for one in elsewhere.iterdir()]) == ([], ["image"])
    blobs.close()


def test_image_folders_of_no_known_epoch_end_no_start(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a link, a folder on another file system, and one that a failing card cannot list."""
    blobs, elsewhere, real = home / "store" / "blobs", home / "elsewhere", Path.iterdir
    elsewhere.mkdir()
    (elsewhere / "letter").touch()
    (blobs / "00000097").symlink_to(elsewhere)
    for name in ("00000098", "00000099"):
        (blobs / name).mkdir()
        (blobs / name / "image").touch()

    def fails(folder: Path) -> Iterator[Path]:
        if folder.name == "00000099":
            raise OSError(errno.EIO, "Input/output error")
        return real(folder)

    def crosses(*_: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as failing:
        failing.setattr(Path, "iterdir", fails)
        failing.setattr(files, "move_together", crosses)
        with Ledger.open(home, slot, time, boot=time.boot) as ledger:
            assert ledger.read(aged[1]).text
            assert ledger.status().incidents == 1
    assert [one.name for one in elsewhere.iterdir()] == ["letter"]


def test_images_without_a_record_on_another_file_system_are_set_aside_once(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each start would count them again and record unclean ends that never happened."""
    blobs, real = home / "store" / "blobs", Path.replace
    (blobs / "00000098").mkdir()
    (blobs / "00000098" / "image").write_bytes(b"sealed")

    def crosses(path: Path, target: Path) -> Path:
        if path.parent.parent == blobs:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(path))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", crosses)
    sizes = []
    for _ in range(3):
        with Ledger.open(home, slot, time, boot=time.boot) as ledger:
            sizes.append(ledger.status().records)
    assert sizes[1] == sizes[2]
    (aside,) = (home / "store" / "strays").iterdir()
    assert [(one.name, one.read_bytes()) for one in aside.iterdir()] == [("image", b"sealed")]
    assert not (blobs / "00000098").exists()


@pytest.mark.parametrize("name", ["lost+found", "00000001.old", "notes.txt"])
def test_what_does_not_belong_among_the_images_is_named_and_costs_no_log(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int], name: str
) -> None:
    (home / "store" / "blobs" / name).mkdir()
    with Ledger.open(home, slot, time, boot=time.boot) as ledger:
        assert ledger.read(aged[1]).text
    assert [(one.where, one.what) for one in check(home, slot).findings] == [
        (f"blobs/{name}", "does not belong among the blobs")
    ]


def test_without_the_folder_of_its_images_a_unit_reads_on_and_verify_names_what_is_gone(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int]
) -> None:
    blobs = home / "store" / "blobs"
    blobs.rename(home / "lost")
    with Ledger.open(home, slot, time, boot=time.boot) as ledger:
        (later,) = add_reads(ledger, time, 1)
        assert ledger.element(later, "patch")
    assert "is missing" in str(check(home, slot).findings)


def test_while_a_link_in_place_of_the_folder_of_images_leads_nowhere_keys_are_purged_all_the_same(
    home: Path, slot: LoopbackSlot, time: SteppedTime, aged: tuple[int, int]
) -> None:
    """With an unmounted medium, nothing can be stored, but what is due is still purged."""
    old, kept = aged
    blobs, medium = home / "store" / "blobs", home / "medium"
    blobs.rename(medium)
    blobs.symlink_to("/nonexistent/medium")
    with Ledger.open(home, slot, time, boot=time.boot) as ledger:
        with pytest.raises(OSError, match="blobs"):
            add_reads(ledger, time, 1)
        ledger._look_us = 0
        receipt = ledger.tend()
        assert receipt is not None
        assert "1 folder of its images could not be removed yet" in receipt.record.note
        assert "store/blobs: is not a folder, nor a link to one" in ledger.status().purge_failed
        with pytest.raises(KeyLostError):
            ledger.read(old)
        assert ledger.read(kept).text
    blobs.unlink()
    medium.rename(blobs)
    with Ledger.open(home, slot, time, boot=time.boot) as ledger:
        assert (ledger.status().purge_failed, ledger.status().incidents) == ("", 0)
        assert ledger.element(kept, "patch")
    assert check(home, slot).ok


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("cut", [True, False])
def test_no_file_keeps_the_key_of_a_closed_log_once_its_keys_are_kept_for_the_department(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool, kept: bool
) -> None:
    """Once, the slot's file moved with its log's folder to HOME/sync/old, which no purge ever reached."""
    home = tmp_path / "home"
    prepare_home(home)
    folder = enroll(home)
    ledger = open_or_roll_over(home, on_new_log=lambda _reason: None)
    day = DayKeys(version=1, keys=(DayKey.of(1 << 30, ec.generate_private_key(ec.SECP256R1())),))
    signed = envelope.sign(codec.to_bytes(day), COMMAND, context=context_of(DAY_KEYS))
    if kept:  # otherwise there is no day key to which its keys can be sealed
        LedgerOutbox(ledger, folder.inbox).take_document(DAY_KEYS, signed)
        ledger.append_read(make_read(demo=False), patch=b"patch", overview=b"overview")
    successor = Successor(ledger, folder, "a test")
    ledger.close()
    key = (home / "store" / "slot").read_bytes()
    with monkeypatch.context() as cutting:
        if cut:
            cutting.setattr("sync.rollover._erase_old_slots", lambda _folder: None)
        successor.open(home, SystemClock()).close()
    open_or_roll_over(home, on_new_log=lambda _reason: None).close()
    (store,) = (home / "sync" / "old").glob("*/store")
    assert (store / "slot").exists() != kept
    there = [one.read_bytes() for one in (home / "sync" / "old").rglob("*") if one.is_file()]
    assert (key in there) != kept
    assert (home / "store" / "slot").read_bytes() != key


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("uri", [None, b"fil", b"file:sl", b"file:", b"file:slot"], ids=ascii)
def test_the_key_of_a_damaged_log_goes_where_no_line_names_its_slot_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: bytes | None, named: bool
) -> None:
    """Once, the rollover found the slot by its content but later starts did not: the key stayed forever."""
    home, reasons = tmp_path / "home", list[str]()
    prepare_home(home)
    folder = enroll(home)
    ledger = open_or_roll_over(home, on_new_log=reasons.append)
    day = DayKeys(version=1, keys=(DayKey.of(1 << 30, ec.generate_private_key(ec.SECP256R1())),))
    signed = envelope.sign(codec.to_bytes(day), COMMAND, context=context_of(DAY_KEYS))
    LedgerOutbox(ledger, folder.inbox).take_document(DAY_KEYS, signed)
    ledger.append_read(make_read(demo=False), patch=b"patch", overview=b"overview")
    ledger.close()
    key, line = (home / "store" / "slot").read_bytes(), home / "store" / "slot.uri"
    line.unlink() if uri is None else line.write_bytes(uri)
    if uri == b"file:slot":  # but the key beside it is another log's
        prepare_home(tmp_path / "other")
        shutil.copy(tmp_path / "other" / "store" / "log.pub", home / "store" / "log.pub")
    database = sqlite3.connect(home / "store" / "ledger.sqlite3")
    database.execute("DELETE FROM state")
    database.commit()
    database.close()
    with monkeypatch.context() as before:
        if not named:  # like a home that an earlier version rolled over
            before.setattr("sync.rollover._name_slot", lambda _paths, _slot: None)
        open_or_roll_over(home, on_new_log=reasons.append).close()
    assert len(reasons) == 1
    assert key not in [one.read_bytes() for one in home.rglob("*") if one.is_file()]
    (kept,) = (home / "sync" / "old").glob("*/store")
    assert not named or (kept / "slot.uri").read_text().strip() == "file:slot"


def test_a_link_that_leads_nowhere_in_place_of_a_ledger_is_not_a_lost_ledger(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "ledger.sqlite3").symlink_to("/nonexistent/ledger.sqlite3")
    assert Home(tmp_path).exists()
    with pytest.raises(NotPlainError):
        Home(tmp_path).demand_own()


def test_a_folder_in_which_the_unit_may_make_no_file_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    with pytest.raises(NotOwnerError, match=r"may not make files in this folder .sudo chown --reference="):
        Home(tmp_path).demand_own()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_start_waits_for_a_pipe_in_place_of_a_file_that_can_be_done_without(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    for name in (NAME, "habit.json", "cleared", "configuration.taken"):
        make(tmp_path / name)
    with way_asked(tmp_path):
        assert not is_way_asked(tmp_path)
    assert ReadHabit.load(tmp_path / "habit.json").usual(0) is None
    assert ClearedPlates(tmp_path, bytes(32)).all == frozenset()
    assert _dealt_with(SyncFolder(tmp_path)).version == 0


def test_a_member_without_its_folder_of_custody_says_how_it_continues(tmp_path: Path) -> None:
    (tmp_path / "sync").mkdir()
    (tmp_path / "sync" / "member.cbor").touch()
    with pytest.raises(LedgerError, match=r"make the folder .*/store again, and then write its one line"):
        slot_of(tmp_path)
    text, _ = explain(NoHomeError("no unit is here", where=str(tmp_path)), Common(tmp_path))
    assert "this unit's log is gone (reader run continues in a new one)" in text


@pytest.mark.parametrize(
    ("number", "inside", "said"),
    [
        (errno.EACCES, "shut/file", "chmod u+rwX {home}/shut"),
        (errno.ENOTDIR, "file/member.cbor", "{home}/file is where a folder belongs"),
        (errno.ENOENT, "nowhere/cleared", "{home}/nowhere is a link to nothing"),
        (errno.ELOOP, "loop/cleared", "{home}/loop is a link to nothing"),
        (errno.EISDIR, "folder", "a folder is where a file belongs: move it away"),
        (errno.EIO, "sound", "if it comes again, replace the card"),
    ],
)
def test_what_is_in_the_way_in_a_home_is_named_with_what_to_do(
    tmp_path: Path, number: int, inside: str, said: str
) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch(mode=0o600)
    (tmp_path / "sound").touch(mode=0o600)
    (tmp_path / "nowhere").symlink_to("/nonexistent/x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    error = OSError(number, os.strerror(number), str(tmp_path / inside))
    text, _ = explain(error, Common(tmp_path))
    assert said.format(home=tmp_path) in text
    assert ("(" in text) == bool(said)
    assert "(" not in explain(OSError(number, "no", "/elsewhere"), Common(tmp_path))[0]
    assert "(make room" in explain(OSError(errno.ENOSPC, "full"), Common(tmp_path))[0]


def test_a_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "console.sock").mkdir()
    with (
        socket.socket(socket.AF_UNIX) as listener,
        pytest.raises(OSError, match=r"console\.sock"),
        short_name(tmp_path / "console.sock") as name,
    ):
        listener.bind(name)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("sync/unit.key", lambda home: SyncFolder.of(home).unit_key()),
        ("sync/tls.key", lambda home: SyncFolder.of(home).tls_private()),
        ("sync/member.cbor", lambda home: SyncFolder.of(home).member()),
        ("config.toml", load_config),
    ],
)
def test_a_file_that_the_card_does_not_give_is_named_and_no_one_is_sent_to_remove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: Callable[[Path], object]
) -> None:
    """The words for a damaged key were "remove it and enroll again"; of the settings, no file was named."""
    home = tmp_path / "home"
    prepare_home(home)
    SyncFolder.of(home).make()
    SyncFolder.of(home).unit_key()
    enroll(home).tls_private()
    real = files.open_evidence

    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    def opened(one: Path, *, follow: bool = False) -> Any:
        return Failing() if one == home / name else real(one, follow=follow)

    monkeypatch.setattr(files, "open_evidence", opened)
    with pytest.raises((NotEnrolledError, OSError)) as caught:
        read(home)
    said = str(caught.value)
    assert name.rpartition("/")[2] in said
    assert "Input/output error" in said
    assert "remove" not in said
    assert "enroll again" not in said
