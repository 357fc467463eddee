"""The department's own words on a cover sheet, made from the entries under which reads left. No I/O.

An export is based on a hold, whose entry is in the package too and gives the ground, the authority and the
start. The export's entry gives the person, and the form in it, which that person signed, gives the medium. A
delivery's entry gives the person and the request, with only a digest of the agency and the purpose: those
words are in the request's own entry, beside the agency's letter, and so not in the package. Both name each
person in full, including second persons, whose own entries stay in the log, since those say why, and entries
of accounts have keys.
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
from sync.department.journal.inquiry_entries import (
    AGREED_EXPORT,
    AGREED_HOLD,
    AGREED_REQUEST,
    DELIVERED,
    EXPORTED,
    PLACED,
    Access,
    SheetPerson,
)
from sync.department.journal.malformed import form_of
from sync.department.journal.sharing_entries import written_digest
from sync.department.journal.statements import said_in
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import default_document, parse_policy

Facts: TypeAlias = tuple[tuple[str, str], ...]
People: TypeAlias = tuple[SheetPerson, ...]
GROUND = "ground"
SECOND = "second person"
WRITTEN = ("for", "intended purpose")  # of a delivery: these are in the request's entry


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetHold:
    """A hold according to its entry: the entry's number and stamp, the ground's words, the authority.

    `approval`: the proposal that a second person approved, or -1.
    """

    sequence: int
    stamp: Stamp
    ground: str
    authority: str
    approval: int = -1


def approval_in(signed: bytes) -> int:
    """The approved proposal that a signed call uses; -1 if it needed none or cannot be read."""
    number = form_of(signed).get("approval", -1)
    return number if type(number) is int else -1


def of_export(
    hold: SheetHold,
    access: int,
    by: Stamp,
    medium: str,
    zone: tzinfo,
    *,
    approval: int = -1,
    people: People = (),
) -> Facts:
    """The words for an export's sheet: the ground, the authority, the person and the medium.

    `approval`: as for the hold; the second person's decision is an entry of the access log. `people`: as
    named in the export's entry; without them, the words are those of an older version.
    """
    placed = _who(hold.stamp, people, PLACED)
    since = f"{both_text(hold.stamp.at_us, zone)}, by {placed}, entry {hold.sequence}"
    return _in_lines((
        (GROUND, hold.ground),
        ("authority", hold.authority),
        ("held since", since),
        ("exported by", f"{_who(by, people, EXPORTED)}, entry {access} of the access log"),
        *_agreed(hold.approval, approval, people),
        ("medium", medium),
    ))  # fmt: skip


def _agreed(held: int, exported: int, people: People) -> Facts:
    """Says that a second person approved the hold, the export or both; empty if neither needed one."""
    steps = ((AGREED_HOLD, held, "the hold"), (AGREED_EXPORT, exported, "this export"))
    said = [
        f"{_second(people, part)}approved {what}, proposal {number} of the access log"
        for part, number, what in steps
        if number >= 0
    ]
    return ((SECOND, "; ".join(said)),) if said else ()


def _who(stamp: Stamp, people: People, part: str) -> str:
    """The person of an entry, in full if the package's people name this part."""
    name = next((one.name for one in people if one.part == part), "")
    return f"{name} ({stamp.user}, {stamp.role})" if name else f"{stamp.user} ({stamp.role})"


def _second(people: People, part: str) -> str:
    return next((f"{one.name} ({one.user}) ".lstrip() for one in people if one.part == part), "")


def of_delivery(
    agency: str, purpose: str, request: int, access: int, by: Stamp, *, people: People = ()
) -> Facts:
    """The words for a delivery's sheet: the agency, the purpose, the person. `people`: as for an export."""
    second = _second(people, AGREED_REQUEST)
    return _in_lines((
        (WRITTEN[0], agency),
        (WRITTEN[1], purpose),
        ("written request", f"entry {request} of the access log"),
        ("delivered by", f"{_who(by, people, DELIVERED)}, entry {access}"),
        *(((SECOND, f"{second}approved the request"),) if second else ()),
    ))  # fmt: skip


def _in_lines(facts: Facts) -> Facts:
    """Put each value on one line."""
    return tuple((label, " ".join(value.splitlines())) for label, value in facts)


def made_again(
    said: Facts,
    number: str,
    entries: Sequence[LeftUnder],
    hold: LeftUnder | None,
    zone: tzinfo,
    *,
    named: bool,
) -> tuple[Facts, str]:
    """Reproduce a sheet's facts from its entries; also returns which of them the entries do not give.

    `said`, `number`: as on the sheet; `hold`: the entry of an export's hold; `named`: the words name people
    in full. Raises PackageError.
    """
    left = [one for one in entries if isinstance(one.note, Access)]
    if not left:
        raise PackageError("no entry says why these reads left", where="package")
    if isinstance(left[0].note, Access) and left[0].note.action == "export":
        return _export_again(dict(said), left, hold, zone, named=named)
    last, written = left[-1], dict(said)
    requests = sorted({one.note.request for one in left if isinstance(one.note, Access)})
    if hold is not None or len(requests) != 1:
        raise PackageError("it left under entries of several kinds or requests", where="package")
    agency, purpose = (written.get(label, "") for label in WRITTEN)
    digests = {one.note.written for one in left if isinstance(one.note, Access)}
    if not digests <= {b"", written_digest(agency, purpose, number)}:
        raise PackageError("does not match the agency, purpose or number in its entries", where="package")
    unchecked = "for whom, what for and the number (entries of an earlier version)" if b"" in digests else ""
    people = [_people_of(one, [(DELIVERED, one.stamp), (AGREED_REQUEST, None)]) for one in left if named]
    if any(one != people[0] for one in people):
        raise PackageError("its entries do not name the same people", where="package")
    words = agency, purpose, requests[0], last.sequence, last.stamp
    return of_delivery(*words, people=people[0] if named else ()), unchecked


def _export_again(
    said: Mapping[str, str],
    left: Sequence[LeftUnder],
    hold: LeftUnder | None,
    zone: tzinfo,
    *,
    named: bool,
) -> tuple[Facts, str]:
    (one, *others), note = left, left[0].note
    if others or hold is None or not isinstance(hold.note, HoldPlaced) or not isinstance(note, Access):
        raise PackageError("an export needs its own entry and the entry of its hold", where="package")
    form = _form_of(one)
    if form.get("hold") != hold.sequence or sorted(note.reads) != sorted(hold.note.reads):
        raise PackageError("is not the hold that was exported", where=f"entry {hold.sequence}")
    ground, unchecked = said.get(GROUND, ""), ""
    known = _section_463().hold_ground(hold.note.ground)
    if ground not in {hold.note.ground, "" if known is None else known.text}:
        unchecked = f"the words of the ground, which the hold names {ascii(hold.note.ground)[1:-1]}"
    placed = SheetHold(
        sequence=hold.sequence,
        stamp=hold.stamp,
        ground=ground,
        authority=hold.note.authority,
        approval=approval_in(hold.signed),
    )
    medium, approval = str(form.get("medium", "")), approval_in(one.signed)
    parts: list[tuple[str, Stamp | None]] = [(PLACED, hold.stamp)]
    parts += [(AGREED_HOLD, None)] if placed.approval >= 0 else []
    parts += [(EXPORTED, one.stamp)]
    parts += [(AGREED_EXPORT, None)] if approval >= 0 else []
    people = _people_of(one, parts) if named else ()
    words = placed, one.sequence, one.stamp, medium, zone
    return of_export(*words, approval=approval, people=people), unchecked


def _people_of(one: LeftUnder, parts: Sequence[tuple[str, Stamp | None]]) -> People:
    """The people whom an entry names for its sheet. Raises PackageError.

    Each part must name the person who made the entry, or a second person who approved.
    """
    people = one.note.people if isinstance(one.note, Access) else ()
    before, good = "", [each.part for each in people] == [part for part, _ in parts]
    for each, (_, stamp) in zip(people, parts, strict=False):
        good = good and (each.user == stamp.user if stamp else each.user not in {"", before})
        before = each.user
    if not good:
        raise PackageError("does not name the people of its package", where=f"entry {one.sequence}")
    return people


def _form_of(one: LeftUnder) -> Mapping[str, Any]:
    """The form of an export that its person signed. Raises PackageError."""
    try:
        said = said_in(one.signed)
        if (said.call, said.user) == ("hold/export", one.stamp.user):
            return said.fields()
    except StorageError:
        pass
    raise PackageError("is not signed by the person who exported", where=f"entry {one.sequence}")


@functools.cache
def _section_463() -> Policy:
    """Section 463's policy, for its grounds; another department may word its own."""
    return parse_policy(default_document())
