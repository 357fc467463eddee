"""Key files that a power cut left empty or a disk damaged."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import files
from sync.department.content.key_service import LocalKeyService
from sync.errors import KeyServiceError
from sync.messages import NO_DAY_KEY

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TODAY = 20_000


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[LocalKeyService]:
    service = LocalKeyService(tmp_path, lambda: TODAY * 86_400_000_000)
    yield service
    service.close()


def test_a_damaged_day_key_is_set_aside_and_stops_no_other_day(keys: LocalKeyService, tmp_path: Path) -> None:
    first, second, third = keys.issue_day_keys(TODAY, 3)
    (tmp_path / "day" / f"{TODAY + 1}.key").write_bytes(b"")
    keys.close()
    again = LocalKeyService(tmp_path, lambda: TODAY * 86_400_000_000)
    try:
        assert again._private(third.key_id).curve.name == "secp256r1"
        made = again.issue_day_keys(TODAY, 3)
    finally:
        again.close()
    assert (made[0], made[2]) == (first, third)
    assert made[1].key_id != second.key_id
    assert (tmp_path / "day" / f"{TODAY + 1}.damaged").is_file()


def test_a_day_key_that_was_set_aside_is_destroyed_with_those_of_its_day(tmp_path: Path) -> None:
    """One damaged byte leaves the rest of a private key. Other files in the folder stop nothing."""
    clock = [TODAY]
    keys = LocalKeyService(tmp_path, lambda: clock[0] * 86_400_000_000)
    keys.issue_day_keys(TODAY, 2)
    day = tmp_path / "day"
    whole = (day / f"{TODAY}.key").read_bytes()
    (day / f"{TODAY}.key").write_bytes(b"\x00" + whole[1:])
    keys.issue_day_keys(TODAY, 2)
    assert (day / f"{TODAY}.damaged").read_bytes()[1:] == whole[1:]
    (day / "of the day.key").write_bytes(b"a note")
    assert keys.destroy_day_keys_before(TODAY + 1) == 0
    clock[0] += 367
    assert keys.destroy_day_keys_before(TODAY + 1) == 2
    keys.close()
    assert sorted(path.name for path in day.iterdir()) == [f"{TODAY + 1}.key", "of the day.key"]


def test_a_day_key_that_cannot_be_destroyed_keeps_no_other(tmp_path: Path) -> None:
    clock = [TODAY]
    keys = LocalKeyService(tmp_path, lambda: clock[0] * 86_400_000_000)
    keys.issue_day_keys(TODAY, 3)
    clock[0] += 400
    stuck = tmp_path / "day" / f"{TODAY - 9}.key"
    stuck.mkdir()
    with pytest.raises(KeyServiceError, match=f"day/{TODAY - 9}.key cannot be destroyed"):
        keys.destroy_day_keys_before(TODAY + 2)
    assert sorted((tmp_path / "day").iterdir()) == [stuck, tmp_path / "day" / f"{TODAY + 2}.key"]
    keys.close()


def test_another_key_in_the_place_of_one_that_was_used_is_not_a_day_key(
    keys: LocalKeyService, tmp_path: Path
) -> None:
    """Reads under the first key wait for it and do not count as damaged."""
    first, second = keys.issue_day_keys(TODAY, 2)
    keys._private(first.key_id)
    day = tmp_path / "day"
    (day / f"{TODAY}.key").write_bytes((day / f"{TODAY + 1}.key").read_bytes())
    with pytest.raises(KeyServiceError, match=NO_DAY_KEY):
        keys._private(first.key_id)
    assert keys._private(second.key_id)


def test_an_empty_key_of_today_is_replaced_and_one_of_an_older_day_is_not(
    keys: LocalKeyService, tmp_path: Path
) -> None:
    for day in (TODAY - 1, TODAY):
        (tmp_path / "store" / f"{day}.key").write_bytes(b"")
    assert len(keys._store_key(TODAY, make=True)) == 32
    with pytest.raises(KeyServiceError, match="holds no key"):
        keys._store_key(TODAY - 1, make=False)
    (tmp_path / "store" / f"{TODAY + 1}.key").write_bytes(b"short")
    with pytest.raises(KeyServiceError, match="holds no key"):  # a backup may have it intact
        keys._store_key(TODAY + 1, make=True)
    hold = f"{'0' * 16}-7"
    (tmp_path / "hold" / f"{hold}.key").write_bytes(b"")
    assert len(keys._hold_key(hold, make=True)) == 32


@pytest.mark.parametrize(
    ("content", "there"), [(bytes(32), True), (b"", False), (bytes(31), True), (bytes(33), True)]
)
def test_a_key_file_is_there_for_a_purge_whole_or_not_and_opens_only_whole(
    keys: LocalKeyService, tmp_path: Path, content: bytes, there: bool
) -> None:
    """No new key replaces a damaged one: earlier content would stay unread, and the loss hidden."""
    path = tmp_path / "store" / f"{TODAY}.key"
    assert not keys.has_store_key(TODAY)
    path.write_bytes(content)
    assert keys.has_store_key(TODAY) is there
    if len(content) != 32:
        with pytest.raises(KeyServiceError, match="holds no key"):
            keys.tokens("a search", "8XYZ123", [TODAY])
    path.unlink()
    path.mkdir()  # like a file that the disk cannot read
    assert keys.has_store_key(TODAY)
    with pytest.raises(KeyServiceError, match="cannot be read"):
        keys.tokens("a search", "8XYZ123", [TODAY])
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_bytes(b"no folder")
    with pytest.raises(KeyServiceError, match="cannot be looked for"):
        keys.has_store_key(TODAY)


def test_a_power_cut_while_keys_are_written_leaves_none_under_its_name(
    keys: LocalKeyService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at each sync in turn: an unfinished file has another name, or none is left."""

    def cut(_descriptor: int) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file", cut)
        for make in (
            lambda: keys.issue_day_keys(TODAY, 2),
            lambda: keys._store_key(TODAY, make=True),
            lambda: keys._hold_key(f"{'0' * 16}-7", make=True),
        ):
            with pytest.raises(OSError, match="power cut"):
                make()
    assert not list(tmp_path.glob("*/*.key"))
    assert len(keys.issue_day_keys(TODAY, 2)) == 2
    assert len(keys._store_key(TODAY, make=True)) == 32


def test_a_key_that_a_failed_start_left_is_durable_before_anything_is_sealed_under_it(
    keys: LocalKeyService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder was never synced, so a power cut would remove the key, and with it all that it sealed."""
    hold = f"{'0' * 16}-7"
    for path in (tmp_path / "store" / f"{TODAY}.key", tmp_path / "hold" / f"{hold}.key"):
        path.write_bytes(os.urandom(32))
    synced = list[str]()
    monkeypatch.setattr(files, "sync_dir", lambda path: synced.append(path.name))
    for _ in range(2):
        keys._store_key(TODAY, make=True)
    assert synced == ["store"]  # once a day
    keys._hold_key(hold, make=True)
    assert synced == ["store", "hold"]
    keys._hold_key(hold, make=False)
    assert synced == ["store", "hold"]


class AlmostFull(io.FileIO):
    """A log on a disk with room for `room` bytes: a write is cut short there, and the next one fails."""

    room = 20

    def write(self, data: ReadableBuffer, /) -> int:
        part = bytes(data)[: self.room]
        if not part:
            raise OSError(28, "No space left on device")
        self.room -= len(part)
        return super().write(part)


def put_in_place(keys: LocalKeyService, file: AlmostFull) -> AlmostFull:
    """Let the service write its log to this file."""
    assert keys._log is not None
    keys._log.close()
    keys._log._file = file
    return file


def test_no_key_is_used_by_half_a_line_of_the_log_and_the_next_line_is_whole(
    keys: LocalKeyService, tmp_path: Path
) -> None:
    (first,) = keys.issue_day_keys(TODAY, 1)
    log = put_in_place(keys, AlmostFull(tmp_path / "service.log", "ab"))
    with pytest.raises(OSError, match="No space"):
        keys.tokens("a search", "8XYZ123", [TODAY])
    log.room = 1000
    assert keys.issue_day_keys(TODAY, 1) == (first,)
    issued, half, again = (tmp_path / "service.log").read_bytes().splitlines()
    assert (json.loads(issued)["use"], len(half), json.loads(again)["use"]) == (
        "issue_day_keys", 20, "issue_day_keys",
    )  # fmt: skip


def test_a_line_that_a_power_cut_left_unfinished_is_not_continued(tmp_path: Path) -> None:
    for left, lines in ((b"", 1), (b"whole\n", 2), (b"half", 2)):
        (tmp_path / "service.log").write_bytes(left)
        with contextlib.closing(LocalKeyService(tmp_path, lambda: TODAY * 86_400_000_000)) as service:
            service.tokens("a search", "8XYZ123", [])
        assert len((tmp_path / "service.log").read_text().splitlines()) == lines


def test_a_full_disk_leaves_no_empty_line(keys: LocalKeyService, tmp_path: Path) -> None:
    log = put_in_place(keys, AlmostFull(tmp_path / "service.log", "ab"))
    log.room = 0
    with pytest.raises(OSError, match="No space"):
        keys.tokens("a search", "8XYZ123", [])
    log.room = 1000
    keys.tokens("a search", "8XYZ123", [])
    (line,) = (tmp_path / "service.log").read_text().splitlines()
    assert json.loads(line)["use"] == "tokens"


def test_no_thread_writes_between_the_halves_of_a_line(keys: LocalKeyService, tmp_path: Path) -> None:
    """Searches and parcels use keys at the same time, and once took each other's line for a torn one."""
    asked: list[bool] = []

    class Slow(AlmostFull):
        room = 1000

        def write(self, data: ReadableBuffer, /) -> int:
            asked.append(guard.locked())
            return super().write(data)

    assert keys._log is not None
    guard = keys._log._guard
    put_in_place(keys, Slow(tmp_path / "service.log", "ab"))
    keys.tokens("a search", "8XYZ123", [])
    keys.issue_day_keys(TODAY, 1)  # also while the lock of the keys is held
    assert (asked, guard.locked()) == ([True, True], False)
