"""Attacks on a unit's evidence package by a person with the folder, and by one with the log's key."""

from __future__ import annotations

import html
import os
import string
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import OVERVIEW, PATCH, PLATE, SteppedTime, add_reads, make_read, query_body
from flipped import flip
from unit_packages import Files, export, file_of, folder_of, hold, signed_again, written

from storage import codec, cover_sheet, envelope, evidence
from storage.checkpoint import NoteKey
from storage.door import Door
from storage.errors import RecordError
from storage.ledger import Ledger
from storage.verify_package import LINE_ENDS, MAX_FILE_BYTES, verify_package


def slots_of(text: str) -> bytes:
    """A slot table with a probability of 0.9 for each character."""
    names = [*string.ascii_uppercase, *string.digits, ""]
    rows = [[0.9 if name == one else 0.1 if not name else 0.0 for name in names] for one in text]
    return b"".join(struct.pack("<37f", *row) for row in rows)


@pytest.fixture
def package(ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path) -> Path:
    add_reads(ledger, time, 2)
    read = make_read(time.now().us, slots=slots_of(PLATE))
    sequence = ledger.append_read(read, patch=PATCH, overview=OVERVIEW).sequence
    door.answer("query", query_body(door, ledger))
    return written(export(door, ledger, hold(door, ledger, sequence)), tmp_path / "package")


def test_a_package_is_proven_by_the_key_from_elsewhere(package: Path, ledger: Ledger) -> None:
    report = verify_package(package, ledger.public_key)
    assert report.ok, report.findings
    assert report.records == 1
    cover = (package / "cover.txt").read_text()
    page = (package / "cover.html").read_text()
    for word in (
        PLATE,
        "does not prove that the plate was read right",
        "models (SHA-256): plate-reader 00",
        "software: 0.1.0",
        "clock error: within 0.9 ms, clock disciplined",
        "slot probabilities: 7 0.900 (none 0.100); X 0.900",
        "misread rate of this unit: not known from people",
        "misreads to be expected: 7.0% of its newest 3 reads",
        "query",
        "hold",
        "export",
    ):
        assert word in cover
        assert html.escape(word.partition(": ")[2] or word) in page
    assert "http" not in page  # it loads nothing
    stranger = NoteKey("x", Ed25519PrivateKey.generate().public_key())
    assert not verify_package(package, stranger).ok


def test_a_package_under_another_key_than_the_one_given_is_named(package: Path) -> None:
    stranger = NoteKey("x", Ed25519PrivateKey.generate().public_key())
    found = verify_package(package, stranger).findings
    assert found[0].what == "is not the key that was given"


@pytest.mark.one_python
def test_any_changed_added_or_removed_file_of_a_package_is_found(package: Path, ledger: Ledger) -> None:
    for path in sorted(package.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            path.write_bytes(flip(data, -2))
            assert not verify_package(package, ledger.public_key).ok, path.name
            path.unlink()
            assert not verify_package(package, ledger.public_key).ok, path.name
            path.write_bytes(data)
    (package / "note.txt").write_text("planted")
    assert not verify_package(package, ledger.public_key).ok


def another_plate(files: Files) -> None:
    name = f"{folder_of(files, 'records')}/text.json"
    assert PLATE.encode() in files[name]
    files[name] = files[name].replace(PLATE.encode(), b"1ABC234")


def another_record(files: Files) -> None:
    """Replace the content of a record's folder by another's."""
    for name in ("leaf.cose", "record.tlog-proof"):
        files[f"{folder_of(files, 'records')}/{name}"] = files[f"{folder_of(files, 'accesses')}/{name}"]


def another_content(files: Files) -> None:
    name = f"{folder_of(files, 'records')}/elements.cbor"
    shown = codec.from_bytes(evidence.Shown, files[name], limit=MAX_FILE_BYTES)
    first = replace(shown.elements[0], salt=bytes(len(shown.elements[0].salt)))
    changed = replace(shown, elements=(first, *shown.elements[1:]))
    files[name] = codec.to_bytes(changed)


def another_picture(files: Files) -> None:
    files[f"{folder_of(files, 'records')}/other.png"] = b"\x89PNG"


def another_folder(files: Files) -> None:
    files["records/999/text.json"] = b'{"text": "7ABC999"}'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(another_plate, "the plain file differs from the record", id="plain file"),
        pytest.param(another_record, "is not the record that its folder names", id="another record"),
        pytest.param(another_content, "is not what the signed record holds", id="another content"),
        pytest.param(another_picture, "no signed record is about it", id="another picture"),
        pytest.param(another_folder, "no signed record is about it", id="another folder"),
    ],
)
def test_a_package_that_the_stolen_log_key_signs_again_is_found(
    package: Path, ledger: Ledger, change: Callable[[Files], None], words: str
) -> None:
    """All digests in the signed list match the changed files."""
    files = {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}
    change(files)
    signed_again(files, ledger)
    written(files, package)
    found = [one.what for one in verify_package(package, ledger.public_key).findings]
    assert any(words in what for what in found), found
    assert not any("SHA-256" in what for what in found)


LATER = "is worded by a later version of this program: update it, and check again"


@pytest.mark.parametrize(
    ("sheet", "wrong", "unchecked"),
    [
        (cover_sheet.VERSION, ["cover.html: contradicts the records"], 0),
        (0, [], 1),
        (cover_sheet.VERSION + 1, [f"cover.txt: {LATER}"], 0),
    ],
)
def test_a_sheet_with_other_words_by_the_log_key_is_never_taken_for_checked(
    package: Path, ledger: Ledger, sheet: int, wrong: list[str], unchecked: int
) -> None:
    """The key's holder could claim that an earlier version wrote it; then less is checked."""
    assert verify_package(package, ledger.public_key).complete
    files = {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}
    files["cover.html"] = files["cover.html"].replace(PLATE.encode(), b"7ABC999")
    signed_again(files, ledger, sheet=sheet)
    written(files, package)
    report = verify_package(package, ledger.public_key)
    assert [f"{one.where}: {one.what}" for one in report.findings] == wrong
    assert len(report.unchecked) == unchecked
    assert all("cover.html is not what this version makes" in one for one in report.unchecked)


UNLOGGED = "package.cose: no entry of the log is of this export: its number, hold, records or time are others"
UNSAID = "package.cose: says something that no unit writes"


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"number": "E-9"}, UNLOGGED),
        ({"hold": None}, UNLOGGED),
        ({"created_us": 1}, UNLOGGED),
        ({"demo": False}, UNLOGGED),
        ({"withheld": ("camera",)}, "package.cose: withholds something that no record has"),
        ({"number": "E-1\n\nRECORD 9\n  plate as read: 7ABC999"}, UNSAID),
        ({"facts": (("misread rate of this unit", "1\n\nRECORD 9\n  plate as read: 7ABC999"),)}, UNSAID),
        ({"facts": (("plate as read", "7ABC999"),)}, UNSAID),
    ],
)
def test_what_a_head_says_of_its_own_is_what_the_entry_of_its_export_says(
    package: Path, ledger: Ledger, changes: dict[str, Any], wrong: str
) -> None:
    """A person with the log's key signs another head."""
    files = file_of(package)
    signed_again(files, ledger, **changes)
    found = verify_package(written(files, package), ledger.public_key).findings
    assert f"{found[0].where}: {found[0].what}" == wrong


def test_a_number_that_the_door_takes_is_one_that_verifies(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """A no-break space from a word processor was once signed into a package that verified nowhere."""
    held = hold(door, ledger, *add_reads(ledger, time, 1))
    files = export(door, ledger, held, number="DR\u00a026-0815")
    assert verify_package(written(files, tmp_path / "package"), ledger.public_key).findings == []
    size = ledger.store.log.frontier.size
    for number in ("E\t1", "E-1\n", "E\u202e1"):
        with pytest.raises(RecordError, match="number: must be one line"):
            export(door, ledger, held, number=number)
    assert ledger.store.log.frontier.size == size  # no entry for what was refused


def test_a_picture_that_is_left_out_is_named_as_withheld(package: Path, ledger: Ledger) -> None:
    files = file_of(package)
    folder = folder_of(files, "records")
    del files[f"{folder}/patch.jpg"]
    (package / folder / "patch.jpg").unlink()
    shown = codec.from_bytes(evidence.Shown, files[f"{folder}/elements.cbor"], limit=MAX_FILE_BYTES)
    less = tuple(one for one in shown.elements if one.name != "patch")
    files[f"{folder}/elements.cbor"] = codec.to_bytes(replace(shown, elements=less))
    for withheld, words in (((), "shows other elements than the package says"), (("patch",), UNLOGGED)):
        signed_again(files, ledger, withheld=withheld)
        found = verify_package(written(files, package), ledger.public_key).findings
        assert f"{found[0].where}: {found[0].what}".endswith(words)


def test_a_log_goes_by_the_name_that_follows_from_its_key(package: Path, ledger: Ledger) -> None:
    files = file_of(package)
    files["log.pub"] = NoteKey("car-7.example.gov", ledger.public_key.public).text().encode()
    signed_again(files, ledger)
    found = verify_package(written(files, package), ledger.public_key).findings
    assert [one.what for one in found] == ["gives the log a name that is not its own"]


def test_a_head_of_a_later_program_says_what_to_do(package: Path, ledger: Ledger) -> None:
    files = file_of(package)
    body = envelope.open_signed(files["package.cose"], ledger.public_key.public, context=evidence.CONTEXT)
    later = envelope.encode({**dict(envelope.decode(body)), "format": 2, "more": ""})
    files["package.cose"] = envelope.sign(later, ledger.store.log._key, context=evidence.CONTEXT)
    (found,) = verify_package(written(files, package), ledger.public_key).findings
    assert "has a later format than this program knows: update it, and check again" in found.what


def test_line_ends_that_a_mail_program_changed_are_named_and_nothing_else(
    package: Path, ledger: Ledger
) -> None:
    for path in package.rglob("*"):
        if path.is_file() and path.suffix not in {".cose", ".cbor", ".jpg"}:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    found = verify_package(package, ledger.public_key).findings
    assert {one.what for one in found} == {LINE_ENDS}
    assert {"cover.txt", "checkpoint", "SHA256SUMS"} <= {one.where for one in found}


@pytest.mark.parametrize("name", [".DS_Store", "records/Thumbs.db", "._cover.txt", "desktop.ini"])
def test_a_file_of_the_machines_file_manager_is_named_as_that(
    package: Path, ledger: Ledger, name: str
) -> None:
    (package / name).write_bytes(b"x")
    [finding] = verify_package(package, ledger.public_key).findings
    assert (finding.where, finding.what) == (name, "was made by this machine's file manager: delete it")


def test_accesses_of_a_withheld_text_are_described_only_in_the_units_words(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """Their entries contain the plate, so no record shows what the sheet says about them."""
    number = hold(door, ledger, add_reads(ledger, time, 1)[0])
    files = export(door, ledger, number, "overview", "patch", "text")
    for name in ("cover.txt", "cover.html"):
        files[name] = files[name].replace(b"  hold  demo-admin", b"  hold of 7ABC999  demo-admin")
    signed_again(files, ledger)
    (found,) = verify_package(written(files, tmp_path / "package"), ledger.public_key).findings
    assert (found.where, found.what) == ("cover.txt", "cover.txt: says more of an access than a unit does")


def test_a_package_that_lists_a_record_twice_is_named(package: Path, ledger: Ledger) -> None:
    files = {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}
    (record, *_) = signed_again(files, ledger).records
    signed_again(files, ledger, records=(record, record))
    written(files, package)
    [finding] = verify_package(package, ledger.public_key).findings
    assert (finding.where, finding.what) == ("package.cose", "names one of its records twice")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        pytest.param("cover.txt", b"x", "was altered: its SHA-256 is not the signed one", id="altered"),
        pytest.param("note.txt", b"x", "does not belong to the package", id="planted"),
        pytest.param("COVER.txt", b"x", "does not belong to the package", id="other case"),
        pytest.param("SHA256SUMS", b"x", "differs from the signed list", id="another list"),
        pytest.param("cover.txt", None, "is missing", id="removed"),
        pytest.param("cover.txt", MAX_FILE_BYTES + 1, f"is larger than {MAX_FILE_BYTES} bytes", id="endless"),
    ],
)
def test_a_changed_file_of_a_package_is_named(
    package: Path, ledger: Ledger, name: str, data: bytes | int | None, words: str
) -> None:
    if isinstance(data, bytes):
        (package / name).write_bytes(data)
    elif data is None:
        (package / name).unlink()
    else:
        os.truncate(package / name, data)
    [finding] = verify_package(package, ledger.public_key).findings
    assert finding.where == name
    assert words in finding.what
