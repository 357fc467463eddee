"""Who reviews each finding, and until when, by the rules of the desk (463.5 c). No I/O.

Root enters what the detectors find, as the system, and could give each finding to an accomplice, or years;
`verify` assigns it again from the log before it. Logs of before form 11 were not held against this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from storage.times import DAY_US
from sync.department.desk.audit.rules import demand_reviewer, reviewer_for
from sync.department.desk.break_glass.calls import DETECTOR
from sync.department.desk.state import DeskState
from sync.department.journal.concerned import concerned, people_in
from sync.department.journal.entries import JUDGED_WHOLE, Entry, EntryOf, FindingClosed, FindingOpened, is_of
from sync.department.journal.named_entries import NamedEntries
from sync.department.journal.statements import SIGNED_WITHIN_US
from sync.department.policy.refusals import DeskRefusal, NotYetError


class AssignedFindings:
    """Entries in their order, and the findings that another person should have, or have closed."""

    def __init__(self, problems: list[str]) -> None:
        """`problems`: gets what is wrong."""
        self._problems = problems
        self._people = NamedEntries()
        self._open: dict[int, str] = {}  # the reviewer of each
        self._closing: list[int] = []  # named by entries that close one, if they count

    def judge(self, entry: Entry, book: DeskState) -> None:
        """Take in an entry. `book`: of those before it."""
        self._people.keep(entry.sequence, tuple(sorted(people_in(entry))), b"")
        if is_of(entry, FindingClosed):
            self._closing.append(entry.note.finding)
            if book.signers.form >= JUDGED_WHOLE and (wrong := self._wrong_hand(entry, book)):
                self._problems.append(f"entry {entry.sequence}: finding_closed: {wrong}")
        elif is_of(entry, FindingOpened):
            for number in self._closing:
                if number in book.findings.closed:
                    self._open.pop(number, None)
            self._closing.clear()
            if book.signers.form >= JUDGED_WHOLE and (wrong := self._wrong(entry, book)):
                self._problems.append(f"entry {entry.sequence}: finding: {wrong}")
            self._open[entry.sequence] = entry.note.reviewer

    def _wrong(self, entry: EntryOf[FindingOpened], book: DeskState) -> str:
        note, days = entry.note, book.policy.audit.finding_due_days
        if note.due_us > entry.stamp.at_us + days * DAY_US + SIGNED_WITHIN_US:
            return "it is due later than the policy says"
        people = concerned(note.about, self._people.people_of(note.accesses))
        loads: list[Mapping[str, int]] = [Counter(self._open.values())]
        if note.detector == DETECTOR:
            loads.append({})  # at once: whatever waits already
        if note.reviewer in {_reviewer_of(book, load, people) for load in loads}:
            return ""
        return "the desk's rules assign it to another reviewer"

    def _wrong_hand(self, entry: EntryOf[FindingClosed], book: DeskState) -> str:
        opened = book.findings.opened.get(entry.note.finding)
        if opened is None or entry.note.finding in book.findings.closed:
            return ""  # it closes nothing: said where signatures are judged
        people = concerned(opened.note.about, self._people.people_of(opened.note.accesses))
        try:
            demand_reviewer(book.policy, book.roster, opened.note, people, entry.stamp.user)
        except DeskRefusal as error:
            return error.what
        return ""


def _reviewer_of(book: DeskState, load: Mapping[str, int], people: set[str]) -> str:
    try:
        return reviewer_for(book.roster, load, people)
    except NotYetError:
        return ""  # it waits for one
