"""Files that survive a power cut: content is synced before its name, and each refusal names the file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hw.errors import SlotFailedError
from hw.secure_slot import FileSlot
from storage import files
from storage.errors import LedgerError, StoreFullError
from storage.hot_list_file import HotListFile, write_list


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps in order: content synced (sync NAME, system NAME) and renamed (NAME > NAME)."""
    seen: list[str] = []

    def named(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def sync_system(descriptor: int) -> None:
        seen.append(f"system {named(descriptor)}")

    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        seen.append(f"{path.name} > {target.name}")
        return real(path, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(f"sync {named(descriptor)}"))
    monkeypatch.setattr(files, "sync_system", sync_system)
    monkeypatch.setattr(Path, "replace", replace)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def left_open(folder: Path) -> list[str]:
    """The files in a folder that this process has open."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile by another thread
            found.append(str(one.readlink()))
    return [one for one in found if one.startswith(str(folder))]


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond this size; Python ignores SIGXFSZ, so the write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_synced_before_its_name_and_before_its_folder(folder: Path, steps: list[str]) -> None:
    path = folder / "one"
    (folder / "one.new").write_bytes(b"left by a cut, and longer than what follows")
    files.replace(path, b"content")
    assert steps == ["sync one.new", "one.new > one", "sync folder"]
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files.replace(path, b"quick", lasts=False)
    assert (path.read_bytes(), steps[3:]) == (b"quick", ["one.new > one"])
    assert left_open(folder) == []


def test_a_draft_that_finds_no_room_takes_none(folder: Path) -> None:
    """Once, an update too large for the inbox filled the disk with its draft, and no read was stored."""
    path = folder / "one"
    files.replace(path, b"before")
    with largest_file(4096), pytest.raises(OSError, match="File too large"):
        files.replace(path, bytes(8192))
    assert path.read_bytes() == b"before"
    assert [one.name for one in folder.iterdir()] == ["one"]


def test_a_slot_whose_draft_is_cut_off_keeps_its_key_and_no_file_open(folder: Path) -> None:
    slot = FileSlot(folder)
    slot.write(b"the key")
    with largest_file(2), pytest.raises(SlotFailedError, match="File too large"):
        slot.write(b"the next key")
    assert slot.read() == b"the key"
    assert left_open(folder) == []
    slot.write(b"the next key")
    assert slot.read() == b"the next key"


def test_two_who_replace_a_file_at_once_both_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including two processes, each of which might write to the other's draft."""
    path, write, done = folder / "one", files.write_new, threading.Event()
    others: list[Future[None]] = []

    def second() -> None:
        files.replace(path, b"second")
        done.set()

    def slow(draft: Path, data: bytes, *, lasts: bool = True) -> None:
        write(draft, data, lasts=lasts)
        if not others:
            others.append(beside.submit(second))
            done.wait(0.5)  # without a lock, the other one is faster

    monkeypatch.setattr(files, "write_new", slow)
    with ThreadPoolExecutor(1) as beside:
        files.replace(path, b"first")
        others[0].result()
    assert path.read_bytes() == b"second"
    assert list(folder.iterdir()) == [path]


def test_what_is_written_first_stays_and_an_empty_file_is_nothing(folder: Path) -> None:
    path = folder / "one"
    path.touch()
    files.write_first(path, b"first")
    files.write_first(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left_open(folder) == []


def test_what_is_there_already_is_durable_too_although_its_writer_failed_before_the_sync(
    folder: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try uses that key. If a power cut removed its name, all that it sealed would be lost."""
    real = os.open

    def refused(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY and (folder / "one").exists():
            raise OSError(24, "Too many open files")
        return real(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(OSError, match="Too many"):
            files.write_first(folder / "one", b"first")
    steps.clear()
    files.write_first(folder / "one", b"second")
    assert steps == ["sync folder"]
    assert (folder / "one").read_bytes() == b"first"


def test_a_new_file_takes_no_name_that_is_used_and_all_of_long_content(
    folder: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))  # as a signal may
    files.write_new(folder / "one", b"0123456789")
    assert (folder / "one").read_bytes() == b"0123456789"
    with pytest.raises(FileExistsError):
        files.write_new(folder / "one", b"x")
    files.write_new(folder / "two", b"0123456789", lasts=False)
    assert steps == ["sync one"]
    assert left_open(folder) == []


def test_a_folder_is_private_and_its_name_durable_and_one_that_is_there_is_left(
    folder: Path, steps: list[str]
) -> None:
    for _ in range(2):
        files.make_dir(folder / "inner")
    assert steps == ["sync folder"]
    assert stat.S_IMODE((folder / "inner").stat().st_mode) == 0o700


def test_folders_are_made_below_one_that_may_be_written_and_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A founding makes them so; once, this ended a first start."""
    real, synced = files.sync_dir, list[str]()

    def refuse(path: Path) -> None:
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        synced.append(path.name)
        real(path)

    monkeypatch.setattr(files, "sync_dir", refuse)
    files.make_dirs(folder / "home" / "store")
    assert synced == ["home"]
    assert stat.S_IMODE((folder / "home" / "store").stat().st_mode) == 0o700


@pytest.mark.parametrize("make", [files.make_dir, files.make_dirs])
def test_of_two_starts_at_once_neither_fails_by_the_folder_of_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    inner = folder / "inner"
    real = Path.mkdir

    def after_another(path: Path, **how: Any) -> None:
        real(path)
        real(path, **how)

    monkeypatch.setattr(Path, "mkdir", after_another)
    make(inner)
    assert inner.is_dir()


@pytest.mark.parametrize("make", [files.make_dir, files.make_dirs])
def test_a_folder_whose_name_was_not_synced_is_not_taken_for_durable(
    folder: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    def failed(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_dir", failed)
        with pytest.raises(OSError, match="Input/output"):
            make(folder / "inner")
    make(folder / "inner")
    assert steps == ["sync folder"]


@pytest.mark.parametrize("make", [files.make_dir, files.make_dirs])
def test_a_failed_start_leaves_the_folder_that_another_made_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    """Once, it was removed while still empty, just before the other's first file."""
    real = Path.mkdir

    def after_another(path: Path, **how: Any) -> None:
        real(path)
        real(path, **how)

    def failed(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "mkdir", after_another)
    monkeypatch.setattr(files, "sync_dir", failed)
    with pytest.raises(OSError, match="Input/output"):
        make(folder / "inner")
    assert (folder / "inner").is_dir()


@pytest.mark.parametrize("at_once", [True, False])
def test_files_written_together_are_durable_with_their_names(
    folder: Path, steps: list[str], pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    real, out = os.write, list[str]()
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    monkeypatch.setattr(files, "_SYNCFS", at_once)
    monkeypatch.setattr(
        files, "write_out", lambda _descriptor, *, wait: out.append("end" if wait else "begin")
    )
    files.write_at_once([(folder / name, name.encode() * 5) for name in ("one", "two")], folder, pool)
    assert sorted(steps) == (["system folder"] if at_once else ["sync folder", "sync one", "sync two"])
    assert out == (["begin", "begin", "end", "end"] if at_once else [])
    assert [(folder / name).read_bytes() for name in ("one", "two")] == [b"one" * 5, b"two" * 5]
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    with pytest.raises(FileExistsError):
        files.write_at_once([(folder / "one", b"")], folder, pool)
    assert left_open(folder) == []


def test_a_sync_that_fails_in_its_thread_is_the_writers_error(
    folder: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "bad card")

    with monkeypatch.context() as patched:
        patched.setattr(files, "sync_file", fail)
        with pytest.raises(OSError, match="bad card"):
            files.write_together([(folder / "one", b"1")], folder, pool)
        with pytest.raises(OSError, match="bad card"):
            files.write_new(folder / "two", b"2")
    assert left_open(folder) == []


@pytest.mark.parametrize("failing", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_write_out_that_failed_is_an_error_and_one_that_cannot_be_is_none(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    answers = [0, failing, errno.ESPIPE]

    class Library:
        @staticmethod
        def sync_file_range(_descriptor: int, offset: object, length: object, flags: int) -> int:
            assert (getattr(offset, "value", None), getattr(length, "value", None)) == (0, 0)  # all of it
            number = answers.pop(0)
            asked.append((flags, number))
            ctypes.set_errno(number)
            return -1 if number else 0

        @staticmethod
        def syncfs(_descriptor: int) -> int:
            ctypes.set_errno(failing)
            return -1

    monkeypatch.setattr(files, "_LIBC", Library)
    files.write_out(1, wait=False)
    with pytest.raises(OSError, match=os.strerror(failing)):
        files.write_out(1, wait=True)
    files.write_out(1, wait=True)
    assert asked == [(2, 0), (7, failing), (7, errno.ESPIPE)]
    with pytest.raises(OSError, match=os.strerror(failing)):
        files.sync_system(1)


@pytest.mark.parametrize(
    ("release", "platform", "newer"),
    [("5.8.0-1", "linux", True), ("5.7.9", "linux", False), ("6.1", "linux", True), ("4.19", "linux", False),
     ("5.8", "darwin", False), ("odd", "linux", False)],
)  # fmt: skip
def test_syncfs_reports_errors_from_linux_5_8_on(
    release: str, platform: str, newer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("s", "n", release, "v", "m")))
    monkeypatch.setattr(sys, "platform", platform)
    assert files._kernel_is((5, 8)) is newer


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True), (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EIO, "full"), False),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("database is locked"), False), (sqlite3.IntegrityError("full"), False),
    ],
)  # fmt: skip
def test_a_full_disk_is_distinguished_from_every_other_error(
    error: Exception, full: bool, tmp_path: Path
) -> None:
    assert files.is_full(error) is full
    with pytest.raises(StoreFullError if full else type(error)) as caught, files.name_full_disk(tmp_path):
        raise error
    assert (caught.value is error) is not full
    if full:
        assert "the disk is full: nothing was stored" in str(caught.value)


def test_what_is_read_is_a_plain_file_of_at_most_the_limit(folder: Path) -> None:
    plain, link, pipe = folder / "plain", folder / "link", folder / "pipe"
    plain.write_bytes(b"12345")
    link.symlink_to(plain)
    os.mkfifo(pipe)
    assert files.read_bounded(plain, 5) == b"12345"
    with pytest.raises(LedgerError, match="larger than 4 bytes"):
        files.read_bounded(plain, 4)
    for odd in (link, pipe, folder):
        with pytest.raises(LedgerError, match="is not a plain file"):
            files.read_bounded(odd, 5)
    with pytest.raises(FileNotFoundError):
        files.read_bounded(folder / "none", 5)
    with files.open_evidence(link, follow=True) as file:
        assert file.read() == b"12345"
    with pytest.raises(LedgerError, match="is not a plain file"):
        files.open_evidence(pipe, follow=True)
    files.demand_plain(plain, folder / "none")
    for odd, cure in ((link, "put the file itself"), (pipe, "move it away"), (folder, "move it away")):
        with pytest.raises(LedgerError, match=rf"{odd.name}: is not a plain file .{cure}"):
            files.demand_plain(plain, odd)
    assert left_open(folder) == []


def test_what_a_shell_pipes_in_is_read_where_a_person_names_it(folder: Path) -> None:
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, b"piped")
        os.close(write_end)
        with pytest.raises(LedgerError, match="is not a plain file"):
            files.open_evidence(Path(f"/dev/fd/{read_end}"))
        with files.open_evidence(Path(f"/dev/fd/{read_end}"), follow=True) as file:
            assert file.read() == b"piped"
    finally:
        os.close(read_end)


def test_files_are_moved_and_removed_durably_and_counted(
    folder: Path, tmp_path: Path, steps: list[str]
) -> None:
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(name.encode())
    into = tmp_path / "aside" / "deep"
    assert files.move_together(["a", "b"], folder, into) == 2
    made = [f"sync {tmp_path.name}", "sync aside"]  # the name of each new folder
    assert steps == [*made, "a > a", "b > b", "sync deep", "sync aside", "sync folder"]
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
    assert sorted(one.name for one in into.iterdir()) == ["a", "b"]
    assert files.move_together([], folder, into) == 0  # already there
    del steps[:]
    assert files.remove([folder / "c", folder / "none"]) == 2
    assert files.remove_tree(into) == 2
    assert steps == ["sync aside"]
    assert not into.exists()
    assert files.remove_tree(into) == 0
    assert len(steps) == 1


@pytest.mark.parametrize("content", [False, True])
def test_a_folder_in_the_place_of_a_draft_keeps_no_file_from_being_replaced(
    tmp_path: Path, content: bool
) -> None:
    """Once, such a folder beside a slot prevented new keys, so that all purges failed."""
    slot, list_file = FileSlot(tmp_path), tmp_path / "doj.list"
    drafts = ["one.new", "two.new", "slot.new", "doj.list.partial"]
    for name in drafts:
        (tmp_path / name).mkdir()
        if content:
            (tmp_path / name / "kept").touch()
    files.replace(tmp_path / "one", b"1")
    with ThreadPoolExecutor(1) as pool:
        files.replace_together([(tmp_path / "two", b"2")], tmp_path, pool)
    slot.write(b"3")
    write_list(list_file, bytes(32), "doj", {}, [])
    assert [(tmp_path / name).read_bytes() for name in ("one", "two", "slot")] == [b"1", b"2", b"3"]
    assert HotListFile(list_file, bytes(32), "doj").count == 0
    kept = sorted(path.parent.name for path in tmp_path.glob("*/kept"))
    assert kept == (sorted(f"{name}.moved-1" for name in drafts) if content else [])


def test_a_slot_moves_each_folder_in_the_place_of_its_draft_and_says_where_there_are_too_many(
    tmp_path: Path,
) -> None:
    slot = FileSlot(tmp_path)
    for number in range(1, 10):
        (tmp_path / "slot.new" / "kept").mkdir(parents=True)
        slot.write(b"%d" % number)
    (tmp_path / "slot.new" / "kept").mkdir(parents=True)
    with pytest.raises(SlotFailedError, match="cannot be written: Is a directory"):
        slot.write(b"10")
    assert slot.read() == b"9"
    assert len(list(tmp_path.glob("slot.new*/kept"))) == 10
