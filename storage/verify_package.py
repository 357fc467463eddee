"""Checks an evidence package on any machine: signed head, every file, every leaf, proof and commitment."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from storage import codec, envelope, evidence, files, merkle, sealing, tlog_proof, verify_sheet
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.counts import counted
from storage.errors import LedgerError, PackageError, ProofError
from storage.evidence import Shown, UnitPackageHead
from storage.findings import UnitReport, caught
from storage.leaf import Leaf, log_id_of, open_leaf, origin_of
from storage.read_records import ReadText
from storage.sealing import Opened
from storage.verify_sheet import SHEETS, TEXT, UPDATE, OpenedRecord

HEAD_FILE, KEY_FILE, ANCHOR = "package.cose", "log.pub", "anchor"
MAX_FILE_BYTES = 64 << 20
OF_FILE_MANAGERS = (".DS_Store", "._", "Thumbs.db", "desktop.ini")
LINE_ENDS = (
    "was altered: its line ends are those of Windows now, as a mail program or an editor writes them: "
    "get the package again, in one ZIP file or on a medium"
)
OF_THE_PACKAGE = ("log.pub", "checkpoint", ANCHOR, f"{ANCHOR}.proof", *SHEETS)


def is_package(path: Path) -> bool:
    """Whether a folder is an evidence package."""
    return (path / HEAD_FILE).is_file()


def verify_package(folder: Path, key: NoteKey | None, department: NoteKey | None = None) -> UnitReport:
    """Check a package against `key` (its own log.pub if None: then it is only consistent, not proven).

    department: its log's key, which must have co-signed this log; that also proves the log key.
    """
    report = UnitReport()
    key = _key(folder, key, report)
    if key is None:
        return report
    key = NoteKey(origin_of(log_id_of(key.public)), key.public)
    report.log_id = log_id_of(key.public).hex()
    with caught(report, HEAD_FILE):
        head_bytes = envelope.open_signed(_read(folder, HEAD_FILE), key.public, context=evidence.CONTEXT)
        plain = envelope.decode(head_bytes)
        if codec.is_later(plain, evidence.FORMAT):
            what = f"has a later format than this program knows: {UPDATE}"
            raise PackageError(what, where=HEAD_FILE)
        head = codec.from_plain(UnitPackageHead, plain)
        if head.format != evidence.FORMAT or head.log_id != log_id_of(key.public):
            raise PackageError("of another format or another log", where=HEAD_FILE)
        _files(folder, head, report)
        if any(one.what == LINE_ENDS for one in report.findings):
            return report  # other findings about such files would hide the reason
        proven, shown = set(OF_THE_PACKAGE), dict[int, OpenedRecord]()
        checkpoint = _read(folder, "checkpoint").decode(errors="replace")
        for name, sequences in (("records", head.records), ("accesses", head.accesses)):
            if len(set(sequences)) != len(sequences):
                report.add(HEAD_FILE, f"names one of its {name} twice")
            for sequence in sequences:
                with caught(report, f"{name}/{sequence}", sequence):
                    about, leaf, opened = _record(
                        folder / name / str(sequence), sequence, key, report, checkpoint
                    )
                    proven |= {f"{name}/{sequence}/{one}" for one in about}
                    shown[sequence] = leaf, opened
                    _whole(head, f"{name}/{sequence}", leaf, opened, report)
        for name in sorted({name for name, _ in head.files} - proven):
            report.add(name, "is listed, but no signed record is about it")
        if (ANCHOR in dict(head.files)) or department is not None:
            with caught(report, ANCHOR):
                size = _anchored(folder, key, department)
                if department is not None:
                    report.anchored, report.anchored_by = size, "department"
        _say_newer(head, department, report)
        if not report.findings:
            verify_sheet.check(head, key, shown, {one: _read(folder, one) for one in SHEETS}, report)
        report.records = len(head.records)
        if head.demo:
            report.notes.append("made by a unit that belongs to no department (demo)")
        report.notes.append(evidence.SENTENCE)
    return report


def _key(folder: Path, given: NoteKey | None, report: UnitReport) -> NoteKey | None:
    """The key to check with: the given one, else the package's own; None if there is neither."""
    own = None
    with caught(report, KEY_FILE):
        own = NoteKey.parse(_read(folder, KEY_FILE).decode())
        if own.name != origin_of(log_id_of(own.public)):
            report.add(KEY_FILE, "gives the log a name that is not its own")
        if given is not None and envelope.raw_public(own.public) != envelope.raw_public(given.public):
            report.add(KEY_FILE, "is not the key that was given")
    return given or own


def _whole(
    head: UnitPackageHead, where: str, leaf: Leaf, opened: Mapping[str, Opened], report: UnitReport
) -> None:
    """Check that a record shows all its elements, except for those that the head names as withheld."""
    if set(opened) != set(leaf.elements) - evidence.hidden(head.withheld):
        report.add(where, "shows other elements than the package says", leaf.sequence)
    text = opened.get(TEXT)
    if not head.demo and text is not None and codec.from_bytes(ReadText, text.content).demo:
        report.notes.append(f"{where} was made while the unit belonged to no department (demo)")


def _say_newer(head: UnitPackageHead, department: NoteKey | None, report: UnitReport) -> None:
    """Report which records rest only on the log's key: with it, a thief can add records to an old anchor."""
    newer = [one for one in head.records if one >= report.anchored]
    if department is not None and newer and not report.findings:
        records = counted(len(newer), "record")
        report.unchecked.append(
            f"whether the department has {records}, the first {newer[0]}: newer than its co-signature in the "
            "package, and so proven by the log's key alone; have them exported again after a sync"
        )
    elif department is None and not head.demo:
        report.notes.append(
            "not proven: that the department has these records, which the holder of the log's key can make; "
            "--department PUBLIC proves it of those that it co-signed"
        )


def _anchored(folder: Path, key: NoteKey, department: NoteKey | None) -> int:
    """Check that the co-signed checkpoint is of this log, that the package's continues it, and that this
    department co-signed it; returns its size.
    """
    if not (folder / ANCHOR).is_file():
        raise PackageError("is missing: the department had co-signed nothing of this log", where=ANCHOR)
    note = _read(folder, ANCHOR).decode()
    anchor, head = open_checkpoint(note, key), open_checkpoint(_read(folder, "checkpoint").decode(), key)
    proof = [base64.b64decode(line, validate=True) for line in _read(folder, f"{ANCHOR}.proof").split()]
    merkle.verify_consistency(anchor.size, anchor.root, head.size, head.root, proof)
    if department is not None:
        signer = NoteKey(department.name, department.public, TYPE_COSIGNATURE)
        if not open_cosignatures(note, [signer]):
            raise PackageError("is not co-signed by the department whose key was given", where=ANCHOR)
    return anchor.size


def _read(folder: Path, name: str) -> bytes:
    try:
        return files.read_bounded(folder / name, MAX_FILE_BYTES)
    except LedgerError as error:
        raise PackageError(error.what, where=name) from None


def _files(folder: Path, head: UnitPackageHead, report: UnitReport) -> None:
    """Check that every listed file is there and unaltered, and that there are no others."""
    listed = dict(head.files)
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
    for name in sorted(there - set(listed) - {HEAD_FILE, "SHA256SUMS"}):
        own = name.rpartition("/")[2].startswith(OF_FILE_MANAGERS)
        what = (
            "was made by this machine's file manager: delete it" if own else "does not belong to the package"
        )
        report.add(name if name.isprintable() else ascii(name), what)
    for name, digest in listed.items():
        with caught(report, name):
            if name not in there:
                report.add(name, "is missing")
                continue
            data = _read(folder, name)
            if not hmac.compare_digest(hashlib.sha256(data).digest(), digest):
                unix = data.replace(b"\r\n", b"\n")
                mailed = hmac.compare_digest(hashlib.sha256(unix).digest(), digest)
                what = LINE_ENDS if mailed else "was altered: its SHA-256 is not the signed one"
                report.add(name, what)
    with caught(report, "SHA256SUMS"):
        said, sums = _read(folder, "SHA256SUMS"), evidence.sums(head.files)
        if said != sums:
            mailed = said.replace(b"\r\n", b"\n") == sums
            report.add("SHA256SUMS", LINE_ENDS if mailed else "differs from the signed list")


def _record(
    folder: Path, sequence: int, key: NoteKey, report: UnitReport, checkpoint: str
) -> tuple[set[str], Leaf, dict[str, Opened]]:
    """Check one record: leaf, proof, commitments, and the plain files against the commitments.

    Returns all its files, its leaf, and its shown elements. `checkpoint`: the package's, which must prove it.
    """
    data = _read(folder, "leaf.cose")
    leaf = open_leaf(data, key.public)
    proof = tlog_proof.parse(_read(folder, "record.tlog-proof").decode())
    head = open_checkpoint(proof.checkpoint, key)
    # the anchor covers this checkpoint; with another one the log key could prove anything
    if proof.checkpoint != checkpoint:
        raise ProofError("is not proven under the package's tree head", where=f"record {sequence}")
    if leaf.sequence != sequence or proof.index != sequence or leaf.log_id != log_id_of(key.public):
        raise ProofError("is not the record that its folder names", where=f"record {sequence}")
    merkle.verify_inclusion(sequence, head.size, merkle.leaf_hash(data), proof.path, head.root)
    about = {"leaf.cose", "record.tlog-proof", "elements.cbor"}
    shown = codec.from_bytes(Shown, _read(folder, "elements.cbor"), limit=MAX_FILE_BYTES)
    for one in shown.elements:
        where = f"record {sequence}, {one.name}"
        mark = leaf.elements.get(one.name)
        if mark is None or not hmac.compare_digest(
            sealing.commitment(one.name, one.salt, one.content), mark.commitment
        ):
            report.add(where, "is not what the signed record holds", sequence)
        plain = evidence.extension(one.name, one.content)
        about.add(plain)
        if _read(folder, plain) != evidence.plain_view(leaf.kind, one.name, one.content):
            report.add(where, "the plain file differs from the record", sequence)
    return about, leaf, {one.name: Opened(one.name, one.salt, one.content) for one in shown.elements}
