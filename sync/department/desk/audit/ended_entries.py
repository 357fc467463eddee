"""Entries of the own hot list that a person ended who neither requested nor approved them (463.7).

One person may end an entry, because fewer alerts harm no one; a wanted vehicle that a friend took off the
list passes unseen all the same, and only this finding says so. It names no case and no plate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from storage.codec import read_field
from storage.counts import counted
from sync.department.desk.audit.detectors import Flag
from sync.department.desk.desk import Desk
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.entries import AccountSet
from sync.department.journal.malformed import UNREADABLE
from sync.department.journal.statements import said_in
from sync.department.policy.roles import Role
from sync.hot_lists.document import LOCAL, head_name


@dataclass(frozen=True, slots=True)
class _Made:
    requester: str
    approver: str
    recipients: frozenset[str]
    until_us: int

    def is_ended_by(self, user: str, roles: Collection[Role], at_us: int) -> bool:
        """Whether a person's word ends it: of a covert one, only of those who may know of it."""
        known = {self.requester, self.approver, *self.recipients}
        return at_us < self.until_us and (not self.recipients or user in known or Role.ADMINISTRATOR in roles)


def ended_by_others(desk: Desk) -> Iterator[Flag]:
    """A flag for each such end, about the person who made it. By the signed calls; older ends have none."""
    made: dict[str, list[_Made]] = defaultdict(list)
    roles: dict[str, tuple[Role, ...]] = {}
    for entry in desk.log.entries(kinds=(AccountSet.KIND, DocumentSigned.KIND)):
        note, stamp = entry.note, entry.stamp
        if isinstance(note, AccountSet):  # of all of them: who signs in one role knows what another one does
            roles[note.user] = desk.policy.effective_roles(note.roles)
        if not isinstance(note, DocumentSigned) or note.name != head_name(LOCAL) or not entry.signed:
            continue
        try:
            said = said_in(entry.signed)
            form = said.fields()
            case = str(form["case"])
            if said.call == "hotlist/add":
                second = desk.book.changes.decided.get(form["approval"])
                approver = "" if second is None else second.stamp.user
                recipients = frozenset(read_field(tuple[str, ...], form["recipients"], "recipients"))
                until_us = read_field(int, form["until_us"], "until_us")
                made[case].append(_Made(stamp.user, approver, recipients, until_us))
        except UNREADABLE:  # such an entry is a finding of `verify`
            continue
        if said.call != "hotlist/add":
            held = roles.get(stamp.user, ())
            ended = [one for one in made[case] if one.is_ended_by(stamp.user, held, stamp.at_us)]
            made[case] = [one for one in made[case] if one not in ended]
            others = [one for one in ended if stamp.user not in {one.requester, one.approver}]
            if others:
                whose = ", ".join(sorted({one.requester for one in others}))
                what = f"ended {counted(len(others), 'entry')} of the own hot list that {whose} requested"
                yield Flag(detector="ended_entry", about=stamp.user, entries=(entry.sequence,), detail=what)
