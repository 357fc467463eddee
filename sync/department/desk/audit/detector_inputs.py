"""The inputs of the audit's detectors: shifts, second hands, trainings, grants, reviewers, disputes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from sync.department.desk.audit import detectors, rules
from sync.department.desk.audit.detectors import Emergency, SingleMaking
from sync.department.desk.audit.ended_entries import EndedByOthers
from sync.department.desk.audit.look_up_detectors import Flag, LookUpDetectors
from sync.department.desk.audit.rules import AlprRequest
from sync.department.desk.desk import Desk
from sync.department.desk.state import DeskState
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.entries import AccountSet, Entry, Shift
from sync.department.journal.inquiry_entries import Access, InquiryAsked

READ_KINDS = (AccountSet.KIND, DocumentSigned.KIND)
"""Entries that the detectors read again, because the state has only what they last said."""


class ReadEntries:
    """Entries of `READ_KINDS`, in the order of the log."""

    def __init__(self) -> None:
        self.ended = EndedByOthers()
        self.shifts: dict[str, list[tuple[int, Shift | None]]] = defaultdict(list)
        """Every shift of each person, with when it was entered."""

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        self.ended.add(entry)
        if isinstance(entry.note, AccountSet):
            held, shift = self.shifts[entry.note.user], entry.note.shift
            if not held or held[-1][1] != shift:
                held.append((entry.stamp.at_us, shift))


class Detecting:
    """The detectors over the log as it was, so that a transaction examines only what came since."""

    def __init__(self, desk: Desk, requests: Sequence[AlprRequest]) -> None:
        """Examine the log, outside of any transaction. `requests`: its accesses as they were read before."""
        self._desk, self._looks, self._read = desk, LookUpDetectors(), ReadEntries()
        for one in rules.look_ups_of(requests):
            self._looks.add(one)
        self._looks_to, self._read_to = requests[-1].entry + 1 if requests else 0, 0
        desk.refresh()
        book = desk.book
        self._take_read(book.seen)
        self._looks.flags(book.policy.detectors, self._read.shifts, book.policy.zone)
        self._read.ended.flags(book)

    def _take_read(self, end: int) -> None:
        for entry in self._desk.log.entries(self._read_to, end, READ_KINDS):
            self._read.add(entry)
        self._read_to = max(self._read_to, end)

    def fresh(self, now_us: int) -> list[Flag]:
        """The flags over the whole log that no finding covers, within the caller's transaction."""
        log, size = self._desk.log, self._desk.log.size()
        for entry in log.entries(self._looks_to, size, (Access.KIND,)):
            if isinstance(entry.note, Access):
                self._looks.add(rules.look_up_of(entry, entry.note))
        self._looks_to = size
        self._take_read(size)
        return fresh(self._desk.book, self._looks, self._read, now_us, self._maker_of)

    def _maker_of(self, number: int) -> str | None:
        entry = self._desk.log.entry(number)
        return entry.stamp.user if isinstance(entry.note, Access | InquiryAsked) else None


def fresh(
    book: DeskState,
    looks: LookUpDetectors,
    read: ReadEntries,
    now_us: int,
    maker_of: Callable[[int], str | None],
) -> list[Flag]:
    """The flags that no finding covers. `maker_of`: who made an access or a request, by its entry."""
    flags = detected(book, looks, read, now_us)
    return [*rules.new_findings(book.findings, flags), *disputed(book, maker_of)]


def detected(book: DeskState, looks: LookUpDetectors, read: ReadEntries, now_us: int) -> list[Flag]:
    """Run the detectors over these lookups, with every person's shift as it was then."""
    alone = [
        SingleMaking(entry=one.entry, user=one.user, by=one.by)
        for one in book.roster.makings
        if not one.second
    ]
    alone += _trained_by_one_hand(book)
    acted = frozenset(looks.acted | _judges(book))
    terms = book.policy.detectors
    return [
        *looks.flags(terms, read.shifts, book.policy.zone),
        *detectors.emergencies(_emergencies(book), terms, now_us),
        *detectors.one_hand(alone, acted),
        *detectors.let_in(_granted_alone(book), alone + _trained(book)),
        *detectors.no_reviewer(_removed_reviewers(book)),
        *book.cases.flags(),
        *read.ended.flags(book),
    ]


def _judges(book: DeskState) -> set[str]:
    """The users who decided something for others, as second person, reviewer, judge, trainer or approver.

    A person who withdrew an own proposal is not one of them.
    """
    changes = book.changes
    others = {
        number: one
        for number, one in changes.decided.items()
        if number not in changes.proposed or changes.proposed[number].stamp.user != one.stamp.user
    }
    decided = (
        book.queue.decided,
        others,
        book.glass.judged,
        book.findings.closed,
        book.shares.decided,
        book.holds.released,
        book.settled.closed,
    )
    return {entry.stamp.user for one in decided for entry in one.values()} | {
        one.by for one in book.trainings.given
    }


def _trained_by_one_hand(book: DeskState) -> list[SingleMaking]:
    """Trainings recorded or given by a person who had also made or reset the account.

    Also trainings of a trainer that only the person who recorded them could have given.
    """
    makers: dict[str, set[str]] = {}
    for one in book.roster.makings:
        makers.setdefault(one.user, set()).add(one.by)
    trains = book.policy.training.conducted_by
    found = []
    for given in book.trainings.given:
        account = book.roster.accounts.get(given.user)
        is_trainer = account is not None and trains in book.policy.effective_roles(account.roles)
        no_other = given.trainer == given.by or given.trainer not in book.roster.accounts
        if {given.by, given.trainer} & makers.get(given.user, set()) or (is_trainer and no_other):
            found.append(SingleMaking(entry=given.entry, user=given.user, by=given.by))
    return found


def _trained(book: DeskState) -> list[SingleMaking]:
    """Each training, once for each person who took part in making it."""
    return [
        SingleMaking(entry=one.entry, user=one.user, by=by)
        for one in book.trainings.given
        for by in sorted({one.by, one.trainer})
    ]


def _granted_alone(book: DeskState) -> list[SingleMaking]:
    """Grants that one person gave, in the order of the log."""
    alone = [entry for one, entry in book.grants.issued.items() if one not in book.grants.seconds]
    alone.sort(key=lambda entry: entry.sequence)
    return [
        SingleMaking(entry=entry.sequence, user=entry.note.person, by=entry.stamp.user) for entry in alone
    ]


def _removed_reviewers(book: DeskState) -> list[SingleMaking]:
    """Reviewers who lost the role while a finding was assigned to them and open."""
    found = []
    for one in book.roster.removed_reviewers:
        for number, entry in book.findings.opened.items():
            closed = book.findings.closed.get(number)
            waited = number < one.entry and (closed is None or closed.sequence > one.entry)
            if waited and entry.note.reviewer == one.user:
                found.append(SingleMaking(entry=one.entry, user=one.user, by=one.by))
                break
    return found


def _emergencies(book: DeskState) -> list[Emergency]:
    found = []
    for access, entry in book.glass.broken.items():
        judged = book.glass.judged.get(access)
        found.append(
            Emergency(
                access=access,
                at_us=entry.stamp.at_us,
                user=entry.stamp.user,
                due_us=entry.note.due_us,
                justified=judged.note.justified if judged is not None else None,
            )
        )
    return found


def disputed(book: DeskState, maker_of: Callable[[int], str | None]) -> list[Flag]:
    """A flag for each disputed entry that no finding covers, about the person who made it."""
    flags = []
    for entry in book.queue.disputes:
        user = maker_of(entry.note.entry)
        if user is not None:
            flag = Flag(
                detector=rules.DISPUTED,
                about=user,
                entries=(entry.note.entry,),
                detail=f"disputed by {entry.stamp.user}",
            )
            flags.append((entry.sequence, flag))
    return rules.new_disputes(book.findings, flags)
