"""What a package says besides its reads, on the cover sheet and in C2PA manifests, by any signer."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_forms import forms
from desk_root import Root, problems
from desk_twins import GROUND, HOLD, Department
from packages import earlier_program, signed_again, unpacked

from storage import codec
from storage.errors import PackageError
from storage.evidence import Shown
from storage.sealing import Opened
from sync.department.cli import main
from sync.department.content import cover_sheet, package
from sync.department.content.provenance import ManifestAuthority, ManifestMaker
from sync.department.content.reads import OpenedRead
from sync.department.desk import sheet_people
from sync.department.desk.holds.calls import Exported, ExportForm
from sync.department.desk.sharing.calls import DecisionForm, DeliverForm, Delivery, Recorded, ReviewForm
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import AGREED_EXPORT, EXPORTED, PLACED, Access, SheetPerson
from sync.department.policy.policy_file import policy_digest
from sync.department.server.folded_log import FoldedLog
from sync.department.server.open_desk import adopt_root

Files = dict[str, bytes]


def exported(department: Department, authority: str) -> Files:
    """The files in the export of a hold on the first read, for this authority."""
    token = department.logon("super")
    hold = department.held(token, authority=authority)
    made = department.call("hold/export", token, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    return unpacked(made.package)


def without(files: Files, prefix: str) -> Files:
    return {name: data for name, data in files.items() if not name.startswith(prefix)}


@pytest.fixture
def files(department: Department) -> Files:
    return exported(department, "Superior Court")


def exported_by_two(department: Department) -> Files:
    """The files in the export of a hold on a read that no search found, which a second person approved."""
    token = department.logon("super")
    form = replace(HOLD, reads=department.reads[:1], accesses=())
    hold = department.two_hands("hold/place", token, form, second="chief").hold
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    return unpacked(department.two_hands("hold/export", token, export, second="chief").package)


OWN = {
    "authority": "Superior Court of another county",
    "held since": "2026-01-01 00:00:00.000 UTC, by Super (super, ccat-supervisor), entry 3",
    "exported by": "Chief (chief, administrator), entry 9 of the access log",
    "second person": "Deputy (deputy) approved the hold, proposal 3 of the access log",
    "medium": "USB 9",
}


def reworded(files: Files, key: Ed25519PrivateKey, label: str, value: str) -> bytes:
    """A package whose sheet, and every file that quotes it, has another text about the department."""
    words = codec.from_bytes(cover_sheet.SheetWords, files[package.SHEET])
    (before,) = [said for name, said in words.facts if name == label]
    facts = tuple((name, value if name == label else said) for name, said in words.facts)
    other = {package.SHEET: codec.to_bytes(replace(words, facts=facts))}
    other["cover.txt"] = files["cover.txt"].replace(before.encode(), value.encode())
    other["cover.html"] = files["cover.html"].replace(escape(before).encode(), escape(value).encode())
    assert other["cover.txt"] != files["cover.txt"]
    return signed_again(files | other, key)


def test_what_a_sheet_says_of_the_department_itself_is_what_its_entries_say(
    department: Department,
) -> None:
    """A person with the log's key can write the sheet, but not the entries that a witness saw."""
    key = department.home.log_key()
    files = exported_by_two(department)
    for label, value in OWN.items():
        with pytest.raises(PackageError, match=f"its '{label}' is not what the entries say"):
            package.check(reworded(files, key, label, value), key.public_key())


@pytest.mark.parametrize("version", [1, 2])
def test_a_sheet_of_an_earlier_version_is_made_again_whole(department: Department, version: int) -> None:
    """A person with the log's key could claim that version."""
    key = department.home.log_key()
    with earlier_program(version):
        older = exported(department, "Superior Court")
    checked = package.check(signed_again(older, key), key.public_key())
    assert (checked.is_earlier, checked.sheet_unchecked) == (True, "")
    for label in ("authority", "exported by"):
        with pytest.raises(PackageError, match=f"its '{label}' is not what the entries say"):
            package.check(reworded(older, key, label, OWN[label]), key.public_key())
    for name in ("cover.txt", "cover.html"):
        other = older | {name: older[name].replace(b"USB 1", b"USB 2")}
        with pytest.raises(PackageError, match="does not match the reads"):
            package.check(signed_again(other, key), key.public_key())
    words = codec.from_bytes(cover_sheet.SheetWords, older[package.SHEET])
    facts = (*words.facts[:-1], ("second person", "approved"), words.facts[-1])
    named = older | {package.SHEET: codec.to_bytes(replace(words, facts=facts))}
    with pytest.raises(PackageError, match="is not what the entries say"):
        package.check(signed_again(named, key), key.public_key())


def test_a_sheet_with_another_day_of_receipt_is_refused(files: Files, department: Department) -> None:
    key = department.home.log_key()
    for name in ("cover.txt", "cover.html"):
        assert b"on 2026-09-18 (UTC)" in files[name]
        other = files | {name: files[name].replace(b"on 2026-09-18 (UTC)", b"on 2026-09-17 (UTC)")}
        with pytest.raises(PackageError, match="does not match the reads"):
            package.check(signed_again(other, key), key.public_key())


def test_an_entry_that_names_others_than_the_log_has_is_a_finding(department: Department) -> None:
    """A person with the log's key enters an export with another name, or without the second person."""
    root, token = Root(department), department.logon("super")
    hold = department.held(token)
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    department.call("hold/export", token, export)
    assert problems(department) == ()
    entries = department.desk.log.entries(hold, kinds=(Access.KIND,))
    (note,) = [one.note for one in entries if isinstance(one.note, Access) and one.note.action == "export"]
    assert [(one.part, one.name) for one in note.people] == [(PLACED, "Super"), (EXPORTED, "Super")]
    others = [
        (note.people[0], replace(note.people[1], name="E. Elsewhere")),
        (*note.people, SheetPerson(part=AGREED_EXPORT, user="chief", name="Chief")),
    ]
    for people in others:
        root.write(replace(note, people=people), *root.signed("super", "hold/export", export))
    folded = FoldedLog(())
    for entry in department.desk.log.entries():
        folded.judge(entry)
    found = [one for one in folded.problems if "people that it names for its cover sheet" in one]
    assert len(found) == 2


def test_the_entry_of_an_export_names_the_people_of_its_package(
    files: Files, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of an earlier version lacks the names, so a sheet of this version shows none."""
    key = department.home.log_key()
    monkeypatch.setattr(sheet_people, "of_export", lambda *_asked: ())
    unnamed = exported(department, "Superior Court")
    with pytest.raises(PackageError, match="does not name the people of its package"):
        package.check(signed_again(unnamed, key), key.public_key())


def test_a_hold_of_an_earlier_version_names_no_day_of_receipt(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.department.desk.holds.calls.HoldPlaced", partial(_older_hold, HoldPlaced))
    files, key = exported(department, "Superior Court"), department.home.log_key()
    assert b"received on a day that no entry names" in files["cover.txt"]
    assert package.check(signed_again(files, key), key.public_key()).sheet_unchecked == ""


def _older_hold(kind: type[HoldPlaced], **said: Any) -> HoldPlaced:
    return kind(**{name: value for name, value in said.items() if name != "received"})


def test_a_sheet_with_one_of_its_facts_left_out_is_refused(files: Files, department: Department) -> None:
    words, key = codec.from_bytes(cover_sheet.SheetWords, files[package.SHEET]), department.home.log_key()
    less = files | {package.SHEET: codec.to_bytes(replace(words, facts=words.facts[:-1]))}
    with pytest.raises(PackageError, match="its 'medium' is not what the entries say"):
        package.check(signed_again(less, key), key.public_key())


def test_a_ground_of_an_unknown_policy_is_reported_as_the_hold_names_it(
    files: Files, department: Department
) -> None:
    """Another department's policy may word its grounds differently; this program knows those of 463.8."""
    key = department.home.log_key()
    data = reworded(files, key, "ground", "A judge ordered it")
    said = package.check(data, key.public_key()).sheet_unchecked
    assert said == "the words of the ground, which the hold names discovery"


def test_an_export_has_the_entry_of_its_own_hold(files: Files, department: Department) -> None:
    """The entry of another hold would lend it that hold's authority."""
    key, other = department.home.log_key(), exported(department, "Superior Court of another county")
    lent = {name: data for name, data in other.items() if name.startswith("hold.")}
    with pytest.raises(PackageError, match="is not the hold that was exported"):
        package.check(signed_again(files | lent, key), key.public_key())
    with pytest.raises(PackageError, match="the entry of its hold"):
        package.check(signed_again(without(files, "hold."), key), key.public_key())
    with pytest.raises(PackageError, match="files of the hold's entry are missing"):
        package.check(signed_again(without(files, "hold.cbor"), key), key.public_key())
    entry = {f"hold.{part}": files[f"entries/0.{part}"] for part in ("cose", "cbor", "tlog-proof")}
    with pytest.raises(PackageError, match="the entry of its hold"):
        package.check(signed_again(files | entry, key), key.public_key())


def delivered(department: Department, **said: str) -> Files:
    """The files in a delivery that another agency requested. `said`: fields of its request."""
    call = department.call
    asked = replace(forms(department)["share/record"], **said)
    made = call("share/record", department.logon("deputy"), asked)
    assert isinstance(made, Recorded)
    call("share/review", department.logon("chief"), ReviewForm(request=made.entry, note="in order"))
    yes = DecisionForm(
        request=made.entry,
        approved=True,
        note="in order",
        agency_kind="law-enforcement",
        agency_state="CA",
    )
    call("share/decide", department.logon("chief"), yes)
    sent = call("share/deliver", department.logon("super"), DeliverForm(request=made.entry, ground=GROUND))
    assert isinstance(sent, Delivery)
    files = unpacked(sent.package)
    assert f"Super (super, ccat-supervisor), entry {sent.entry}\n".encode() in files["cover.txt"]
    return files


def test_the_sheet_of_a_delivery_says_by_whom_and_for_which_request(department: Department) -> None:
    """Recipient and purpose are in an entry that the package lacks; the access entry has their digest."""
    files, key = delivered(department), department.home.log_key()
    assert package.check(signed_again(files, key), key.public_key()).sheet_unchecked == ""
    assert b"second person: Chief Example (chief) approved the request" in files["cover.txt"]
    assert b"received on 2026-09-" in files["cover.txt"]
    for label, value in (
        ("for", "Elsewhere PD (law-enforcement, CA), Det. Doe"),
        ("intended purpose", "a civil matter"),
    ):
        with pytest.raises(PackageError, match="does not match the agency, purpose or number in its entries"):
            package.check(reworded(files, key, label, value), key.public_key())
    other = {
        name: data.replace(b"H-1", b"H-9") if name.startswith("cover") else data
        for name, data in files.items()
    }
    assert other["cover.txt"] != files["cover.txt"]
    with pytest.raises(PackageError, match="does not match the agency, purpose or number in its entries"):
        package.check(signed_again(other, key, number="H-9"), key.public_key())
    for label, value in (
        ("written request", "entry 1 of the access log"),
        ("delivered by", "Chief (chief, c), entry 9"),
        ("second person", "Deputy (deputy) approved the request"),
    ):
        with pytest.raises(PackageError, match=f"its '{label}' is not what the entries say"):
            package.check(reworded(files, key, label, value), key.public_key())


def test_what_a_letter_says_with_spaces_that_do_not_break_leaves_and_holds(department: Department) -> None:
    """Another agency's number with such spaces was once accepted, and its package verified nowhere."""
    said = dict.fromkeys(("agency", "person", "purpose", "number"), "No.\u00a026\u2009\u20131")
    files, key = delivered(department, **said), department.home.log_key()
    checked = package.check(signed_again(files, key), key.public_key())
    assert (checked.head.number, checked.sheet_unchecked) == (said["number"], "")


def test_a_delivery_of_an_earlier_version_says_what_is_not_checked_of_its_sheet(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entries have no digest of these texts."""
    for module in ("desk.sharing.calls", "journal.second_hand_facts"):
        monkeypatch.setattr(f"sync.department.{module}.written_digest", lambda *_words: b"")
    files, key = delivered(department), department.home.log_key()
    data = reworded(files, key, "for", "Elsewhere PD (law-enforcement, CA), Det. Doe")
    said = package.check(data, key.public_key()).sheet_unchecked
    assert said == "for whom, what for and the number (entries of an earlier version)"
    assert problems(department) == ()


IMAGE = "reads/0/patch.jpg"
OTHER_CLAIMS: dict[str, dict[str, Any]] = {
    "words of its generator": {"claim_generator_info": [{"name": "alpr-department", "Seized from": "E."}]},
    "words for its instance": {"instance_id": "the driver was E."},
    "words for its label": {"label": "urn:c2pa:f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4:driver"},
    "an earlier version": {"claim_version": 1},
}
ELSEWHERE = {"@context": {"Iptc4xmpExt": "x"}, "Iptc4xmpExt:City": "Elsewhere"}


def other_manifest(files: Files, department: Department, how: str) -> bytes:
    """A manifest for the same image, by a holder of the authority's key with the department's library."""
    authority = ManifestAuthority.open(department.home.path / "evidence", department.home.settings.name, 0)
    head = package.check(signed_again(files, department.home.log_key()), department.desk.log.public).head
    name = "Elsewhere PD" if how == "another signer" else head.department
    number = "26-CV-999" if how == "another number" else head.number
    maker = ManifestMaker(authority, name, number, department.clock.us)
    shown = codec.from_bytes(Shown, files["reads/0/elements.cbor"], limit=64 << 20)
    read = OpenedRead(
        read="",
        unit="",
        log_id=b"",
        sequence=head.reads[0].sequence,
        leaf=files["reads/0/leaf.cose"],
        public=head.reads[0].public,
        proof=files["reads/0/record.tlog-proof"].decode(),
        elements={one.name: Opened(one.name, one.salt, one.content) for one in shown.elements},
    )
    if how == "another picture":
        return maker.manifest(read, "overview", IMAGE)
    claim = maker.claim(read, "patch", IMAGE)
    if how == "more than its own":
        claim["assertions"].append({"label": "c2pa.metadata", "data": ELSEWHERE})
    claim |= OTHER_CLAIMS.get(how, {})
    if how == "more than its own" or how in OTHER_CLAIMS:
        return maker.signed(claim, read.elements["patch"].content, IMAGE)
    return maker.manifest(read, "patch", "reads/0/other.jpg" if how == "another title" else IMAGE)


@pytest.mark.thorough_rows
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("its own again", ""),
        ("another number", "does not match its read"),
        ("another title", "does not match its read"),
        ("another signer", "does not match its read"),
        ("more than its own", "does not match its read"),
        *((one, "does not match its read") for one in OTHER_CLAIMS),
        ("another picture", "belongs to another image, or is not signed under the package's authority"),
    ],
)
def test_a_manifest_says_what_its_read_says_and_nothing_else(
    files: Files, department: Department, how: str, words: str
) -> None:
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    key = department.home.log_key()
    data = signed_again(files | {"reads/0/patch.c2pa": other_manifest(files, department, how)}, key)
    if not words:
        assert package.check(data, key.public_key()).manifests_unchecked == ""
        return
    with pytest.raises(PackageError, match=rf"reads/0/patch\.c2pa: {words}"):
        package.check(data, key.public_key())


def test_a_manifest_authority_is_the_departments_alone(
    files: Files, department: Department, tmp_path: Path
) -> None:
    key = department.home.log_key()
    other = ManifestAuthority.open(tmp_path, "Elsewhere PD", department.clock.us).certificate
    own = files["c2pa-ca.pem"]
    for certificate, words in (
        (other, "belongs to another image, or is not signed under the package's authority"),
        (own + other, "is not the authority of a department alone"),
        (b"none", "does not parse"),
    ):
        data = signed_again(files | {"c2pa-ca.pem": certificate}, key)
        with pytest.raises(PackageError, match=words):
            package.check(data, key.public_key())
    data = signed_again(without(files, "c2pa-ca"), key)
    with pytest.raises(PackageError, match=r"c2pa-ca\.pem: is missing"):
        package.check(data, key.public_key())


def test_manifests_of_a_department_that_was_renamed_are_checked_and_its_first_name_is_noted(
    department: Department,
) -> None:
    """Its authority keeps the name with which it was made."""
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    exported(department, "Superior Court")  # makes the authority
    name, key = f"City of {department.desk.policy.department}", department.home.log_key()
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    text = re.sub(r'(?m)^department = ".*"', f'department = "{name}"', text, count=1)
    root = department.new_root(policy_version=3, policy_digest=policy_digest(text.encode()), department=name)
    adopt_root(department.home, department.desk, root, text.encode())
    files = exported(department, "Superior Court")
    checked = package.check(signed_again(files, key), key.public_key())
    assert checked.head.department == name
    assert "the department's present name" in checked.manifests_unchecked


def test_a_laptop_without_the_c2pa_library_says_that_it_did_not_check_the_manifests(
    files: Files, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = department.home.log_key()
    monkeypatch.setitem(sys.modules, "c2pa", None)
    said = package.check(signed_again(files, key), key.public_key()).manifests_unchecked
    assert said == "the c2pa library is not installed: pip install 'alpr-reader[c2pa]'"


def test_a_check_prints_the_name_that_the_department_gives_each_units_log(
    files: Files, department: Department, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No entry in the package proves that name: a person with the department log's key chooses it."""
    key, path = department.home.log_key(), tmp_path / "package.zip"
    head = package.check(signed_again(files, key), key.public_key()).head
    renamed = tuple(replace(one, unit="Car 3") for one in head.reads)
    before = f"unit {head.reads[0].unit}"
    sheets = {
        name: data.replace(before.encode(), b"unit Car 3").replace(
            f"<td>{head.reads[0].unit}</td>".encode(), b"<td>Car 3</td>"
        )
        for name, data in files.items()
        if name.startswith("cover")
    }
    path.write_bytes(signed_again(files | sheets, key, reads=renamed))
    main(["verify", str(path), "--key", department.desk.log.note_key.text()])
    said = capsys.readouterr().out
    assert "not checked: the names of units, which are the department's: log " in said
    assert ' is "Car 3"' in said


def test_a_package_that_gives_one_log_two_names_is_refused(files: Files, department: Department) -> None:
    key = department.home.log_key()
    head = package.check(signed_again(files, key), key.public_key()).head
    first = head.reads[0]
    renamed = (first, replace(first, folder="reads/1", unit="car-9"))
    with pytest.raises(PackageError, match="names its unit's log differently"):
        package.check(signed_again(files, key, reads=renamed), key.public_key())
