"""Entries of the own hot list ended by a person who neither requested nor approved them (463.7).

One person may end an entry, because fewer alerts harm no one. But a wanted vehicle that a friend took off the
list passes unseen, and only this finding shows it. It names no case and no plate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from storage.counts import counted
from storage.plate_text import fold, normal_plate
from sync.department.desk.audit.look_up_detectors import Flag
from sync.department.desk.documents.covert import entry_of
from sync.department.desk.documents.own_entries import Readers, knows, same_vehicle
from sync.department.desk.state import DeskState
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.entries import AccountSet, Entry
from sync.department.journal.malformed import UNREADABLE
from sync.department.journal.statements import said_in
from sync.department.policy.roles import Role
from sync.hot_lists.document import LOCAL, head_name
from sync.hot_lists.entry import ListEntry


def ended_by_others(book: DeskState, entries: Iterable[Entry]) -> Iterator[Flag]:
    """A flag for each such end, about the person who made it. It comes from the signed calls, which older
    ends lack. `entries`: those of accounts and signed documents, in order."""
    made: dict[str, list[ListEntry]] = defaultdict(list)
    roles: dict[str, tuple[Role, ...]] = {}
    for entry in entries:
        note, stamp = entry.note, entry.stamp
        if isinstance(note, AccountSet):  # all roles: who signs in one knows what the others do
            roles[note.user] = book.policy.effective_roles(note.roles)
        if not isinstance(note, DocumentSigned) or note.name != head_name(LOCAL) or not entry.signed:
            continue
        try:
            said = said_in(entry.signed)
            form = said.fields()
            case, plate = str(form["case"]), fold(normal_plate(form.get("plate", "")))
            one = Readers(stamp.user, roles.get(stamp.user, ()))
            if said.call == "hotlist/add":
                second = book.changes.decided.get(form["approval"])
                fresh = entry_of(form, stamp.user, "" if second is None else second.stamp.user, stamp.at_us)
                vehicle = same_vehicle(fresh)
                left = [old for old in made[case] if same_vehicle(old) != vehicle or not knows(old, one)]
                made[case] = [*left, fresh]
        except UNREADABLE:  # such an entry is a finding of `verify`
            continue
        if said.call != "hotlist/add":
            ended = [
                old
                for old in made[case]
                if knows(old, one)
                and (old.until_us is None or stamp.at_us < old.until_us)
                and plate in {"", fold(old.plate)}
            ]
            made[case] = [old for old in made[case] if old not in ended]
            others = [old for old in ended if stamp.user not in {old.requester, old.approver}]
            if others:
                whose = ", ".join(sorted({old.requester for old in others}))
                what = f"ended {counted(len(others), 'entry')} of the own hot list that {whose} requested"
                yield Flag(detector="ended_entry", about=stamp.user, entries=(entry.sequence,), detail=what)
