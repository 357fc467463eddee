"""A unit's evidence packages: made at the door, unpacked, and signed again with a stolen log key."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from custody_twins import ask_signed

from storage import codec, envelope, evidence
from storage.audit_records import UnitAccess
from storage.door import Door, hold_subject
from storage.evidence import export_subject
from storage.ledger import Ledger
from storage.record_base import ClockState

ADMIN = ("demo-admin", "administrator")
Files = dict[str, bytes]


def folder_of(files: Files, kind: str) -> str:
    """The first folder of records or accesses."""
    return next(name.rpartition("/")[0] for name in sorted(files) if name.startswith(f"{kind}/"))


def hold(door: Door, ledger: Ledger, *records: int) -> int:
    order = (records, "expected-evidence", "Lt. Ortiz", "26-0815")
    body = ask_signed(door, ledger, *ADMIN, "hold", hold_subject(*order))
    fields = {"records": list(records), "ground": order[1], "authority": order[2], "number": order[3]}
    return int(door.answer("hold", body | fields)["hold"])


def export(door: Door, ledger: Ledger, hold: int, *withhold: str, number: str = "E-1") -> dict[str, bytes]:
    body = ask_signed(door, ledger, *ADMIN, "export", export_subject((), hold, number, withhold))
    fields: dict[str, Any] = {"hold": hold, "records": [], "number": number, "withhold": list(withhold)}
    files: dict[str, bytes] = door.answer("export", body | fields)["files"]
    return files


def build_logged(ledger: Ledger, *records: int) -> dict[str, bytes]:
    """Make a package as the door does, including the record of its export, but without authentication."""
    order = evidence.ExportOrder(records=records, withhold=(), number="E-2", hold=None, user="x", demo=False)
    ledger.append(
        UnitAccess(
            action="export", at_us=ledger.store.time.now().us, clock_state=ClockState.DISCIPLINED, user="x",
            role="y", organisation="z", purpose="investigation", case_number="26-1",
            elements=export_subject(records, None, "E-2", ()), allowed=True, refusal=None, proof="",
            demo=False, records=records,
        )
    )  # fmt: skip
    return evidence.build(ledger.store, order)


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def file_of(package: Path) -> Files:
    return {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}


def signed_again(files: Files, ledger: Ledger, **changes: Any) -> evidence.UnitPackageHead:
    """These files with a newly signed head over them, some of whose fields are changed."""
    body = envelope.open_signed(files["package.cose"], ledger.public_key.public, context=evidence.CONTEXT)
    head = codec.from_bytes(evidence.UnitPackageHead, body)
    names = sorted(set(files) - {"package.cose", "SHA256SUMS"})
    listed = tuple((name, hashlib.sha256(files[name]).digest()) for name in names)
    head = replace(head, files=listed, **changes)
    private = ledger.store.log._key
    files["package.cose"] = envelope.sign(codec.to_bytes(head), private, context=evidence.CONTEXT)
    files["SHA256SUMS"] = evidence.sums(listed)
    return head
