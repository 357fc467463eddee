"""Entries of the own hot list ended by a person who neither requested nor approved them (463.7).

One person may end an entry, because fewer alerts harm no one. But a wanted vehicle that a friend took off the
list passes unseen, and only this finding shows it. It names no case and no plate.

Entries are taken one by one, so that `verify`, which asks after every day of a log, reads each signed call
once.
"""

from __future__ import annotations

from collections import defaultdict

from storage.counts import counted
from storage.plate_text import fold, normal_plate
from sync.department.desk.audit.look_up_detectors import Flag
from sync.department.desk.documents.covert import entry_of
from sync.department.desk.documents.own_entries import Readers, knows, same_vehicle
from sync.department.desk.state import DeskState
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.entries import AccountSet, Entry, EntryOf, is_of
from sync.department.journal.malformed import UNREADABLE
from sync.department.journal.statements import said_in
from sync.department.policy.policy import Policy
from sync.department.policy.roles import Role
from sync.hot_lists.document import LOCAL, head_name
from sync.hot_lists.entry import ListEntry


class EndedByOthers:
    """The ends of entries of the own list, over a growing number of entries of accounts and documents.

    It comes from the signed calls, which older ends lack.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._taken = 0
        self._begin_again(None)

    def add(self, entry: Entry) -> None:
        """Add an entry of an account or a signed document, in the order of the log."""
        self._entries.append(entry)

    def flags(self, book: DeskState) -> list[Flag]:
        """A flag for each end by another person, about the person who made it. `book`: of all entries so
        far."""
        if self._policy is not book.policy:  # it says which roles include others
            self._begin_again(book.policy)
        for entry in self._entries[self._taken :]:
            self._take(entry, book)
        self._taken = len(self._entries)
        return list(self._found)

    def _begin_again(self, policy: Policy | None) -> None:
        self._policy, self._taken = policy, 0
        self._made: dict[str, list[ListEntry]] = defaultdict(list)
        self._roles: dict[str, tuple[Role, ...]] = {}
        self._found: list[Flag] = []

    def _take(self, entry: Entry, book: DeskState) -> None:
        if is_of(entry, AccountSet):  # all roles: who signs in one knows what the others do
            self._roles[entry.note.user] = book.policy.effective_roles(entry.note.roles)
        elif is_of(entry, DocumentSigned) and entry.note.name == head_name(LOCAL) and entry.signed:
            self._take_change(entry, book)

    def _take_change(self, entry: EntryOf[DocumentSigned], book: DeskState) -> None:
        stamp, one = entry.stamp, Readers(entry.stamp.user, self._roles.get(entry.stamp.user, ()))
        try:
            said = said_in(entry.signed)
            form = said.fields()
            case, plate = str(form["case"]), fold(normal_plate(form.get("plate", "")))
            if said.call == "hotlist/add":
                second = book.changes.decided.get(form["approval"])
                fresh = entry_of(form, stamp.user, "" if second is None else second.stamp.user, stamp.at_us)
                vehicle = same_vehicle(fresh)
                left = [
                    old for old in self._made[case] if same_vehicle(old) != vehicle or not knows(old, one)
                ]
                self._made[case] = [*left, fresh]
        except UNREADABLE:  # such an entry is a finding of `verify`
            return
        if said.call != "hotlist/add":
            ended = [
                old
                for old in self._made[case]
                if knows(old, one)
                and (old.until_us is None or stamp.at_us < old.until_us)
                and plate in {"", fold(old.plate)}
            ]
            self._made[case] = [old for old in self._made[case] if old not in ended]
            others = [old for old in ended if stamp.user not in {old.requester, old.approver}]
            if others:
                whose = ", ".join(sorted({old.requester for old in others}))
                what = f"ended {counted(len(others), 'entry')} of the own hot list that {whose} requested"
                self._found.append(
                    Flag(detector="ended_entry", about=stamp.user, entries=(entry.sequence,), detail=what)
                )
