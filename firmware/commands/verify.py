"""`reader verify`: check a home or an evidence package, with a public key from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

import click

from firmware.custody.opening import slot_of
from firmware.errors import UsageError
from hw.errors import HardwareError
from storage import slot
from storage.checkpoint import NoteKey
from storage.counts import counted
from storage.errors import CheckpointError, LedgerError, SlotError
from storage.findings import UnitReport
from storage.home import Home
from storage.opening import ASIDE
from storage.verify import verify_home
from storage.verify_package import KEY_FILE, is_package, verify_package
from sync.command_frame import Common, verb
from sync.errors import DONE, FOUND_WRONG, PART_LACKING, NotEnrolledError
from sync.membership import SyncFolder
from sync.messages import department_origin

SET_ASIDE = re.compile(f"{ASIDE}[0-9]+")


@verb("verify", example="reader verify /media/evidence-0815 --key unit-7.pub")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[HOME|PACKAGE]")
@click.option("--key", "public", metavar="PUBLIC", help="The log's public key: a file, or name+id+base64.")
@click.option(
    "--department",
    "department_public",
    metavar="PUBLIC",
    help="The department log's public key. For a HOME it checks co-signatures and receipts (default: the "
    "department it enrolled with); for a PACKAGE it proves the log's key by the co-signature inside, and "
    "the records that it covers.",
)
def verify(common: Common, *, path: Path | None, public: str | None, department_public: str | None) -> int:
    """Check every signature, the log and the receipts, and name the first bad record.

    HOME is a unit's data folder (default: --home), PACKAGE an evidence package. Without --key the command
    uses the store's own key: a HOME can then be consistent, but is not proven to be this unit's, and a
    PACKAGE is not proven at all (exit status 1). With --department, a record that is newer than the
    co-signature in the PACKAGE rests on the log's key alone (exit status 3).
    """
    path = path or common.home
    key = read_key(public) if public else None
    if not path.exists():
        raise UsageError(f"{path}: does not exist")
    if path.is_file() and zipfile.is_zipfile(path):
        if _holds_a_units(path):
            raise UsageError(f"{path}: a unit's package in a ZIP file: unpack it, and check the folder")
        raise UsageError(
            f"{path}: a department's package: check it with `department verify {path} --key KEY`, "
            "where KEY is the department log's"
        )
    department = read_key(department_public, "--department") if department_public else None
    if path != common.home and not is_package(path) and not Home(path).folder.is_dir():
        raise UsageError(f"{path}: neither a unit's home (it has a folder `store`) nor an evidence package")
    proven = key is not None
    if is_package(path):
        report, kind = verify_package(path, key, department), "package"
        proven = proven or department is not None
        if not proven and report.ok:
            report.add("key", "unproven: give --key PUBLIC or --department PUBLIC, obtained elsewhere")
    else:
        report, kind = check_home(path, key, department), "home"
    show(report, path, kind, proven=proven, as_json=common.json)
    if not report.ok:
        return FOUND_WRONG
    return DONE if report.complete else PART_LACKING


def _holds_a_units(path: Path) -> bool:
    """Whether a ZIP file is a unit's package, which contains its log's key; a department's does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(one).name == KEY_FILE for one in archive.namelist())
    except (zipfile.BadZipFile, RuntimeError, OSError, ValueError):
        return False


def read_key(text: str, option: str = "--key") -> NoteKey:
    """The public key from a file or from the option itself. Raises UsageError."""
    try:
        path = Path(text)
        return NoteKey.parse(path.read_text(encoding="utf-8") if path.is_file() else text)
    except CheckpointError as error:
        raise UsageError(f"{option} {text}: {error}") from None
    except (OSError, ValueError):  # an impossible file name, an unreadable file, or not text
        raise UsageError(f"{option} {text[:80]}: neither a text file nor a public key") from None


def check_home(path: Path, key: NoteKey | None, department: NoteKey | None = None) -> UnitReport:
    """Check a home, including its slot's content if this machine can read it."""
    content: slot.SlotContent | None = None
    wrong = absent = ""
    given_up = _is_given_up(path.absolute())
    try:
        data = None if given_up else slot_of(path).read()
        content = None if data is None else slot.SlotContent.parse(data, where="slot")
    except (SlotError, LedgerError) as error:
        wrong = str(error)
    except (HardwareError, OSError) as error:
        absent = f" ({error})"
    membership = UnitReport()
    department = department or _own_department(path, membership)
    report = verify_home(Home(path), key, content, department, given_up=given_up)
    report.findings += membership.findings
    if wrong:
        report.add("slot", wrong)
    elif given_up:
        report.notes.append(
            "this log was given up: its slot serves another or is destroyed, so keys and its anchor were "
            "not checked"
        )
    elif content is None:
        report.notes.append(f"the slot is empty or not here: keys and its anchor were not checked{absent}")
    return report


def _is_given_up(path: Path) -> bool:
    """Whether this is HOME/sync/old/LOG or HOME/damaged-N, whose key is gone: the slot serves a later log or
    was destroyed."""
    if path.parent.name == "old":
        return True
    aside = SET_ASIDE.fullmatch(path.name) is not None and Home(path.parent).exists()
    return aside and not Home(path).file_slots()


def _own_department(path: Path, report: UnitReport) -> NoteKey | None:
    """The key of the department that the home names; if its file is damaged, that is a finding."""
    folder = SyncFolder.of(path)
    if not folder.is_member():
        return None
    try:
        public = folder.member().department_public()
    except (NotEnrolledError, ValueError) as error:
        report.add("sync/member.cbor", f"{error}: nothing that the department signed could be checked")
        return None
    return NoteKey(department_origin(public), public)


def show(report: UnitReport, path: Path, kind: str, *, proven: bool, as_json: bool) -> None:
    """Print the verdict as text, or as one JSON object."""
    first = report.first_bad
    if as_json:
        facts = dataclasses.asdict(report) | {"ok": report.ok, "kind": kind, "key_proven": proven}
        facts["first_bad_record"] = None if first is None else first.record
        print(json.dumps(facts))
        return
    if report.ok:
        verdict = "consistent" if report.complete else "NOT ALL CHECKED, and nothing wrong found"
        records = counted(report.records, "record")
        print(f"{path}: {verdict}: {records}, {report.purged_records} purged by receipt")
        by = {"department": "by the department", "slot": "by the slot's chip"}.get(report.anchored_by, "")
        seen = f"anchored up to record {report.anchored} {by}" if report.anchored else "no anchor seen"
        print(f"log {report.log_id[:16]}" + (f", {seen}" if kind == "home" or report.anchored else ""))
    else:
        first = first or report.findings[0]
        findings = counted(len(report.findings), "finding")
        print(f"{path}: WRONG: {findings}; the first: {first.where}: {first.what}")
        for finding in report.findings:
            print(f"  {finding.where}: {finding.what}", file=sys.stderr)
    for what in report.unchecked:
        print(f"could not be checked: {what}", file=sys.stderr)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if not proven:
        print("key: the store's own; give --key PUBLIC, obtained elsewhere, to prove whose it is")
