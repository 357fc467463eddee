"""A hot list at rest: found by key, sealed whole, damaged or foreign files refused."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import RecordError, SealError
from storage.hot_list_file import MAGIC, HotListFile, list_key, write_list

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
        assert sorted(held.find(key)) == sorted(entries)
    for key in {0, 1, 1 << 63, (1 << 64) - 1} - set(wanted):
        assert key not in held
        assert held.find(key) == []
    assert sorted(held.entries()) == sorted(pairs)
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
    assert held.find(7) == [PAIRS[1][1]]
    assert newer.find(5) == [b"only"]
    assert [path.name for path in tmp_path.iterdir()] == ["doj.list"]


def test_a_list_that_is_replaced_lets_its_file_go(tmp_path: Path) -> None:
    """A run of weeks takes hundreds of versions."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        assert HotListFile(made(tmp_path, [(number, b"only")]), KEY, "doj").find(number)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
