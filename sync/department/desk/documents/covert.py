"""Covert entries of the own list: who requested and who approved each, from the log. No I/O.

Only their recipients see their alerts. If none of them may verify any longer (they left or lost the role),
the alerts fall to the two people who made the entry. No one else learns that it exists.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.codec import read_field
from storage.plate_states import typed_state
from storage.plate_text import normal_plate
from sync.department.desk.people.rules import Accounts
from sync.department.journal.change_entries import ChangeUsed, DocumentSigned
from sync.department.journal.entries import Entry
from sync.department.journal.malformed import UNREADABLE
from sync.department.journal.statements import said_in
from sync.department.policy.policy import Policy
from sync.hot_lists.document import LOCAL, digest_of, head_name
from sync.hot_lists.entry import ListEntry


@dataclass(slots=True)
class CovertEntries:
    """Who made the covert entries.

    `seconds`: who approved each proposal for the own list; `makers`: who requested and who approved each
    covert entry, by its digest.
    """

    seconds: dict[int, str] = field(default_factory=dict)
    makers: dict[bytes, tuple[str, str]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        note = entry.note
        if isinstance(note, ChangeUsed) and note.about == head_name(LOCAL):
            self.seconds[note.proposal] = note.second
        elif isinstance(note, DocumentSigned) and note.name == head_name(LOCAL) and entry.signed:
            with contextlib.suppress(*UNREADABLE):  # signed by an earlier version, or malformed
                said = said_in(entry.signed)
                form = said.fields()
                if said.call == "hotlist/add" and form.get("recipients"):
                    user, approver = entry.stamp.user, self.seconds[form["approval"]]
                    made = entry_of(form, user, approver, entry.stamp.at_us)
                    self.makers[digest_of(made.to_bytes())] = user, approver


def entry_of(form: Mapping[str, Any], user: str, approver: str, at_us: int) -> ListEntry:
    """Make the entry that the fields of a `hotlist/add` describe. Raises RecordError."""
    return ListEntry(
        plate=normal_plate(form["plate"]),
        category=form["category"],
        state=typed_state(form["state"]),
        reason=form["reason"],
        make=form["make"],
        model=form["model"],
        color=form["color"],
        plate_class=form["plate_class"],
        case=form["case"],
        from_us=at_us,
        until_us=read_field(int, form["until_us"], "until_us"),
        requester=user,
        approver=approver,
        recipients=read_field(tuple[str, ...], form["recipients"], "recipients"),
    )


def is_heard(
    policy: Policy, roster: Accounts, recipients: Collection[str], barred: Collection[str], at_us: int
) -> bool:
    """Whether one of the recipients may verify now. `barred`: who requested or approved the entry."""
    return any(one not in barred and roster.may_verify(policy, one, at_us) for one in recipients)
