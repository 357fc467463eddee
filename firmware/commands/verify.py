"""`reader verify`: check a home or an evidence package, with a public key that came from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import sys
import zipfile
from pathlib import Path

import click

from firmware.custody.opening import slot_of
from firmware.errors import UsageError
from hw.errors import HardwareError
from storage import slot
from storage.checkpoint import NoteKey
from storage.errors import CheckpointError, SlotError
from storage.findings import Report
from storage.home import Home
from storage.verify import verify_home
from storage.verify_package import is_package, verify_package
from sync.command_frame import DONE, FOUND_WRONG, Common, verb
from sync.errors import NotEnrolledError
from sync.membership import SyncFolder
from sync.messages import department_origin


@verb("verify", example="reader verify /media/evidence-0815 --key unit-7.pub")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[HOME|PACKAGE]")
@click.option("--key", "public", metavar="PUBLIC", help="The log's public key: a file, or name+id+base64.")
@click.option(
    "--department",
    "department_public",
    metavar="PUBLIC",
    help="The department log's public key. For a HOME it checks co-signatures and receipts (default: the "
    "department it enrolled with); for a PACKAGE it proves the log's key by the co-signature inside.",
)
def verify(common: Common, *, path: Path | None, public: str | None, department_public: str | None) -> int:
    """Check every signature, the log and the receipts, and name the first bad record.

    HOME is a unit's data folder (default: --home), PACKAGE an evidence package. Without --key the key is the
    store's own: a HOME can then be consistent, but is not proven to be this unit's, and a PACKAGE is not
    proven at all (exit status 1).
    """
    path = path or common.home
    key = read_key(public) if public else None
    if not path.exists():
        raise UsageError(f"{path}: does not exist")
    if zipfile.is_zipfile(path):
        raise UsageError(
            f"{path}: a department's package: check it with `department verify {path} --key KEY`, "
            "where KEY is the department log's"
        )
    department = read_key(department_public, "--department") if department_public else None
    proven = key is not None
    if is_package(path):
        report, kind = verify_package(path, key, department), "package"
        proven = proven or department is not None
        if not proven and report.ok:
            report.add("key", "unproven: give --key PUBLIC or --department PUBLIC, obtained elsewhere")
    else:
        report, kind = check_home(path, key, department), "home"
    show(report, path, kind, proven=proven, as_json=common.json)
    return DONE if report.ok else FOUND_WRONG


def read_key(text: str, option: str = "--key") -> NoteKey:
    """The public key from a file or given in full. Raises UsageError."""
    try:
        path = Path(text)
        return NoteKey.parse(path.read_text(encoding="utf-8") if path.is_file() else text)
    except (CheckpointError, OSError, ValueError) as error:
        raise UsageError(f"{option} {text}: {error}") from None


def check_home(path: Path, key: NoteKey | None, department: NoteKey | None = None) -> Report:
    """The home's report, with what its slot holds where it can be read from here."""
    content: slot.SlotContent | None = None
    problem = ""
    try:
        data = slot_of(path).read()
        content = None if data is None else slot.SlotContent.parse(data, where="slot")
    except (HardwareError, SlotError, OSError, UnicodeDecodeError) as error:
        problem = str(error)
    given_up = path.parent.name == "old"  # HOME/sync/old/LOG: the slot serves the log that took its place
    if given_up:
        content, problem = None, ""
    report = verify_home(Home(path), key, content, department or _own_department(path))
    if problem:
        report.add("slot", problem)
    elif given_up:
        report.notes.append(
            "this log was given up: the slot serves its successor, its anchor was not checked"
        )
    elif content is None:
        report.notes.append("the slot is empty or not on this machine: keys and its anchor were not checked")
    return report


def _own_department(path: Path) -> NoteKey | None:
    """The department that the home says it belongs to."""
    try:
        public = SyncFolder.of(path).member().department_public()
    except NotEnrolledError:
        return None
    return NoteKey(department_origin(public), public)


def show(report: Report, path: Path, kind: str, *, proven: bool, as_json: bool) -> None:
    """The verdict for people, or as one JSON object."""
    first = report.first_bad
    if as_json:
        facts = dataclasses.asdict(report) | {"ok": report.ok, "kind": kind, "key_proven": proven}
        facts["first_bad_record"] = None if first is None else first.record
        print(json.dumps(facts))
        return
    if report.ok:
        print(f"{path}: consistent: {report.records} records, {report.purged_records} purged by receipt")
        seen = f"anchored up to record {report.anchored}" if report.anchored else "no anchor seen"
        print(f"log {report.log_id[:16]}" + (f", {seen}" if kind == "home" else ""))
    else:
        first = first or report.findings[0]
        print(f"{path}: WRONG: {len(report.findings)} findings; the first: {first.where}: {first.what}")
        for finding in report.findings:
            print(f"  {finding.where}: {finding.what}", file=sys.stderr)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if not proven:
        print("key: the store's own; give --key PUBLIC, obtained elsewhere, to prove whose it is")
