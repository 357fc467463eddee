"""One forged row or file for each finding of `verify`: what anyone who can write the card can change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attacked_unit import SQL, Unit, said
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.audit_records import Gap
from storage.blobs import MAX_BLOB_BYTES
from storage.checkpoint import NoteKey
from storage.database import MOST_BYTES
from storage.findings import MAX_FINDINGS
from storage.home import Home
from storage.record_base import KeyClass
from storage.store import MOST_STRAYS
from storage.verify import verify_home


def run(sql: str, *values: object) -> SQL:
    return lambda database: database.execute(sql, values)


ROWS = [
    pytest.param(run("INSERT INTO elements VALUES (?, 'more', x'00')", 1 << 62),
                 "element without a record", id="an element at 2^62"),
    pytest.param(run("INSERT INTO elements VALUES (?, 'more', x'00')", (1 << 63) - 1),
                 "element without a record", id="an element at the last number there is"),
    pytest.param(run("INSERT INTO elements VALUES (-1, 'more', x'00')"),
                 "element without a record", id="an element at a negative number"),
    pytest.param(run("INSERT INTO elements VALUES (-9223372036854775808, 'more', x'00')"),
                 "element without a record", id="an element at the first number there is"),
    pytest.param(run("INSERT INTO leaves SELECT -1, epoch, leaf, hash FROM leaves WHERE sequence = 1"),
                 "missing: record -1 follows", id="a record at a negative number"),
    pytest.param(run("INSERT INTO leaves SELECT ?, 1, leaf, hash FROM leaves WHERE sequence = 9", 1 << 62),
                 "follows", id="a record at 2^62"),
    pytest.param(run("INSERT INTO nodes VALUES (?, 0, zeroblob(32))", 1 << 62),
                 "cached tree hash is wrong", id="a tree hash at a level without end"),
    pytest.param(run("INSERT INTO nodes VALUES (8, -1, zeroblob(32))"),
                 "cached tree hash is wrong", id="a tree hash at a negative place"),
    pytest.param(run("INSERT INTO nodes VALUES (4, 0, zeroblob(32))"),
                 "cached tree hash is wrong", id="a tree hash at a level that is not kept"),
    pytest.param(run("DELETE FROM nodes"), "0 cached tree hashes, not 1", id="no tree hash"),
    pytest.param(run("UPDATE anchors SET size = size - 1"),
                 "stored under the wrong size", id="a co-signed checkpoint under another size"),
    pytest.param(run("UPDATE anchors SET note = (SELECT note FROM head)"),
                 "is not co-signed by", id="the unit's own head filed as co-signed"),
    pytest.param(run("INSERT INTO anchors VALUES (-1, 'nothing')"),
                 "not a signed note", id="a checkpoint that is none, at a negative size"),
    pytest.param(run("UPDATE head SET note = (SELECT note FROM anchors)"),
                 "head: signs 19 records, but the log has 280", id="an older head, co-signed, for newest"),
    pytest.param(run("UPDATE leaves SET epoch = epoch + 1 WHERE sequence = 9"),
                 "cached epoch or hash", id="a cached epoch"),
    pytest.param(run("DELETE FROM state"), "the state record is missing", id="no state"),
    pytest.param(run("CREATE VIEW more AS SELECT 1"), "tables differ", id="a view"),
    pytest.param(run("CREATE TRIGGER more AFTER INSERT ON leaves BEGIN SELECT 1; END"),
                 "tables differ", id="a trigger"),
    pytest.param(run("DELETE FROM elements WHERE name = 'entry' AND sequence = 0"),
                 "its entry is missing", id="an open record without its entry"),
    pytest.param(run("DELETE FROM elements WHERE name = 'keyring'"), "is missing", id="no keyring"),
    pytest.param(run("DELETE FROM elements WHERE name = 'wrap'"), "is missing", id="no wrapped epoch keys"),
    pytest.param(run("UPDATE elements SET stored = x'00' WHERE name = 'text'"),
                 "was altered: its SHA-256", id="another sealed text"),
    pytest.param(run("UPDATE elements SET stored = x'00' WHERE name = 'wrap'"),
                 "was altered: its SHA-256", id="other wrapped epoch keys"),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "word"), ROWS)
def test_every_changed_row_is_found(unit: Unit, attack: SQL, word: str) -> None:
    unit.sql(attack)
    assert any(word in line for line in said(unit.check())), said(unit.check())


def test_a_row_beyond_all_bounds_ends_the_check_with_a_finding_and_not_the_process(unit: Unit) -> None:
    """The limit is on the length, so a zeroblob, which takes no room, counts too."""
    unit.sql(run("INSERT INTO elements VALUES (1, 'more', zeroblob(?))", MOST_BYTES + 1))
    assert any("cannot be read" in line for line in said(unit.check()))


def put(name: str, data: bytes = b"x") -> Callable[[Path], object]:
    def attack(store: Path) -> None:
        path = store / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)

    return attack


def sparse(name: str, size: int = 60 << 30) -> Callable[[Path], object]:
    def attack(store: Path) -> None:
        with (store / name).open("r+b") as file:
            file.truncate(size)

    return attack


def image_of(store: Path) -> Path:
    return next(path for path in sorted((store / "blobs").rglob("*")) if path.is_file())


def grown_image(store: Path) -> None:
    os.truncate(image_of(store), MAX_BLOB_BYTES + 1)


def linked_image(store: Path) -> None:
    path = image_of(store)
    path.rename(store.parent / "elsewhere")
    path.symlink_to(store.parent / "elsewhere")


def miscounted_pages(store: Path) -> None:
    """Change the count of free pages in the file's header (sqlite.org/fileformat.html, 1.3.10)."""
    with (store / "ledger.sqlite3").open("r+b") as file:
        file.seek(36)
        file.write((9).to_bytes(4, "big"))


def renamed_key(store: Path) -> None:
    key = NoteKey.parse((store / "log.pub").read_text())
    (store / "log.pub").write_text(NoteKey("alpr.example/another", key.public).text())


def many_set_aside(store: Path) -> None:
    for number in range(MOST_STRAYS + 1):
        put(f"strays/00000003-70/{number:064x}")(store)


FILES = [
    pytest.param(miscounted_pages, "database damaged", id="a wrong count of free pages"),
    pytest.param(renamed_key, "the key's name is not that of its log", id="a public key under another name"),
    pytest.param(many_set_aside, "images that no record names, set aside at a start", id="many set aside"),
    pytest.param(put("notes.txt"), "notes.txt: does not belong", id="a file that belongs to nothing"),
    pytest.param(put("more/x"), "more: does not belong", id="a folder that belongs to nothing"),
    pytest.param(put("blobs/readme"), "does not belong among the blobs", id="a file among the epochs"),
    pytest.param(put("blobs/1/x"), "does not belong among the blobs", id="an epoch under another name"),
    pytest.param(lambda s: (s / "blobs/00000003/more").mkdir(), "is not a file", id="a folder for an image"),
    pytest.param(linked_image, "is not a file", id="an image that is a link"),
    pytest.param(lambda s: (s / "door.sock").symlink_to("/dev/null"), "does not belong", id="a link"),
    pytest.param(lambda s: (s / "strays").write_bytes(b""), "does not belong", id="a file for a folder"),
    pytest.param(lambda s: shutil.rmtree(s / "blobs"), "blobs", id="no images at all"),
    pytest.param(sparse("log.pub"), "is larger than", id="a public key of 60 GB"),
    pytest.param(sparse("slot.uri"), "is larger than", id="a slot's name of 60 GB"),
    pytest.param(grown_image, "is larger than", id="an image of 64 MB"),
    pytest.param(put("log.pub", b"\xff"), "cannot be read", id="a public key that is not text"),
    pytest.param(put("slot.uri", b"here"), "names no slot", id="a slot's name that is none"),
    pytest.param(put("slot.uri", b"file:gone"), "the file gone is missing", id="a file slot that is gone"),
    pytest.param(lambda s: (s / "slot.uri").unlink(), "slot.uri: ", id="no name of a slot"),
    pytest.param(put("strays/00000009-70/" + "ab" * 32), None, id="one image set aside"),
]


@pytest.mark.parametrize(("attack", "word"), FILES)
def test_every_foreign_missing_or_endless_file_is_found(
    unit: Unit, attack: Callable[[Path], object], word: str | None
) -> None:
    attack(unit.home / "store")
    report = unit.check()
    if word is None:
        assert report.ok
        assert any("of a power cut" in note for note in report.notes)
    else:
        assert any(word in line for line in said(report)), said(report)


def test_a_log_under_another_key_than_the_one_given_is_found(unit: Unit) -> None:
    stranger = NoteKey("x", Ed25519PrivateKey.generate().public_key())
    report = verify_home(Home(unit.home), stranger)
    assert "log.pub: is not the key that was given" in said(report)


def strays(unit: Unit, epoch: int, count: int) -> None:
    folder = unit.home / "store" / "blobs" / f"{epoch:08d}"
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:064x}").write_bytes(b"sealed")


def newest_epoch(unit: Unit) -> int:
    return max(int(path.name) for path in (unit.home / "store" / "blobs").iterdir())


@pytest.mark.parametrize(
    ("ahead", "count", "cut"),
    [
        pytest.param(0, MOST_STRAYS, False, id="in the running epoch, as one append leaves them"),
        pytest.param(0, MOST_STRAYS + 1, True, id="one more in the running epoch"),
        pytest.param("next", MOST_STRAYS, False, id="in the epoch that would be opened next"),
        pytest.param("next", MOST_STRAYS + 1, True, id="one more in the epoch that would be opened next"),
        pytest.param("beyond", 1, True, id="one in an epoch that cannot have been opened"),
        pytest.param("ended", 1, True, id="one in an epoch that had ended"),
    ],
)
def test_images_without_a_record_are_evidence_of_a_cut_beyond_what_one_append_leaves(
    unit: Unit, ahead: object, count: int, cut: bool
) -> None:
    ledger = unit.open()
    following = ledger.store.book.next_epoch()
    ended = next(one.epoch for one in ledger.store.book.epochs.values() if one.key_class is KeyClass.READ)
    ledger.append(Gap(reason="test", from_us=1, to_us=1, lost=0))
    ledger.close()
    epoch = {"next": following, "beyond": following + 1, "ended": ended}.get(str(ahead), newest_epoch(unit))
    strays(unit, epoch, count)
    report = unit.check()
    assert report.ok is not cut, said(report)
    again = unit.open()
    incidents = again.status().incidents
    again.close()
    if ahead == "ended":  # only verify looks: a start does not read the images of every epoch
        assert incidents == 0
        return
    assert incidents == int(cut)
    kept = list((unit.home / "store" / "strays").rglob("0*" * 1))
    assert sum(path.is_file() for path in kept) == count
    assert unit.check().ok is not (count > MOST_STRAYS)
    assert not (unit.home / "store" / "blobs" / f"{epoch:08d}" / f"{0:064x}").exists()


def test_more_findings_than_a_person_reads_are_cut_off_and_still_wrong(unit: Unit) -> None:
    unit.sql(run("UPDATE leaves SET hash = zeroblob(32)"))
    report = unit.check()
    assert len(report.findings) == MAX_FINDINGS
    assert not report.ok
