"""Folds the log as the desk does, and compares with it the snapshot, reviewers, units' roster and policy.

Root with the command key can sign a roster with one more person, or a policy that keeps reads longer, and
enter that it was offered. Both follow from the log alone, so `verify` makes them again. If their form
changes, this module must still make the older form. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import TypeAlias

from storage import codec
from storage.errors import StorageError
from storage.roster import Roster, RosterPerson
from storage.standing import POLICY, ROSTER
from storage.times import DAY_US
from sync.department.desk import sheet_people
from sync.department.desk.inquiry.rules import demand_answer_young
from sync.department.desk.state import DeskState
from sync.department.journal.entries import AccountSet, Entry, EntryOf, RootSet, TrainingDone, is_of
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import DocumentSent
from sync.department.journal.malformed import UNREADABLE
from sync.department.policy.desk_terms import NEW_TOPICS_DAYS
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.assigned import AssignedFindings
from sync.department.server.detector_runs import DetectorRuns
from sync.department.server.following import FOLLOWING, bodies, bodies_before, message_of
from sync.department.server.named_proofs import NamedProofs
from sync.department.server.roster import people_of
from sync.department.units.documents import custody_policy

Snapshot: TypeAlias = tuple[int, Callable[[DeskState], bool]]
"""How many entries a snapshot holds, and whether it differs from a state."""
FOLLOWS_FROM = (AccountSet, TrainingDone, RootSet)


class FoldedLog:
    """Takes in entries in order, and finds what is wrong in what follows from them."""

    def __init__(self, names: Collection[str], snapshot: Snapshot | None = None) -> None:
        """Begin a check. `names`: the names of the department."""
        self.problems: list[str] = []
        self.unchecked: list[str] = []
        self._assigned = AssignedFindings(self.problems)
        self._runs, self._newest_us = DetectorRuns(self.problems, self.unchecked), 0
        self._proofs = NamedProofs(self.problems)
        self._names, self._snapshot = names, snapshot
        self._book = DeskState()
        self._rosters: list[tuple[RosterPerson, ...]] = [()]
        self._policies: list[Policy] = []
        self._listed_to = -1
        self._following: set[str] = set()  # since their first entry that has what it takes to make them again

    def judge(self, entry: Entry) -> None:
        """Take in an entry in its order."""
        if self._snapshot is not None and entry.sequence >= self._snapshot[0]:
            self._compare_snapshot()
        if is_of(entry, Access):
            if entry.note.people:
                self._compare_people(entry)
            if entry.note.action in {"answer", "image"} and entry.note.request >= 0:
                self._demand_young(entry)
        self._assigned.judge(entry, self._book)
        self._runs.judge(entry, self._book)
        self._proofs.judge(entry, self._book)
        self._newest_us = entry.stamp.at_us
        if not entry.note.STATE:
            return
        try:
            self._book.apply(entry)
        except StorageError:
            return  # a root file that does not follow is reported by `check_log`
        if isinstance(entry.note, RootSet):
            self._policies.append(self._book.policy)
        if isinstance(entry.note, FOLLOWS_FROM):
            self._rosters += self._people(entry)
        elif isinstance(entry.note, DocumentSent):
            self._compare_sent(entry, entry.note)

    def _people(self, entry: Entry) -> list[tuple[RosterPerson, ...]]:
        """What a roster may say after this entry.

        It may allow the days in which a training may lack a new topic, or not: that is the roster after these
        days, and that of earlier versions from the start.
        """
        at_us = entry.stamp.at_us
        return [people_of(self._book, one) for one in (at_us, at_us + NEW_TOPICS_DAYS * DAY_US)]

    def end(self) -> None:
        """Finish the check after the last entry."""
        if self._snapshot is not None:
            self._compare_snapshot()
        self._runs.end(self._book, self._newest_us)

    def _compare_snapshot(self) -> None:
        if self._snapshot is not None:
            seen, differs = self._snapshot
            self._snapshot, self._book.seen = None, seen
            if differs(self._book):
                self.problems.append("the desk's snapshot differs from the log: remove desk/book.snapshot")

    def _compare_people(self, entry: EntryOf[Access]) -> None:
        """Check that a package's cover sheet names the people whom the log names."""
        try:
            same = sheet_people.again(self._book, entry) == entry.note.people
        except UNREADABLE:  # its signed form was not checked by any rule
            same = False
        if not same:
            what = "the people that it names for its cover sheet are not those in the log"
            self.problems.append(f"entry {entry.sequence}: access: {what}")

    def _demand_young(self, entry: EntryOf[Access]) -> None:
        """Check that an answer to a request was seen within the policy's hours (463.5 (a))."""
        answered, what = self._book.queue.answered.get(entry.note.request), ""
        if answered is None:
            what = "its request had no answer"
        else:
            try:
                demand_answer_young(self._book.policy, answered, entry.stamp.at_us)
            except DeskRefusal as error:
                what = error.what
        if what:
            self.problems.append(f"entry {entry.sequence}: access: {what}")

    def _compare_sent(self, entry: Entry, note: DocumentSent) -> None:
        """Check that units were offered what followed from the log at some time since the previous offer.

        The first such entries list, one after another, what was offered before the log had such entries.
        """
        first = self._listed_to in {-1, entry.sequence - 1}
        if note.baseline and first:
            self._listed_to = entry.sequence
            return
        if note.baseline:
            what = f"version {note.version} of {note.name} was not out before the log had such entries"
            self.problems.append(f"entry {entry.sequence}: document_sent: {what}")
            return
        self._listed_to = -2
        if note.name == ROSTER:
            signed = {
                codec.to_bytes(Roster(version=note.version, demo=False, people=one))
                for one in [*self._rosters, *self._people(entry)]
            }
            self._rosters = self._people(entry)
        elif note.name == POLICY:
            versions = [one for one in self._policies if one.version == note.version]
            signed = {codec.to_bytes(custody_policy(one, name)) for one in versions for name in self._names}
        elif note.name in FOLLOWING and (note.signing or note.name in self._following):
            self._following.add(note.name)
            signed = self._following_messages(note)
        else:
            return
        if note.digest not in {hashlib.sha256(one).digest() for one in signed}:
            what = f"version {note.version} of {note.name} does not follow from the log"
            self.problems.append(f"entry {entry.sequence}: document_sent: {what}")

    def _following_messages(self, note: DocumentSent) -> set[bytes]:
        """The messages that follow from the log here by the new and older rules, signed as the entry says."""
        said = {one(self._book)[note.name] for one in (bodies, bodies_before)}
        try:
            return {message_of(note.name, note.version, body, note.signing) for body in said}
        except (StorageError, TypeError, ValueError):
            return set()
