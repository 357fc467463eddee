"""Compares a maintenance grant in the log with what the person who gave it signed (463.3). No I/O.

The entry has only the grant's digest. The grant is rebuilt from the signed form, so that a signature for a
repair cannot become a grant that destroys, or one for another key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from storage import envelope
from storage.codec import read_field, to_bytes
from storage.grant_format import (
    REPAIR_COMMANDS,
    WITHOUT_RESET,
    Bundle,
    Grant,
    GrantRole,
    format_of,
    latest_us,
    takes_two_people,
)
from storage.ssh_signature import SshPublicKey
from sync.department.journal.entries import AccountSet
from sync.department.journal.entry_base import Note
from sync.department.journal.office_entries import GrantIssued
from sync.department.journal.statements import SIGNED_WITHIN_US, Statement
from sync.department.journal.unsigned import UnsignedError

Form = Mapping[str, Any]


def can_destroy(note: Note) -> bool:
    """Whether an entry gives a grant that can destroy a unit's content or replace its software."""
    return isinstance(note, GrantIssued) and takes_two_people(note.commands)


def holder_of(note: Note) -> str:
    """The person whom a grant lets in, who cannot be its second person; empty for other entries."""
    return note.person if isinstance(note, GrantIssued) else ""


def is_signed_grant(note: GrantIssued, form: Form, said: Statement) -> bool:
    """Whether the signed form gives exactly this grant: key, commands, end and what it destroys."""
    if abs(note.from_us - said.at_us) > SIGNED_WITHIN_US and said.call == "grant/issue":
        return False
    if said.call == "grant/enter":
        return _of_night(note, form)
    named, log = set(form.get("commands") or ()), log_of(form)
    up_to, holds = destroyed_by(form)
    most = REPAIR_COMMANDS if "approval" in form else WITHOUT_RESET
    role = GrantRole(note.role)
    ends_us = latest_us(role, note.from_us, form.get("hours"), form["to_us"])
    if len(set(note.units)) != len(set(form["units"])) or note.to_us > ends_us:
        return False
    if set(note.commands) != named if named else not most.issuperset(note.commands):
        return False
    made = Grant(
        format=format_of(log), grant_id=note.grant_id, person=note.person, organisation=note.organisation,
        role=role, holder_key=SshPublicKey.from_line(form["holder_key"]).blob, purpose=note.purpose,
        work_order=note.work_order, units=note.units, commands=note.commands, issued_us=note.from_us,
        from_us=note.from_us, to_us=note.to_us, destroy_up_to=up_to,
        destroy_holds=holds, destroy_log=log,
    )  # fmt: skip
    return note.digest == hashlib.sha256(to_bytes(made)).digest() and note.holder == made.holder.fingerprint


def log_of(form: Form) -> str:
    """The first digits of the only log that a signed grant may end; empty if none. Raises RecordError."""
    return str(read_field(str, form.get("destroy_log", ""), "destroy_log"))


def destroyed_by(form: Form) -> tuple[int, tuple[int, ...]]:
    """The last record and the holds that a signed grant may destroy. Raises RecordError."""
    holds = read_field(tuple[int, ...], form.get("destroy_holds", []), "destroy_holds")
    return int(read_field(int, form.get("destroy_up_to", 0), "destroy_up_to")), holds


def destroys_records(form: Form) -> bool:
    """Whether a signed grant gives up records or holds that exist only at a unit."""
    return bool(form.get("destroy_up_to") or form.get("destroy_holds"))


def demand_log_named(form: Form) -> None:
    """Raises UnsignedError if a grant destroys records without naming their log."""
    if destroys_records(form) and not form.get("destroy_log"):
        raise UnsignedError("it destroys records, and names no log whose they are")


def demand_own_key(note: GrantIssued, accounts: Iterable[AccountSet]) -> None:
    """Raises UnsignedError if the key is another person's, who would get in under the named one's name."""
    owners = [
        one.user
        for one in accounts
        if one.active and note.holder in {SshPublicKey(blob).fingerprint for blob in one.ssh_keys}
    ]
    if owners and note.person not in owners:
        raise UnsignedError(f"its key is {owners[0]}'s")


def _of_night(note: GrantIssued, form: Form) -> bool:
    """Whether the form contains a grant that was signed elsewhere and entered later."""
    bundle = form["bundle"]
    if isinstance(bundle, dict):  # too long for the form, which has only its digest
        return False
    return note.digest == hashlib.sha256(envelope.split(Bundle.parse(bundle).grant)[1]).digest()
