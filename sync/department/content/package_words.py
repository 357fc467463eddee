"""The words of its own that a department puts on a cover sheet, made of the entries under which reads left.
No I/O.

An export rests on a hold, whose entry is in the package too: it says the ground, the authority and since
when. The entry of the export says by whom, and the form that this person signed, in it, onto which medium.
That of a delivery says by whom and for which request, and has the digest of for whom and what for: the words
are in the request's own entry, beside the agency's letter, and so not in the package.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, TypeAlias

from storage.errors import PackageError, StorageError
from sync.department.content.package_entries import LeftUnder
from sync.department.ground.local_time import both_text
from sync.department.journal.entry_base import Stamp
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.sharing_entries import written_digest
from sync.department.journal.statements import said_in
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import default_document, parse_policy

Facts: TypeAlias = tuple[tuple[str, str], ...]
GROUND = "ground"
SECOND = "second person"
WRITTEN = ("for", "intended purpose")  # of a delivery: in the request's entry


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetHold:
    """A hold as its entry says it: the entry's number and stamp, the ground's words, the authority.

    `approval`: the proposal that a second person approved, or -1.
    """

    sequence: int
    stamp: Stamp
    ground: str
    authority: str
    approval: int = -1


def approval_in(signed: bytes) -> int:
    """The proposal on whose approval a signed call rests; -1 where it needed none, or cannot be read."""
    try:
        number = said_in(signed).fields().get("approval", -1) if signed else -1
    except StorageError:  # a finding of `verify`
        return -1
    return number if type(number) is int else -1


def of_export(
    hold: SheetHold, access: int, by: Stamp, medium: str, zone: tzinfo, *, approval: int = -1
) -> Facts:
    """What the sheet of an export says: on which ground, by whose authority, who made it, onto what.

    `approval`: as of the hold. The second person's decision is an entry of the access log.
    """
    placed = hold.stamp
    since = f"{both_text(placed.at_us, zone)}, by {placed.user} ({placed.role}), entry {hold.sequence}"
    return _in_lines((
        (GROUND, hold.ground),
        ("authority", hold.authority),
        ("held since", since),
        ("exported by", f"{by.user} ({by.role}), entry {access} of the access log"),
        *_agreed(hold.approval, approval),
        ("medium", medium),
    ))  # fmt: skip


def _agreed(held: int, exported: int) -> Facts:
    """That a second person approved the hold, the export or both; empty where neither needed one."""
    said = [f"approved the hold, proposal {held} of the access log"] if held >= 0 else []
    said += [f"approved this export, proposal {exported} of the access log"] if exported >= 0 else []
    return ((SECOND, "; ".join(said)),) if said else ()


def of_delivery(agency: str, purpose: str, request: int, access: int, by: Stamp) -> Facts:
    """What the sheet of a delivery says: for whom, what for, who made it."""
    return _in_lines((
        (WRITTEN[0], agency),
        (WRITTEN[1], purpose),
        ("written request", f"entry {request} of the access log"),
        ("delivered by", f"{by.user} ({by.role}), entry {access}"),
    ))  # fmt: skip


def _in_lines(facts: Facts) -> Facts:
    """Each value in one line of the sheet."""
    return tuple((label, " ".join(value.splitlines())) for label, value in facts)


def made_again(
    said: Facts, number: str, entries: Sequence[LeftUnder], hold: LeftUnder | None, zone: tzinfo
) -> tuple[Facts, str]:
    """(the facts of a sheet as its entries say them, what of them the entries do not say). `said`, `number`:
    as the sheet has them; `hold`: the entry of the hold of an export. Raises PackageError."""
    left = [one for one in entries if isinstance(one.note, Access)]
    if not left:
        raise PackageError("no entry says why these reads left", where="package")
    if isinstance(left[0].note, Access) and left[0].note.action == "export":
        return _export_again(dict(said), left, hold, zone)
    last, written = left[-1], dict(said)
    requests = sorted({one.note.request for one in left if isinstance(one.note, Access)})
    if hold is not None or len(requests) != 1:
        raise PackageError("it left under entries of several kinds or requests", where="package")
    agency, purpose = (written.get(label, "") for label in WRITTEN)
    digests = {one.note.written for one in left if isinstance(one.note, Access)}
    if not digests <= {b"", written_digest(agency, purpose, number)}:
        raise PackageError("says another agency, purpose or number than its entries", where="package")
    unchecked = "for whom, what for and the number (entries of an earlier version)" if b"" in digests else ""
    return of_delivery(agency, purpose, requests[0], last.sequence, last.stamp), unchecked


def _export_again(
    said: Mapping[str, str], left: Sequence[LeftUnder], hold: LeftUnder | None, zone: tzinfo
) -> tuple[Facts, str]:
    (one, *others), note = left, left[0].note
    if others or hold is None or not isinstance(hold.note, HoldPlaced) or not isinstance(note, Access):
        raise PackageError("an export leaves under one entry, and has that of its hold", where="package")
    form = _form_of(one)
    if form.get("hold") != hold.sequence or sorted(note.reads) != sorted(hold.note.reads):
        raise PackageError("is not the hold that was exported", where=f"entry {hold.sequence}")
    ground, unchecked = said.get(GROUND, ""), ""
    named = _section_463().hold_ground(hold.note.ground)
    if ground not in {hold.note.ground, "" if named is None else named.text}:
        unchecked = f"the words of the ground, which the hold names {ascii(hold.note.ground)[1:-1]}"
    placed = SheetHold(
        sequence=hold.sequence,
        stamp=hold.stamp,
        ground=ground,
        authority=hold.note.authority,
        approval=approval_in(hold.signed),
    )
    medium, approval = str(form.get("medium", "")), approval_in(one.signed)
    return of_export(placed, one.sequence, one.stamp, medium, zone, approval=approval), unchecked


def _form_of(one: LeftUnder) -> Mapping[str, Any]:
    """The form of an export, as its person signed it. Raises PackageError."""
    try:
        said = said_in(one.signed)
        if (said.call, said.user) == ("hold/export", one.stamp.user):
            return said.fields()
    except StorageError:
        pass
    raise PackageError("is not signed by the person who exported", where=f"entry {one.sequence}")


@functools.cache
def _section_463() -> Policy:
    """The grounds of section 463; another department's policy may word its own."""
    return parse_policy(default_document())
