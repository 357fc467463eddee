"""Holds, exports and releases of 463.8, and packages that a stranger checks."""

from __future__ import annotations

import hashlib
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
from custody_twins import (
    OVERVIEW,
    PATCH,
    PLATE,
    Department,
    Reopen,
    SteppedTime,
    add_reads,
    age,
    ask_signed,
    check,
    make_read,
    query_body,
)
from flipped import flip

from hw.secure_slot import LoopbackSlot
from storage import codec, cover_sheet, envelope, evidence
from storage.audit_records import Decision, Release, UnitAccess, Verdict
from storage.checkpoint import NoteKey, cosign, open_checkpoint, sign_checkpoint
from storage.door import Door, export_subject, hold_subject
from storage.errors import KeyLostError, LedgerError, RefusedError
from storage.holds import audit_records
from storage.ledger import Ledger
from storage.read_records import Alert
from storage.times import HOUR_US
from storage.verify_package import MAX_FILE_BYTES, verify_package

ADMIN = ("demo-admin", "administrator")


def hold(door: Door, ledger: Ledger, *records: int) -> int:
    order = (records, "expected-evidence", "Lt. Ortiz", "26-0815")
    body = ask_signed(door, ledger, *ADMIN, "hold", hold_subject(*order))
    fields = {"records": list(records), "ground": order[1], "authority": order[2], "number": order[3]}
    return int(door.answer("hold", body | fields)["hold"])


def export(door: Door, ledger: Ledger, hold: int, *withhold: str) -> dict[str, bytes]:
    body = ask_signed(door, ledger, *ADMIN, "export", export_subject((), hold, "E-1", withhold))
    fields: dict[str, Any] = {"hold": hold, "records": [], "number": "E-1", "withhold": list(withhold)}
    files: dict[str, bytes] = door.answer("export", body | fields)["files"]
    return files


def release(door: Door, ledger: Ledger, number: int, second: str = "demo-designee") -> None:
    subject = f"release hold={number} item=E-1"
    body = ask_signed(door, ledger, *ADMIN, "release", subject)
    role = "administrator" if second == "demo-admin" else "designee"
    other = ask_signed(door, ledger, second, role, "release", subject)
    door.answer("release", body | {"hold": number, "evidence_item": "E-1", "second": other})


def retrain(ledger: Ledger, time: SteppedTime) -> None:
    """A year went by: everybody was trained again (463.9)."""
    roster = ledger.standing.roster
    people = tuple(replace(one, trained_us=time.now().us) for one in roster.people)
    ledger.standing.roster = replace(roster, people=people)


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_held_read_outlives_its_purged_epoch_and_ends_with_its_release(
    ledger: Ledger, home: Path, slot: LoopbackSlot, door: Door, time: SteppedTime
) -> None:
    held, other = add_reads(ledger, time, 2)
    number = hold(door, ledger, held)
    age(ledger, time, 366)
    assert ledger.apply_retention(by="test") is not None
    assert ledger.read(held).text == PLATE
    assert ledger.element(held, "overview").content == OVERVIEW
    with pytest.raises(KeyLostError):
        ledger.read(other)
    retrain(ledger, time)
    export(door, ledger, number)
    release(door, ledger, number)
    time.run(HOUR_US)  # the slot is turned at most hourly
    receipt = ledger.apply_retention(by="test")
    assert receipt is not None
    assert [one.reason for one in receipt.record.epochs] == ["hold released"]
    with pytest.raises(KeyLostError):
        ledger.read(held)
    assert check(home, slot).ok


def test_held_images_survive_a_restart(
    ledger: Ledger, home: Path, slot: LoopbackSlot, door: Door, time: SteppedTime, reopen: Reopen
) -> None:
    held = add_reads(ledger, time, 1)[0]
    hold(door, ledger, held)
    age(ledger, time, 366)
    ledger.apply_retention(by="test")
    ledger.close()
    again = reopen()
    assert again.element(held, "overview").content == OVERVIEW
    assert check(home, slot).ok


def test_a_release_needs_an_export_and_a_second_person(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    number = hold(door, ledger, add_reads(ledger, time, 1)[0])
    with pytest.raises(RefusedError, match="never exported"):
        release(door, ledger, number)
    export(door, ledger, number)
    with pytest.raises(RefusedError, match="second person"):
        release(door, ledger, number, "demo-admin")
    release(door, ledger, number)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        pytest.param(0, "record 0: is not a hold", id="another record"),
        pytest.param(10**20, "is not a hold", id="no record"),
        pytest.param(None, "never exported", id="not exported"),
    ],
)
def test_a_release_that_cannot_be_is_in_the_access_log_as_refused(
    ledger: Ledger, door: Door, time: SteppedTime, number: int | None, why: str
) -> None:
    read = add_reads(ledger, time, 1)[0]
    named = hold(door, ledger, read) if number is None else number
    before = ledger.store.log.frontier.size
    with pytest.raises((LedgerError, RefusedError), match=why):
        release(door, ledger, named)
    entries = audit_records(ledger.store, before)
    assert [entry.allowed for entry in entries if isinstance(entry, UnitAccess)] == [False]
    assert not [entry for entry in entries if isinstance(entry, Release)]


def test_a_release_of_a_read_says_that_it_is_no_hold(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    read = add_reads(ledger, time, 1)[0]
    with pytest.raises(LedgerError, match=rf"record {read}: is not a hold \(`reader hold` printed"):
        release(door, ledger, read)


def slots_of(text: str) -> bytes:
    """A slot table that is nine tenths sure of each character."""
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


Files = dict[str, bytes]


def folder_of(files: Files, kind: str) -> str:
    """The first folder of records or accesses."""
    return next(name.rpartition("/")[0] for name in sorted(files) if name.startswith(f"{kind}/"))


def another_plate(files: Files) -> None:
    name = f"{folder_of(files, 'records')}/text.json"
    assert PLATE.encode() in files[name]
    files[name] = files[name].replace(PLATE.encode(), b"1ABC234")


def another_record(files: Files) -> None:
    """The folder of one record with what another's holds."""
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
        pytest.param(another_plate, "the plain file says something else than the record", id="plain file"),
        pytest.param(another_record, "is another record than its folder says", id="another record"),
        pytest.param(another_content, "is not what the signed record holds", id="another content"),
        pytest.param(another_picture, "no signed record is about it", id="another picture"),
        pytest.param(another_folder, "no signed record is about it", id="another folder"),
    ],
)
def test_a_package_that_the_stolen_log_key_signs_again_is_found(
    package: Path, ledger: Ledger, change: Callable[[Files], None], words: str
) -> None:
    """Every digest of the signed list is made to match the changed files."""
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
        (cover_sheet.VERSION, ["cover.html: says something else than the records do"], 0),
        (0, [], 1),
        (cover_sheet.VERSION + 1, [f"cover.txt: {LATER}"], 0),
    ],
)
def test_a_sheet_with_other_words_by_the_log_key_is_never_taken_for_checked(
    package: Path, ledger: Ledger, sheet: int, wrong: list[str], unchecked: int
) -> None:
    """The holder of the key could say that an earlier version worded it: then not all is checked."""
    assert verify_package(package, ledger.public_key).complete
    files = {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}
    files["cover.html"] = files["cover.html"].replace(PLATE.encode(), b"7ABC999")
    signed_again(files, ledger, sheet=sheet)
    written(files, package)
    report = verify_package(package, ledger.public_key)
    assert [f"{one.where}: {one.what}" for one in report.findings] == wrong
    assert len(report.unchecked) == unchecked
    assert all("cover.html is not what this version makes" in one for one in report.unchecked)


def signed_again(files: Files, ledger: Ledger, **changes: Any) -> evidence.UnitPackageHead:
    """The head over these files, with other values in its fields, put among them."""
    body = envelope.open_signed(files["package.cose"], ledger.public_key.public, context=evidence.CONTEXT)
    head = codec.from_bytes(evidence.UnitPackageHead, body)
    names = sorted(set(files) - {"package.cose", "SHA256SUMS"})
    listed = tuple((name, hashlib.sha256(files[name]).digest()) for name in names)
    head = replace(head, files=listed, **changes)
    private = ledger.store.log._key
    files["package.cose"] = envelope.sign(codec.to_bytes(head), private, context=evidence.CONTEXT)
    files["SHA256SUMS"] = evidence.sums(listed)
    return head


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


def test_every_access_to_the_record_is_in_the_package_and_nothing_else(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """Look-ups that showed it, the hold, the exports, and what a person decided about its alert."""
    read, other = add_reads(ledger, time, 1, text="AAA111", hit=True)[0], add_reads(ledger, time, 1)[0]
    shown = door.answer("query", query_body(door, ledger, "AAA111"))["entry"]
    alert = ledger.append(
        Alert(
            read=read,
            list_id="L",
            list_version=1,
            source="DOJ",
            entry=b"AAA111",
            category="stolen-vehicle",
            score=0.9,
            twin=False,
            disagrees=(),
            silent=(),
            stale=False,
            at_us=1,
        )
    )
    decided = decide(ledger, alert.sequence, Verdict.CONFIRMED)
    not_shown = door.answer("query", query_body(door, ledger))["entry"]
    number = hold(door, ledger, read)
    first = export(door, ledger, number)
    hold(door, ledger, other)
    package = written(export(door, ledger, number), tmp_path / "package")
    assert verify_package(package, ledger.public_key).ok
    listed = {int(one.name) for one in (package / "accesses").iterdir()}
    assert {shown, shown + 1, decided, number} <= listed
    assert not_shown not in listed
    kinds = [ledger.store.leaf(one).kind for one in sorted(listed)]
    assert kinds == [
        *("access", "access_result", "decision"),  # looked up, decided on
        *("access", "hold", "access", "export", "access"),  # held, exported, and this export's own entry
    ]
    assert len(first) < len(list(package.rglob("*")))


def decide(ledger: Ledger, alert: int, verdict: Verdict) -> int:
    return ledger.append(
        Decision(
            alert=alert,
            user="demo-officer",
            role="sworn-officer",
            image_viewed=True,
            verdict=verdict,
            at_us=1,
        )
    ).sequence


def test_the_misread_rate_comes_from_what_people_saw_and_not_from_who_exports(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    read = add_reads(ledger, time, 1, hit=True)[0]
    verdicts = [Verdict.CONFIRMED, Verdict.MISREAD, Verdict.CONFIRMED, Verdict.DISMISSED, Verdict.CONFIRMED]
    for verdict in verdicts:
        alert = ledger.append(
            Alert(
                read=read,
                list_id="L",
                list_version=1,
                source="DOJ",
                entry=PLATE.encode(),
                category="stolen-vehicle",
                score=0.9,
                twin=False,
                disagrees=(),
                silent=(),
                stale=False,
                at_us=1,
            )
        )
        decide(ledger, alert.sequence, verdict)
    decide(ledger, alert.sequence, Verdict.MISREAD)  # on second thoughts
    files = export(door, ledger, hold(door, ledger, read))
    assert b"misread rate of this unit: 2 of 4 alerts (50.0%)" in files["cover.txt"]


def test_the_departments_co_signature_proves_the_logs_key_too(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """A stranger who has only the department's key; the entry of the export is newer than what it
    co-signed."""
    sequence = add_reads(ledger, time, 1)[0]
    number = hold(door, ledger, sequence)
    without = written(export(door, ledger, number), tmp_path / "without")
    department = Department()
    department.enroll(ledger, local_query=True)
    department.cosign(ledger)
    ledger.append(
        Decision(alert=0, user="x", role="y", image_viewed=False, verdict=Verdict.DISMISSED, at_us=1)
    )
    order = evidence.ExportOrder(
        records=(sequence,), withhold=(), number="E-2", hold=None, user="x", demo=False, facts={}
    )
    package = written(evidence.build(ledger.store, order), tmp_path / "package")
    proven = verify_package(package, None, department.note_key)
    assert (proven.ok, proven.complete, proven.anchored_by) == (True, True, "department")
    assert verify_package(package, ledger.public_key).ok
    stranger = NoteKey(department.note_key.name, Ed25519PrivateKey.generate().public_key())
    assert not verify_package(package, None, stranger).ok
    anchor = open_checkpoint((package / "anchor").read_text(), ledger.public_key)
    fork = sign_checkpoint(replace(anchor, root=bytes(32)), ledger.store.log._key)
    (package / "anchor").write_text(cosign(fork, department.note_key.name, department.log, time_s=1))
    found = [one.what for one in verify_package(package, None, department.note_key).findings]
    assert len(found) == 2  # its digest, and that the package's log does not go on from there
    assert verify_package(without, ledger.public_key).ok
    [missing] = verify_package(without, None, department.note_key).findings
    assert "co-signed nothing" in missing.what


def test_a_record_that_a_thief_of_the_logs_key_adds_is_not_covered_by_an_honest_co_signature(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """The key alone makes reads and a package of them; the department's co-signature in it is of before."""
    honest = add_reads(ledger, time, 1)[0]
    department = Department()
    department.enroll(ledger, local_query=True)
    department.cosign(ledger)
    forged = add_reads(ledger, time, 1)[0]
    for records, covered in (((honest,), True), ((forged,), False), ((honest, forged), False)):
        order = evidence.ExportOrder(
            records=records, withhold=(), number="E-2", hold=None, user="x", demo=False, facts={}
        )
        folder = tmp_path / "-".join(map(str, records))
        package = written(evidence.build(ledger.store, order), folder)
        report = verify_package(package, None, department.note_key)
        assert (report.ok, report.complete) == (True, covered)
        assert all(f"1 record, the first {forged}: newer than" in one for one in report.unchecked)
        by_key = verify_package(package, ledger.public_key)
        assert (by_key.complete, by_key.anchored) == (True, 0)
        assert [one for one in by_key.notes if one.startswith("not proven: that the department has")]


def test_an_export_can_show_the_place_and_withhold_the_plate(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    number = hold(door, ledger, add_reads(ledger, time, 1)[0])
    files = export(door, ledger, number, "overview", "patch", "text")
    assert not any(PLATE.encode() in data for data in files.values())
    report = verify_package(written(files, tmp_path / "package"), ledger.public_key)
    assert report.ok, report.findings
    (said,) = [one for one in report.notes if "not checked" in one]
    assert said.endswith("say of each access: its entry is withheld with the text")
    sheet = files["cover.txt"].decode()
    for before, after, what in (
        ("first seen: ", "first seen: never, ", "says something else than the records do"),
        (f"record {number}: ", "record 999: ", "lists other accesses than the package has"),
        ("\n\nTo check", "\n  record 9: more\n\nTo check", "lists other accesses than the package has"),
    ):
        assert before in sheet
        changed = files | {"cover.txt": sheet.replace(before, after).encode()}
        signed_again(changed, ledger)
        found = verify_package(written(changed, tmp_path / "package"), ledger.public_key).findings
        assert [(one.where, what in one.what) for one in found] == [("cover.txt", True)]
