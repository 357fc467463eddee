"""A hot list on disk: entries are found by key, the file is sealed, damaged or foreign files are refused."""

from __future__ import annotations

import gc
import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import files, hot_list_file
from storage.envelope import decode, encode
from storage.errors import RecordError, SealError
from storage.hot_list_file import (
    MAGIC,
    Collected,
    HotListFile,
    list_key,
    seal,
    unseal,
    write_list,
    write_sorted,
)

KEY = list_key(bytes(32))
PAIRS = [(number * 7 % 1000, f"entry {number} 7XKR{number:03}".encode()) for number in range(1000)]


def made(tmp_path: Path, pairs: list[tuple[int, bytes]] | None = None, name: str = "doj") -> Path:
    path = tmp_path / "doj.list"
    write_list(path, KEY, name, {"sequence": 3}, PAIRS if pairs is None else pairs)
    return path


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.binary(max_size=20)), max_size=600))
def test_every_entry_is_found_under_its_key_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, bytes]]
) -> None:
    held = HotListFile(made(tmp_path_factory.mktemp("list"), pairs), KEY, "doj")
    assert held.count == len(pairs)
    wanted: dict[int, list[bytes]] = {}
    for key, entry in pairs:
        wanted.setdefault(key, []).append(entry)
    for key, entries in wanted.items():
        assert key in held
        assert sorted(held.under(key)) == sorted(entries)
    for key in {0, 1, 1 << 63, (1 << 64) - 1} - set(wanted):
        assert key not in held
        assert list(held.under(key)) == []
    assert sorted(held.entries()) == sorted(pairs)
    held.close()


@pytest.mark.parametrize(("run", "more"), [(1, False), (9, False), (10, False), (11, True), (40, True)])
@pytest.mark.parametrize("before", [0, 1, 5, 9, 10, 11])
def test_a_key_with_more_entries_than_so_many_is_found_wherever_it_is(
    tmp_path: Path, run: int, more: bool, before: int
) -> None:
    pairs = [*((number, b"x") for number in range(before)), *((500, b"y") for _ in range(run)), (900, b"z")]
    held = HotListFile(made(tmp_path, pairs), KEY, "doj")
    assert bool(list(held.keys_over(10))) == more
    held.close()


def test_nothing_of_a_list_is_in_clear(tmp_path: Path) -> None:
    path = made(tmp_path)
    data = path.read_bytes()
    assert b"7XKR" not in data
    assert b"sequence" not in data
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_list_says_what_was_written_beside_it(tmp_path: Path) -> None:
    assert HotListFile(made(tmp_path), KEY, "doj").facts == {"sequence": 3}


@pytest.mark.parametrize("at", [len(MAGIC) + 10, len(MAGIC) + 100, -20])
def test_a_changed_byte_is_refused(tmp_path: Path, at: int) -> None:
    path = made(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(SealError, match="does not open"):
        list(HotListFile(path, KEY, "doj").entries())


def test_a_list_of_another_name_log_or_form_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path)
    with pytest.raises(SealError):
        HotListFile(path, KEY, "dmv")
    with pytest.raises(SealError):
        HotListFile(path, list_key(bytes(31) + b"\x01"), "doj")
    path.write_bytes(b"something else")
    with pytest.raises(RecordError, match="is not a hot list"):
        HotListFile(path, KEY, "doj")


def test_a_file_without_end_is_refused_unread(tmp_path: Path) -> None:
    path = made(tmp_path)
    os.truncate(path, 2 << 30)
    with pytest.raises(RecordError, match="is over"):
        HotListFile(path, KEY, "doj")


def test_a_list_is_replaced_whole_and_the_old_one_reads_on(tmp_path: Path) -> None:
    held = HotListFile(made(tmp_path), KEY, "doj")
    newer = HotListFile(made(tmp_path, [(5, b"only")]), KEY, "doj")
    assert list(held.under(7)) == [PAIRS[1][1]]
    assert list(newer.under(5)) == [b"only"]
    assert [path.name for path in tmp_path.iterdir()] == ["doj.list"]


def test_a_list_that_is_replaced_lets_its_file_go(tmp_path: Path) -> None:
    """A run of weeks goes through hundreds of versions."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        assert list(HotListFile(made(tmp_path, [(number, b"only")]), KEY, "doj").under(number))
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def sections(data: bytes) -> list[bytes]:
    """The sections of a file after its magic, split by their lengths."""
    found, at = [], 23
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def test_a_file_has_the_sections_that_its_page_describes(tmp_path: Path) -> None:
    """Facts, keys, and blocks of 256 entries: numbered from 2, each entry after its length."""
    data = made(tmp_path, [(number, b"x" * (number % 3)) for number in reversed(range(257))]).read_bytes()
    assert data[:23] == b"alpr-reader hot list 1\n"
    head, keys, first, second = (unseal(KEY, "doj", number, one) for number, one in enumerate(sections(data)))
    assert decode(head) == [{"sequence": 3}, 257, 256]
    assert struct.unpack("<257Q", keys) == tuple(range(257))
    assert first.startswith(bytes([0, 0, 0, 0, 0, 0, 0, 1]) + b"x" + bytes([0, 0, 0, 2]) + b"xx")
    assert second == bytes([0, 0, 0, 1]) + b"x"


def test_a_count_that_is_not_that_of_the_entries_leaves_the_list_that_was_there(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()

    def refuse() -> None:
        raise RecordError("no", where="check")

    for count in (0, 2):
        with pytest.raises(RecordError, match=f"hot list doj: 1 entries where the header says {count}"):
            write_sorted(path, KEY, "doj", {}, count, [(1, b"a")])
    with pytest.raises(RecordError, match="no"):
        write_sorted(path, KEY, "doj", {}, 1, [(1, b"a")], check=refuse)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["doj.list"]


def test_a_list_is_synced_before_its_name_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(files, "sync_file", lambda _descriptor: steps.append("content"))
    monkeypatch.setattr(files, "sync_dir", lambda folder: steps.append(folder.name))
    path = made(tmp_path, [])
    assert steps == ["content", tmp_path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_entries_are_collected_by_their_keys_and_those_of_one_key_as_they_came() -> None:
    held = Collected([(9, b"a"), (1, b"b"), (9, b""), (1, b"cc")])
    assert (len(held), list(held)) == (4, [(1, b"b"), (1, b"cc"), (9, b"a"), (9, b"")])
    assert list(Collected([])) == []


def test_a_list_holds_as_many_bytes_as_a_file_may_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hot_list_file.MAX_FILE_BYTES == 1 << 30
    monkeypatch.setattr(hot_list_file, "MAX_FILE_BYTES", 4)
    assert len(Collected([(1, b"ab"), (2, b"cd")])) == 2
    with pytest.raises(RecordError, match="holds over 4 bytes"):
        Collected([(1, b"ab"), (2, b"cde")])
    path = tmp_path / "x.list"
    monkeypatch.setattr(hot_list_file, "MAX_FILE_BYTES", 1 << 30)
    write_list(path, KEY, "doj", {}, [(1, b"a")])
    size = path.stat().st_size
    monkeypatch.setattr(hot_list_file, "MAX_FILE_BYTES", size)
    HotListFile(path, KEY, "doj").close()
    monkeypatch.setattr(hot_list_file, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(RecordError, match=f"is over {size - 1} bytes"):
        HotListFile(path, KEY, "doj")


def test_a_section_longer_than_any_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.list"
    path.write_bytes(MAGIC + struct.pack(">I", (1 << 30) + 1))
    with pytest.raises(RecordError, match="a section is too long"):
        HotListFile(path, KEY, "doj")
    path.write_bytes(MAGIC + struct.pack(">I", 1 << 30))
    with pytest.raises(SealError, match="does not open"):
        HotListFile(path, KEY, "doj")


def test_a_file_with_another_number_of_keys_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.list"
    parts = (seal(KEY, "doj", 0, encode([{}, 2, 256])), seal(KEY, "doj", 1, bytes(8)))
    path.write_bytes(MAGIC + b"".join(struct.pack(">I", len(one)) + one for one in parts))
    with pytest.raises(RecordError, match="does not hold as many keys as it says"):
        HotListFile(path, KEY, "doj")


def test_a_list_that_another_one_replaces_while_it_is_opened_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = made(tmp_path), hot_list_file.unseal

    def replaced(key: bytes, name: str, part: int, stored: bytes) -> bytes:
        if part == 0:
            made(tmp_path, PAIRS[:300])
        return opened(key, name, part, stored)

    monkeypatch.setattr(hot_list_file, "unseal", replaced)
    held = HotListFile(path, KEY, "doj")
    assert sorted(held.entries()) == sorted(PAIRS)
    held.close()
