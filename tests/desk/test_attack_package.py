"""Packages forged by a person who holds the log key: none passes for one that was exported and logged."""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department
from desk_units import Pass, read_of
from packages import earlier_program, signed_again, unpacked

from storage import codec, envelope, merkle, sealing, tlog_proof
from storage.checkpoint import TYPE_COSIGNATURE, Checkpoint, NoteKey, cosign, sign_checkpoint
from storage.errors import PackageError, StorageError
from storage.evidence import Shown, ShownElement, plain_view
from storage.leaf import Leaf, Mark, log_id_of, origin_of
from storage.record_base import KeyClass
from sync.department.cli import main
from sync.department.commands.given_files import MOST_BYTES, read_package
from sync.department.content import cover_sheet, package
from sync.department.content.zipped import FIXED_TIME, write_zip
from sync.department.desk.holds.calls import Exported, ExportForm
from sync.errors import InvalidInputError
from sync.messages import department_origin

Files = dict[str, bytes]


@pytest.fixture
def files(department: Department) -> Files:
    """The files in an export of the first read."""
    return exported(department)


def exported(department: Department) -> Files:
    token = department.logon("super")
    hold = department.held(token)
    made = department.call("hold/export", token, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    return unpacked(made.package)


def invented(log_key: Ed25519PrivateKey) -> tuple[Files, bytes]:
    """(files, public key) of a read of an invented unit, whose tree head is co-signed with the log key."""
    unit = Ed25519PrivateKey.generate()
    log_id = log_id_of(unit.public_key())
    read = read_of(Pass(plate="7ABC001", at_us=1_789_000_000_000_000))
    contents = {"text": codec.to_bytes(read.text_part()), "place": codec.to_bytes(read.place_part())}
    opened = {name: sealing.fresh(name, content) for name, content in contents.items()}
    leaf = Leaf(
        log_id=log_id,
        kind="read",
        sequence=0,
        epoch=1,
        key_class=KeyClass.READ,
        elements={name: Mark(one.commitment(), bytes(32)) for name, one in opened.items()},
    ).sign(unit)
    head = sign_checkpoint(Checkpoint(origin_of(log_id), 1, merkle.leaf_hash(leaf)), unit)
    head = cosign(head, department_origin(log_key.public_key()), log_key, time_s=1_789_000_000)
    shown = [ShownElement(name=n, salt=one.salt, content=one.content) for n, one in sorted(opened.items())]
    made = {
        "reads/0/leaf.cose": leaf,
        "reads/0/record.tlog-proof": tlog_proof.write(0, [], head).encode(),
        "reads/0/elements.cbor": codec.to_bytes(Shown(elements=tuple(shown))),
    }
    for name, content in contents.items():
        made[f"reads/0/{name}.json"] = plain_view("read", name, content)
    return made, unit.public_key().public_bytes_raw()


def with_an_invented_read(files: Files, key: Ed25519PrivateKey) -> bytes:
    """The entry of a genuine export beside a read of an invented unit."""
    made, public = invented(key)
    rest = {name: data for name, data in files.items() if not name.startswith("reads/")}
    head = package.PackagedRead(folder="reads/0", unit="car-7", public=public, sequence=0)
    return signed_again(rest | made, key, reads=(head,))


def with_an_invented_read_and_no_entry(files: Files, key: Ed25519PrivateKey) -> bytes:
    made, public = invented(key)
    rest = {name: data for name, data in files.items() if not name.startswith(("reads/", "entries/"))}
    head = package.PackagedRead(folder="reads/0", unit="car-7", public=public, sequence=0)
    return signed_again(rest | made, key, reads=(head,))


def with_a_picture_of_its_own(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files | {"reads/0/other.png": b"\x89PNG"}, key)


def with_a_picture_in_place_of_a_withheld_one(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files | {"reads/0/patch.png": b"\x89PNG, which no element is of"}, key)


def with_a_folder_of_no_read(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files | {"reads/1/text.json": b'{"text": "7ABC999"}'}, key)


def with_the_reads_of_no_entry(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again({name: data for name, data in files.items() if "entries/" not in name}, key)


def with_a_head_that_the_department_did_not_cosign(files: Files, key: Ed25519PrivateKey) -> bytes:
    """Only the unit's own head, so the department never received the read."""
    name = "reads/0/record.tlog-proof"
    lines = files[name].decode().splitlines(keepends=True)
    own = [line for line in lines if not line.startswith("— alpr-department/")]
    assert len(own) == len(lines) - 1
    return signed_again(files | {name: "".join(own).encode()}, key)


def with_an_entry_that_lost_its_proof(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again({n: data for n, data in files.items() if n != "entries/0.tlog-proof"}, key)


def with_an_entry_of_another_proof(files: Files, key: Ed25519PrivateKey) -> bytes:
    proof = files["entries/0.tlog-proof"].decode()
    said = tlog_proof.parse(proof)
    other = tlog_proof.write(said.index + 1, said.path, said.checkpoint).encode()
    return signed_again(files | {"entries/0.tlog-proof": other}, key)


def with_another_number(files: Files, key: Ed25519PrivateKey) -> bytes:
    """The reads of one case, as evidence of another."""
    return signed_again(files, key, number="26-CV-999")


def with_the_same_read_twice(files: Files, key: Ed25519PrivateKey) -> bytes:
    """One read in two folders, which would count as two proven reads."""
    again = {n.replace("reads/0/", "reads/1/"): data for n, data in files.items() if n.startswith("reads/0/")}
    (one,) = head_of(files, key).reads
    return signed_again(files | again, key, reads=(one, replace(one, folder="reads/1")))


def with_a_read_that_unpacks_elsewhere(files: Files, key: Ed25519PrivateKey) -> bytes:
    (one,) = head_of(files, key).reads
    moved = {name.replace("reads/0", "../../www"): data for name, data in files.items()}
    return signed_again(moved, key, reads=(replace(one, folder="../../www"),))


def without_a_read_that_left(files: Files, key: Ed25519PrivateKey) -> bytes:
    """Evidence for the accused is left out: the entry names more reads than the package has."""
    left = {name: data for name, data in files.items() if not name.startswith("reads/")}
    return signed_again(left, key, reads=())


def with_words_for_the_terminal(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files, key, department="Example\x1b[2J\nthe package verifies")


def with_a_unit_whose_name_is_lines_of_a_sheet(files: Files, key: Ed25519PrivateKey) -> bytes:
    signed = envelope.open_signed(files[package.HEAD], key.public_key(), context=package.CONTEXT)
    (read,) = codec.from_bytes(package.PackageHead, signed).reads
    left = {name: data for name, data in files.items() if name != package.SHEET}
    read = replace(read, unit="Car 7\nplate as read: 7ABC999")
    return signed_again(left, key, format=package.NO_SHEET, reads=(read,))


def with_a_unit_key_of_five_bytes(files: Files, key: Ed25519PrivateKey) -> bytes:
    (one,) = head_of(files, key).reads
    return signed_again(files, key, reads=(replace(one, public=b"12345"),))


def without_a_leaf(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again({n: data for n, data in files.items() if n != "reads/0/leaf.cose"}, key)


def without_the_elements(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again({n: data for n, data in files.items() if n != "reads/0/elements.cbor"}, key)


def with_a_proof_that_is_no_text(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files | {"reads/0/record.tlog-proof": b"\xff"}, key)


def with_an_entry_whose_proof_is_no_text(files: Files, key: Ed25519PrivateKey) -> bytes:
    return signed_again(files | {"entries/0.tlog-proof": b"\xff"}, key)


def head_of(files: Files, key: Ed25519PrivateKey) -> package.PackageHead:
    return package.check(signed_again(files, key), key.public_key()).head


ATTACKS = (
    with_the_same_read_twice,
    with_a_read_that_unpacks_elsewhere,
    without_a_read_that_left,
    with_words_for_the_terminal,
    with_a_unit_whose_name_is_lines_of_a_sheet,
    with_a_unit_key_of_five_bytes,
    without_a_leaf,
    without_the_elements,
    with_a_proof_that_is_no_text,
    with_an_entry_whose_proof_is_no_text,
    with_another_number,
    with_an_invented_read,
    with_an_invented_read_and_no_entry,
    with_a_picture_of_its_own,
    with_a_picture_in_place_of_a_withheld_one,
    with_a_folder_of_no_read,
    with_the_reads_of_no_entry,
    with_a_head_that_the_department_did_not_cosign,
    with_an_entry_that_lost_its_proof,
    with_an_entry_of_another_proof,
)


def test_a_package_by_the_log_key_alone_does_not_verify(department: Department, files: Files) -> None:
    key = department.home.log_key()
    package.check(signed_again(files, key), key.public_key())
    passed = []
    for attack in ATTACKS:
        try:
            package.check(attack(files, key), key.public_key())
        except StorageError:
            continue
        passed.append(attack.__name__)
    assert passed == []


def taken(files: Files, name: str) -> Files:
    return {one: data for one, data in files.items() if one != name}


def swept(files: Files, name: str, other: Files) -> Iterator[tuple[str, bytes, str]]:
    """Yield (change to this file, the package with it, the file that the refusal must name)."""
    data, left = files[name], taken(files, name)
    at = len(data) // 2
    flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    yield "removed", write_zip(left), name
    yield "flipped", write_zip(files | {name: flipped}), name
    yield "cut", write_zip(files | {name: data[:-1]}), name
    yield "empty", write_zip(files | {name: b""}), name
    if name in other and other[name] != data:
        mixed = write_zip(files | {name: other[name]})
        yield "of another package", mixed, "" if name == package.HEAD else name
    for new in (name.upper(), f"../{name}", f"/{name}", name.replace("/", "\\"), f"{name}/"):
        if new != name:
            yield f"also as {new!r}", write_zip(files | {new: data}), ""
            yield f"renamed {new!r}", write_zip(left | {new: data}), ""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns when it writes a name twice
        for one in (*sorted(files), name):
            archive.writestr(zipfile.ZipInfo(one, FIXED_TIME), files[one])
    yield "twice", out.getvalue(), ""


@pytest.mark.thorough
def test_each_file_of_a_package_changed_in_each_way_is_refused_by_its_name(
    department: Department, files: Files
) -> None:
    public = department.home.log_key().public_key()
    token = department.logon("super")
    hold = department.held(token)
    made = department.call("hold/export", token, ExportForm(hold=hold, medium="USB 2", ground=GROUND))
    assert isinstance(made, Exported)
    other, unnamed = unpacked(made.package), []
    assert unpacked(write_zip(files)) == files
    package.check(write_zip(files), public)
    for name in files:
        for change, data, where in swept(files, name, other):
            try:
                package.check(data, public)
            except StorageError as error:
                if where in str(error):
                    continue
            unnamed.append((name, change))
    assert unnamed == []


def test_a_package_with_anything_beside_its_files_is_refused(department: Department, files: Files) -> None:
    """Other programs would show it: for example, another cover sheet before or after the archive."""
    whole, public = write_zip(files), department.home.log_key().public_key()
    named = zipfile.ZipInfo("cover.html", FIXED_TIME)  # Info-ZIP prefers the name in this field
    words = struct.pack("<BL", 1, zlib.crc32(b"cover.html")) + b"../cover.html"
    named.extra = struct.pack("<HH", 0x7075, len(words)) + words
    linked = zipfile.ZipInfo("cover.html", FIXED_TIME)
    linked.external_attr = 0o120777 << 16
    cut_name = write_zip(taken(files, "cover.txt") | {"cover.txt~": files["cover.txt"]})
    changed = [
        write_zip({"cover.html": b"another"}) + whole,
        whole + b"more",
        cut_name.replace(b"cover.txt~", b"cover.txt\0"),
    ]
    for info in (named, linked):
        out = BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(files):
                archive.writestr(
                    info if name == info.filename else zipfile.ZipInfo(name, FIXED_TIME), files[name]
                )
        changed.append(out.getvalue())
    for data in changed:
        with pytest.raises(PackageError, match=r"is not a ZIP as a department writes it|does not belong"):
            package.check(data, public)


@pytest.fixture
def verify(
    department: Department, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run `department verify` on a package as a stranger does."""

    def run(data: bytes, *words: str) -> tuple[int, str]:
        (tmp_path / "package.zip").write_bytes(data)
        key = department.desk.log.note_key.text()
        status = main(["verify", str(tmp_path / "package.zip"), "--key", key, *words])
        return status, capsys.readouterr().out

    return run


def test_a_stranger_sees_that_a_witness_saw_the_entry(
    department: Department, files: Files, verify: Callable[..., tuple[int, str]]
) -> None:
    data = signed_again(files, department.home.log_key())
    (witness,) = department.desk.root.witnesses
    status, out = verify(data, "--witness-key", ",".join(witness.keys))
    assert (status, "the package verifies" in out) == (0, True)
    assert "of the access log, co-signed at 20" in out
    status, out = verify(data)
    assert (status, "not proven without --witness-key" in out) == (3, True)
    assert ("the package verifies" in out, "the signatures hold" in out) == (False, True)
    stranger = cosigner_of_nobody()
    status, out = verify(data, "--witness-key", stranger)
    assert (status, "no quorum" in out, "the package verifies" in out) == (3, True, False)


def cosigner_of_nobody() -> str:
    """The keys of a witness that signed nothing."""
    return NoteKey("stranger.example/w", Ed25519PrivateKey.generate().public_key(), TYPE_COSIGNATURE).text()


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("cover.html", b"7ABC000", b"7ABC009", "cover.html: does not match the reads"),
        (
            "cover.txt",
            b"reads/0: unit ",
            b"reads/0: other ",
            "cover.txt: does not match the reads",
        ),
        (package.SHEET, b"authority", b"plate now", "sheet.cbor: has a statement that no department's"),
        (package.SHEET, None, None, "sheet.cbor: is missing"),
    ],
)
def test_a_sheet_that_says_something_else_than_the_reads_is_refused(
    files: Files, department: Department, name: str, old: bytes | None, new: bytes, words: str
) -> None:
    """It was made by a person who holds the log key and signs the whole package again."""
    key = department.home.log_key()
    assert package.check(signed_again(files, key), key.public_key()).sheet_unchecked == ""
    data = files.pop(name)
    if old is not None:
        assert old in data
        files[name] = data.replace(old, new)
    with pytest.raises(PackageError, match=words):
        package.check(signed_again(files, key), key.public_key())


@pytest.mark.parametrize("zone", ["Nowhere/Else", "UTC-11:00"])
def test_a_sheet_is_checked_where_time_zone_data_differ(
    files: Files, department: Department, zone: str
) -> None:
    """Local times may differ: zones get new rules, and packages are checked for decades."""
    key = department.home.log_key()
    words = codec.from_bytes(cover_sheet.SheetWords, files[package.SHEET])
    other = files | {package.SHEET: codec.to_bytes(replace(words, zone=zone))}
    said = package.check(signed_again(other, key), key.public_key()).sheet_unchecked
    assert said.startswith("the local times in brackets in cover.html and cover.txt")
    data = signed_again(other | {"cover.html": files["cover.html"].replace(b"7ABC000", b"7ABC999")}, key)
    with pytest.raises(PackageError, match=r"cover\.html: does not match the reads"):
        package.check(data, key.public_key())


def without_hold(files: Files) -> Files:
    return {name: data for name, data in files.items() if not name.startswith("hold.")}


def test_a_sheet_or_a_format_of_a_later_program_is_refused_with_what_to_do(
    files: Files, department: Department
) -> None:
    key = department.home.log_key()
    plain = envelope.decode(files[package.SHEET])
    assert isinstance(plain, dict)
    newer = plain | {"version": cover_sheet.VERSION + 1, "more": ""}
    data = signed_again(files | {package.SHEET: envelope.encode(newer)}, key)
    with pytest.raises(PackageError, match=r"is worded by a later version of this program \(update"):
        package.check(data, key.public_key())
    signed = envelope.open_signed(files[package.HEAD], key.public_key(), context=package.CONTEXT)
    head = dict(cast("dict[str, Any]", envelope.decode(signed))) | {"format": package.FORMAT + 1}
    for more in ({}, {"more": ""}):
        later = envelope.sign(envelope.encode(head | more), key, context=package.CONTEXT)
        with pytest.raises(PackageError, match=r"has a later format than this program knows \(update"):
            package.check(write_zip(files | {package.HEAD: later}), key.public_key())
    data = signed_again(files | {package.SHEET: envelope.encode(plain | {"version": 0})}, key)
    with pytest.raises(PackageError, match="its version does not exist"):
        package.check(data, key.public_key())
    data = signed_again(files | {package.SHEET: envelope.encode(plain | {"version": 1})}, key)
    with pytest.raises(PackageError, match="no program writes such a sheet in a package of this format"):
        package.check(data, key.public_key())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "is a folder, and a department's package is one ZIP file"),
        ("unit", "is a unit's package"),
        ("unit.zip", "is a unit's package in a ZIP file"),
        ("sparse.zip", "is larger than any file that this command takes"),
    ],
)
def test_what_is_not_a_departments_package_says_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "log.pub").touch()
    (tmp_path / "unit.zip").write_bytes(write_zip({"E-1/log.pub": b"", "E-1/package.cose": b""}))
    (tmp_path / "sparse.zip").touch()
    os.truncate(tmp_path / "sparse.zip", MOST_BYTES + 1)
    with pytest.raises(InvalidInputError, match=words):
        read_package(tmp_path / name)


def test_a_picture_that_a_package_leaves_out_is_named(
    files: Files, department: Department, verify: Callable[..., tuple[int, str]]
) -> None:
    shown = codec.from_bytes(Shown, files["reads/0/elements.cbor"], limit=64 << 20)
    less = Shown(elements=tuple(one for one in shown.elements if one.name != "overview"))
    left = {name: data for name, data in without_hold(files).items() if "overview" not in name}
    left["reads/0/elements.cbor"] = codec.to_bytes(less)
    key = department.home.log_key()
    assert "not in this package" not in verify(signed_again(files, key))[1]
    left.pop(package.SHEET)
    _status, out = verify(signed_again(left, key, format=package.NO_SHEET))
    assert "not in this package: reads/0 has overview too, as its unit signed" in out
    assert "not checked: the words of cover.html" in out


def test_a_package_of_the_first_format_says_what_it_does_not_prove(
    department: Department, files: Files, verify: Callable[..., tuple[int, str]]
) -> None:
    older = {name: data for name, data in without_hold(files).items() if "entries/" not in name}
    older.pop(package.SHEET)
    key = department.home.log_key()
    status, out = verify(signed_again(older, key, format=package.NO_ENTRIES))
    assert (status, "not proven: that it left by an entry" in out) == (3, True)
    assert "the package verifies" not in out


@pytest.mark.parametrize("number", [package.NO_SHEET, package.NO_HOLD, package.NO_NAMES])
def test_an_earlier_format_never_verifies_whole_and_says_what_is_not_checked(
    department: Department, verify: Callable[..., tuple[int, str]], number: int
) -> None:
    """Otherwise a forger with the log's key would choose the format with the fewest checks."""
    key, (witness,) = department.home.log_key(), department.desk.root.witnesses
    with earlier_program(2):
        older = exported(department)
    if number < package.NO_NAMES:
        older = without_hold(older)
    if number == package.NO_SHEET:
        older = taken(older, package.SHEET)
    status, out = verify(signed_again(older, key, format=number), "--witness-key", ",".join(witness.keys))
    assert (status, "the package verifies" in out) == (3, False)
    assert "of an earlier format, by which less is checked: a person with the department log's key" in out
    if number == package.NO_NAMES:
        assert "not in this package: the people's full names, the second person's name" in out
    else:
        assert "(a package of an earlier version), which are the department's" in out
