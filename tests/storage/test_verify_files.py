"""The files of a home: which belong there, and how many images without a record a power cut may leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.epochs import EpochFacts, LogFacts
from storage.findings import UnitReport
from storage.home import Home
from storage.keyring import AT_KEK
from storage.log_records import EpochPurged, PurgeIntent
from storage.record_base import ClockState, KeyClass
from storage.verify_files import check_folder, check_images


@pytest.fixture
def bare(tmp_path: Path) -> Home:
    """The folder of a home with its files, all empty except the slot's URI."""
    folder = tmp_path / "store"
    for name in ("blobs", "strays", "demo-people"):
        (folder / name).mkdir(parents=True)
    for name in (
        "ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "log.pub", "slot", "lock", "door.sock",
        "book.snapshot", "log.pub.new", "reserve",
    ):  # fmt: skip
        (folder / name).touch()
    (folder / "slot.uri").write_text("file:slot\n")
    return Home(tmp_path)


def folder_of(home: Home, *, given_up: bool = False) -> tuple[str, list[tuple[str, str]]]:
    report = UnitReport()
    uri = check_folder(home, report, given_up=given_up)
    return uri, [(one.where, one.what) for one in report.findings]


def test_every_file_of_a_ledger_is_in_its_place(bare: Home) -> None:
    assert folder_of(bare) == ("file:slot", [])


@pytest.mark.parametrize("name", ["ledger.sqlite3-journal", "note.txt", "other", "log.pub.old"])
def test_a_file_of_another_name_is_a_finding(bare: Home, name: str) -> None:
    (bare.folder / name).touch()
    assert folder_of(bare)[1] == [(name, "does not belong among the files of a ledger")]


def test_a_folder_for_a_file_a_file_for_a_folder_and_a_link_are_findings(bare: Home) -> None:
    for name in ("lock", "log.pub.new"):
        (bare.folder / name).unlink()
        (bare.folder / name).mkdir()
    (bare.folder / "strays").rmdir()
    (bare.folder / "strays").touch()
    (bare.folder / "door.sock").unlink()
    (bare.folder / "door.sock").symlink_to(bare.folder / "slot")
    assert [one for one, _ in folder_of(bare)[1]] == ["door.sock", "lock", "log.pub.new", "strays"]


def test_a_slot_that_is_a_file_must_be_there_unless_the_log_is_given_up(bare: Home) -> None:
    (bare.folder / "slot").unlink()
    missing = ("slot", "the file slot is missing: nothing that this home holds can be opened again")
    assert folder_of(bare) == ("file:slot", [missing])
    assert folder_of(bare, given_up=True) == ("file:slot", [])
    (bare.folder / "slot").mkdir()
    assert missing in folder_of(bare)[1]


@pytest.mark.parametrize(
    ("uri", "named"),
    [("loopback:/run/chip", True), ("tpm:0x1500016", True), ("file:a/b", False), ("loopback:chip", False),
     ("chip", False)],
)  # fmt: skip
def test_a_slot_is_named_in_one_of_its_forms(bare: Home, uri: str, named: bool) -> None:
    (bare.folder / "slot.uri").write_text(uri)
    (bare.folder / "slot").unlink()
    found, findings = folder_of(bare)
    assert found == uri
    assert ("slot.uri", "names no slot: file:NAME, loopback:/PATH or tpm:INDEX") in findings or named
    assert (findings == []) is named


def test_a_slot_uri_that_cannot_be_read_is_the_finding(bare: Home) -> None:
    (bare.folder / "slot.uri").unlink()
    uri, findings = folder_of(bare)
    assert (uri, findings[0][0]) == ("", "slot.uri")
    assert "cannot be read" in findings[0][1]


def facts(epoch: int, *, closed: bool = False, purged_by: int | None = None) -> EpochFacts:
    return EpochFacts(epoch, KeyClass.READ, 0, AT_KEK, epoch, closed=closed, purged_by=purged_by)


def images(home: Home, epoch: int, count: int) -> list[str]:
    folder = home.blobs / f"{epoch:08d}"
    folder.mkdir()
    names = [f"{at:064x}" for at in range(count)]
    for name in names:
        (folder / name).touch()
    return names


def checked(
    home: Home, book: LogFacts, named: dict[int, set[str]], ahead: int = 0
) -> tuple[list[str], list[str]]:
    report = UnitReport()
    check_images(home, book, named, report, images_ahead=ahead)
    return [f"{one.where}: {one.what}" for one in report.findings], report.notes


STRAYS = "sealed images that no record names"
CUT = "the log was cut short, or they were planted"


@pytest.mark.parametrize(
    ("book", "count", "ahead", "finding"),
    [
        (LogFacts(epochs={1: facts(1)}), 8, 0, False),
        (LogFacts(epochs={1: facts(1)}), 9, 0, True),
        (LogFacts(epochs={1: facts(1)}), 9, 9, False),
        (LogFacts(epochs={1: facts(1)}), 8, 3, False),
        (LogFacts(), 8, 0, False),  # of the next epoch
        (LogFacts(epochs={2: facts(2)}), 1, 0, True),  # of no present or next epoch
        (LogFacts(epochs={1: facts(1, closed=True)}), 1, 0, True),
    ],
)  # fmt: skip
def test_as_many_images_without_a_record_as_a_cut_leaves_are_a_note_and_more_a_finding(
    bare: Home, book: LogFacts, count: int, ahead: int, finding: bool
) -> None:
    images(bare, 1, count)
    findings, notes = checked(bare, book, {}, ahead)
    assert findings == ([f"blobs/00000001: {count} {STRAYS}: {CUT}"] if finding else [])
    note = f"{count} images without a record, as a power cut leaves them, in blobs/00000001"
    assert notes == ([] if finding else [note])


def test_images_of_an_epoch_that_is_being_purged_are_at_work_and_named_ones_are_none(bare: Home) -> None:
    names = images(bare, 1, 3)
    book = LogFacts(epochs={1: facts(1, closed=True)})
    assert checked(bare, book, {1: set(names)}) == ([], [])
    assert len(checked(bare, book, {1: set(names[:2])})[0]) == 1
    going = EpochPurged(epoch=1, key_class=KeyClass.READ, records=1, clause="463.8", reason="x")
    book.pending = (
        5, PurgeIntent(generation=2, epochs=(going,), at_us=1, clock_state=ClockState.UNKNOWN, by="x")
    )  # fmt: skip
    findings, notes = checked(bare, book, {1: set(names[:2])})
    assert (findings, len(notes)) == ([], 1)
    assert notes[0].startswith("1 image without")


def test_what_is_not_a_file_among_the_images_is_a_finding(bare: Home) -> None:
    names = images(bare, 1, 1)
    (bare.blobs / "00000001" / "folder").mkdir()
    (bare.blobs / "00000001" / "link").symlink_to(bare.folder / "slot")
    findings, _ = checked(bare, LogFacts(epochs={1: facts(1)}), {1: {*names, "folder", "link"}})
    assert findings == [f"blobs/00000001/{name}: is not a file" for name in ("folder", "link")]


@pytest.mark.parametrize(("count", "finding"), [(8, False), (9, True)])
def test_images_set_aside_at_a_start_are_a_note_up_to_those_of_a_cut(
    bare: Home, count: int, finding: bool
) -> None:
    folder = bare.strays / "00000001-7"
    folder.mkdir()
    for at in range(count):
        (folder / str(at)).touch()
    findings, notes = checked(bare, LogFacts(), {})
    assert findings == ([f"strays/00000001-7: 9 {STRAYS}, set aside at a start: {CUT}"] if finding else [])
    assert len(notes) == (not finding)
    (bare.folder / "strays").rename(bare.folder / "gone")
    assert checked(bare, LogFacts(), {}) == ([], [])
