"""Where a home is, what it lacks, and which process may write to it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files
from storage.checkpoint import NoteKey
from storage.errors import DamagedError, HomeLockedError, LedgerError, NoHomeError, NotOwnerError
from storage.home import Home, HomeLock, need_own, owner_of, renew_lock
from storage.opening import erase_keys_aside
from storage.slot import MAGIC, SLOT_BYTES


@pytest.fixture
def bare(tmp_path: Path) -> Home:
    (tmp_path / "store").mkdir()
    return Home(tmp_path)


def test_a_home_is_its_folder_or_the_folder_of_its_ledger(tmp_path: Path) -> None:
    assert Home(tmp_path).folder == tmp_path / "store"
    (tmp_path / "ledger.sqlite3").touch()
    assert Home(tmp_path).folder == tmp_path
    (tmp_path / "store").mkdir()
    assert Home(tmp_path).folder == tmp_path / "store"


def test_images_without_their_ledger_are_a_damaged_home_and_nothing_is_none(bare: Home) -> None:
    for images in (False, True):
        if images:
            bare.blobs.mkdir()
        assert not bare.is_rest()
        with pytest.raises(NoHomeError, match="no unit is here"):
            bare.need()
    (bare.blobs / "00000001").mkdir()
    assert bare.is_rest()
    with pytest.raises(DamagedError, match="is gone, and sealed images of it are here"):
        bare.need()
    bare.database.touch()
    assert (bare.exists(), bare.is_rest()) == (True, False)
    bare.need()


@pytest.mark.parametrize(
    ("data", "error"),
    [(None, "cannot be read: No such file"), (b"\xff", "is not text"), (b" \n", "is empty")],
)
def test_a_slot_uri_that_says_nothing_is_named_with_its_cure(
    bare: Home, data: bytes | None, error: str
) -> None:
    if data is not None:
        bare.slot_uri.write_bytes(data)
    with pytest.raises(LedgerError, match=error) as refused:
        bare.read_slot_uri()
    assert refused.value.cure.startswith("write its one line again")
    bare.slot_uri.unlink(missing_ok=True)
    bare.slot_uri.mkdir()
    with pytest.raises(LedgerError, match="is not a plain file") as refused:
        bare.read_slot_uri()
    assert refused.value.cure.startswith("write its one line again")
    bare.slot_uri.rmdir()
    bare.slot_uri.write_text(" file:slot\n")
    assert bare.read_slot_uri() == "file:slot"
    bare.slot_uri.write_text("f" * 4096)
    assert len(bare.read_slot_uri()) == 4096
    bare.slot_uri.write_text("f" * 4097)
    with pytest.raises(LedgerError, match="is larger than 4096 bytes"):
        bare.read_slot_uri()


def test_what_may_hold_a_key_is_erased_and_nothing_else(bare: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(bytes(SLOT_BYTES))
    (bare.folder / "led").symlink_to(elsewhere)
    (bare.folder / "slot.new").write_bytes(MAGIC + b"cut")
    for name, content in {"slot": b"cut", "other": bytes(SLOT_BYTES), "draft": MAGIC + b"cut"}.items():
        (bare.folder / name).write_bytes(content)
    bare.database.write_bytes(b"SQLite format 3")
    bare.slot_uri.write_text("file:ledger.sqlite3")  # a URI that names evidence
    assert bare.file_slots() == ["slot", *bare.file_slots()[1:]]
    bare.erase_file_slots()
    assert bare.file_slots() == []
    assert {one.name for one in bare.folder.iterdir()} == {"led", "ledger.sqlite3", "slot.uri"}
    assert elsewhere.exists()
    (bare.folder / "slot").mkdir()
    bare.erase_file_slots()
    assert Home(tmp_path / "none").file_slots() == []


def test_a_key_is_erased_whatever_else_of_its_folder_fails(
    bare: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger is set aside if the card fails at it; once, its key then stayed without a warning."""
    real = Path.open

    def fails(path: Path, *args: Any, **named: Any) -> Any:
        if path.name == "ledger.sqlite3":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *args, **named)

    bare.database.write_bytes(b"SQLite format 3")
    (bare.folder / "slot").write_bytes(bytes(SLOT_BYTES))
    monkeypatch.setattr(Path, "open", fails)
    assert bare.file_slots() == ["slot"]
    bare.erase_file_slots()
    assert not (bare.folder / "slot").exists()


def test_each_ledger_that_was_set_aside_loses_its_key_though_one_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = [tmp_path / f"damaged-{number}" / "store" / "slot" for number in (1, 2, 3)]
    for one in slots:
        one.parent.mkdir(parents=True)
        one.write_bytes(bytes(SLOT_BYTES))
    real = files.erase

    def erase(path: Path) -> None:
        if path == slots[1]:  # as if it belonged to another user
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        real(path)

    monkeypatch.setattr(files, "erase", erase)
    with pytest.raises(PermissionError, match="damaged-2"):
        erase_keys_aside(Home(tmp_path))
    assert [one.exists() for one in slots] == [False, True, False]


def test_a_public_key_is_read_or_its_file_named(bare: Home) -> None:
    key = NoteKey("log", Ed25519PrivateKey.generate().public_key())
    for data in (None, b"\xff", b"log+0+A"):
        if data is not None:
            bare.public_key.write_bytes(data)
        with pytest.raises(LedgerError, match=r"log\.pub: cannot be read"):
            bare.read_public_key()
    bare.public_key.write_text(key.text() + "\n")
    assert bare.read_public_key().text() == key.text()


def test_one_writer_holds_a_home_and_lets_it_go(bare: Home) -> None:
    assert not bare.is_written()  # no lock yet
    lock = HomeLock(bare)
    assert bare.is_written()
    with pytest.raises(HomeLockedError, match="another process writes this home"):
        HomeLock(bare)
    lock.release()
    assert not bare.is_written()
    HomeLock(bare).release()
    assert (bare.folder / "lock").stat().st_mode & 0o777 == 0o600


def test_only_a_lock_that_is_held_is_another_process(bare: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS, a database that is open only for reading takes no such lock, so its home never opened."""
    bare.database.write_bytes(b"SQLite")
    real, none = fcntl.flock, [errno.EBADF]

    def on_nfs(descriptor: int, operation: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(none[0], os.strerror(none[0]))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", on_nfs)
    HomeLock(bare).release()
    none[0] = errno.EWOULDBLOCK
    with pytest.raises(HomeLockedError):
        HomeLock(bare)

    def without(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(OSError, match=r"cannot be locked: No locks available.*lock"):
        HomeLock(bare)


def test_a_lock_file_that_is_removed_under_its_writer_lets_no_second_one_in(bare: Home) -> None:
    """Two processes would write to one log."""
    bare.database.write_bytes(b"SQLite")
    lock = HomeLock(bare)
    (bare.folder / "lock").unlink()
    for _ in range(2):  # without a lock file, and with the next writer's
        assert bare.is_written()
        with pytest.raises(HomeLockedError, match="another process writes this home"):
            HomeLock(bare)
    assert not renew_lock(bare)
    lock.release()
    assert not bare.is_written()
    HomeLock(bare).release()


@pytest.mark.parametrize(
    ("caller", "owner", "refused"), [(0, 1234, True), (0, 0, False), (1234, 1234, False), (1234, 0, False)]
)
def test_root_writes_no_home_of_another_user(
    bare: Home, monkeypatch: pytest.MonkeyPatch, caller: int, owner: int, refused: bool
) -> None:
    class Owned(type(bare.root)):  # type: ignore[misc]
        def stat(self, **words: bool) -> os.stat_result:
            if str(self) != str(bare.root):
                return cast(os.stat_result, super().stat(**words))
            return os.stat_result((0o40700, 0, 0, 1, owner, 0, 0, 0, 0, 0))

    monkeypatch.setattr(os, "geteuid", lambda: caller)
    root = Owned(bare.root)
    if not refused:
        need_own(root)
        return
    with pytest.raises(NotOwnerError, match="belongs to #1234, and root would leave files"):
        need_own(root)
    assert owner_of(root) == "#1234"
    with pytest.raises(NotOwnerError):
        HomeLock(Home(root))
    assert not bare.is_written()
