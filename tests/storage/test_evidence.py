"""Holds, exports and releases (463.8), and packages that a stranger can check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import (
    OVERVIEW,
    PLATE,
    Department,
    Reopen,
    SteppedTime,
    add_reads,
    age,
    ask_signed,
    check,
    query_body,
)
from unit_packages import ADMIN, build_logged, export, hold, signed_again, written

from hw.secure_slot import LoopbackSlot
from storage.audit_records import Decision, Release, UnitAccess, Verdict
from storage.checkpoint import NoteKey, cosign, open_checkpoint, sign_checkpoint
from storage.door import Door
from storage.errors import KeyLostError, LedgerError, RefusedError
from storage.holds import audit_records
from storage.ledger import Ledger
from storage.read_records import Alert
from storage.times import HOUR_US
from storage.verify_package import verify_package


def release(door: Door, ledger: Ledger, number: int, second: str = "demo-designee") -> None:
    subject = f"release hold={number} item=E-1"
    body = ask_signed(door, ledger, *ADMIN, "release", subject)
    role = "administrator" if second == "demo-admin" else "designee"
    other = ask_signed(door, ledger, second, role, "release", subject)
    door.answer("release", body | {"hold": number, "evidence_item": "E-1", "second": other})


def retrain(ledger: Ledger, time: SteppedTime) -> None:
    """Let a year pass in which all people are trained again (463.9)."""
    roster = ledger.standing.roster
    people = tuple(replace(one, trained_us=time.now().us) for one in roster.people)
    ledger.standing.roster = replace(roster, people=people)


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
    time.run(HOUR_US)  # the slot's key changes at most hourly
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


def test_a_release_of_a_read_says_that_it_is_not_a_hold(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    read = add_reads(ledger, time, 1)[0]
    with pytest.raises(LedgerError, match=rf"record {read}: is not a hold \(`reader hold` printed"):
        release(door, ledger, read)


def test_every_access_to_the_record_is_in_the_package_and_nothing_else(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """Lookups that showed it, the hold, the exports, and a person's decision about its alert."""
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
        *("access", "hold", "access", "export", "access"),  # held, exported, and the entry of this export
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
    decide(ledger, alert.sequence, Verdict.MISREAD)  # a changed decision
    files = export(door, ledger, hold(door, ledger, read))
    assert b"misread rate of this unit: 2 of 4 alerts (50.0%)" in files["cover.txt"]


def test_the_departments_co_signature_proves_the_logs_key_too(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """A stranger has only the department's key, and the export's entry is newer than its co-signature."""
    sequence = add_reads(ledger, time, 1)[0]
    number = hold(door, ledger, sequence)
    without = written(export(door, ledger, number), tmp_path / "without")
    department = Department()
    department.enroll(ledger, local_query=True)
    department.cosign(ledger)
    ledger.append(
        Decision(alert=0, user="x", role="y", image_viewed=False, verdict=Verdict.DISMISSED, at_us=1)
    )
    package = written(build_logged(ledger, sequence), tmp_path / "package")
    proven = verify_package(package, None, department.note_key)
    assert (proven.ok, proven.complete, proven.anchored_by) == (True, True, "department")
    assert verify_package(package, ledger.public_key).ok
    stranger = NoteKey(department.note_key.name, Ed25519PrivateKey.generate().public_key())
    assert not verify_package(package, None, stranger).ok
    anchor = open_checkpoint((package / "anchor").read_text(), ledger.public_key)
    fork = sign_checkpoint(replace(anchor, root=bytes(32)), ledger.store.log._key)
    (package / "anchor").write_text(cosign(fork, department.note_key.name, department.log, time_s=1))
    found = [one.what for one in verify_package(package, None, department.note_key).findings]
    assert len(found) == 2  # its digest, and that the package's log does not continue it
    assert verify_package(without, ledger.public_key).ok
    [missing] = verify_package(without, None, department.note_key).findings
    assert "co-signed nothing" in missing.what


def test_a_record_that_a_thief_of_the_logs_key_adds_is_not_covered_by_an_honest_co_signature(
    ledger: Ledger, door: Door, time: SteppedTime, tmp_path: Path
) -> None:
    """With the key, a thief makes reads and a package; the department's co-signature in it is older."""
    honest = add_reads(ledger, time, 1)[0]
    department = Department()
    department.enroll(ledger, local_query=True)
    department.cosign(ledger)
    forged = add_reads(ledger, time, 1)[0]
    for records, covered in (((honest,), True), ((forged,), False), ((honest, forged), False)):
        package = written(build_logged(ledger, *records), tmp_path / "-".join(map(str, records)))
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
        ("first seen: ", "first seen: never, ", "contradicts the records"),
        (f"record {number}: ", "record 999: ", "lists other accesses than the package has"),
        ("\n\nTo check", "\n  record 9: more\n\nTo check", "lists other accesses than the package has"),
    ):
        assert before in sheet
        changed = files | {"cover.txt": sheet.replace(before, after).encode()}
        signed_again(changed, ledger)
        found = verify_package(written(changed, tmp_path / "package"), ledger.public_key).findings
        assert [(one.where, what in one.what) for one in found] == [("cover.txt", True)]
