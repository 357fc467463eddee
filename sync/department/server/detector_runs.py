"""Runs the audit's detectors again from the log, and names findings that are missing or made up (463.5 c).

Root can leave the daily run out, drop what a detector found, or enter a finding about a person of whom no
detector found anything. So each run is an entry, and `verify` repeats it from the entries before it. Logs of
before form 12 are judged from their second such entry on. No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from storage.counts import counted
from storage.times import DAY_US, day_text
from sync.department.desk.audit import detector_inputs, rules
from sync.department.desk.audit.detectors import RULES, SAMPLE
from sync.department.desk.audit.look_up_detectors import Flag, LookUpDetectors
from sync.department.desk.break_glass.calls import DETAIL, DETECTOR
from sync.department.desk.state import DeskState
from sync.department.journal.change_entries import CasesCompared, DayCounted, GlassBroken
from sync.department.journal.entries import JUDGED_DAILY, AuditDone, Entry, EntryOf, FindingOpened, is_of
from sync.department.journal.inquiry_entries import Access, InquiryAsked
from sync.department.journal.machine_entries import DetectorsRan
from sync.department.journal.malformed import UNREADABLE
from sync.department.policy.refusals import NotYetError

MOST = 1000  # entries that a finding names
USED_DAYS = 3  # on which people looked up or days were counted, while lookups waited for the detectors
LATE_US = (USED_DAYS + 1) * DAY_US  # longer than a long weekend without a server
CAUSE = "was the server stopped? `department serve` runs the detectors each day"

_Said: TypeAlias = tuple[str, str, tuple[int, ...], str]
"""What a finding says: its detector, whom it is about, the entries in order, the detail."""


class DetectorRuns:
    """Entries in their order, and what is wrong with the findings in them."""

    def __init__(self, problems: list[str], unchecked: list[str]) -> None:
        """`problems`: gets what is wrong; `unchecked`: what could not be judged, and what came late."""
        self._problems, self._unchecked = problems, unchecked
        self._looks = LookUpDetectors()
        self._people: dict[int, str] = {}  # in whose name each access was made
        self._read = detector_inputs.ReadEntries()
        self._made: dict[int, str] = {}  # who made each access or request
        self._judges = False
        self._rules = 0  # of the newest run
        self._expected: list[Flag] | None = None  # before the first finding of a run
        self._opened: list[EntryOf[FindingOpened]] = []
        self._broken: EntryOf[GlassBroken] | None = None  # the entry before, if it was one
        self._since: Entry | None = None  # the first lookup since a run
        self._used: set[int] = set()  # days since then on which the desk served

    def judge(self, entry: Entry, book: DeskState) -> None:
        """Take in an entry. `book`: of those before it."""
        self._judges = self._judges or book.signers.form >= JUDGED_DAILY
        self._demand_broken(entry, book)
        if self._opened and not isinstance(entry.note, FindingOpened | DetectorsRan | AuditDone):
            self._refuse_alone()
        if is_of(entry, FindingOpened):
            self._take(entry, book)
        elif is_of(entry, DetectorsRan):
            self._end_run(entry, book)
        elif is_of(entry, AuditDone):
            self._end_audit(entry, book)
        elif isinstance(entry.note, Access | InquiryAsked):
            self._made[entry.sequence] = entry.stamp.user
            if isinstance(entry.note, Access):
                look = rules.look_up_of(entry, entry.note)
                self._looks.add(look)
                self._people[look.sequence] = look.person
                self._since = self._since or entry
        elif is_of(entry, CasesCompared):
            said = dict(zip(entry.note.unknown, entry.note.users, strict=False))
            for access in (one for one, user in said.items() if self._people.get(one) != user):
                what = f"entry {access} is not an access in the name of {said[access]}"
                self._problems.append(f"entry {entry.sequence}: cases_compared: {what}")
        elif entry.note.KIND in detector_inputs.READ_KINDS:
            self._read.add(entry)
        # other entries are made, too, by people who repair a server that does not start
        if isinstance(entry.note, Access | DayCounted):
            self._used.add(entry.stamp.at_us // DAY_US)

    def end(self, book: DeskState, newest_us: int) -> None:
        """Finish the check after the last entry, of which the time is `newest_us`."""
        self._demand_broken(None, book)
        self._refuse_alone()
        if not self._judges:
            if self._people:
                what = "whether the detectors opened every finding"
                self._unchecked.append(f"{what}: the log names no run of them yet (the daily run does)")
            return
        first = self._since
        if first is None or newest_us - first.stamp.at_us < LATE_US:
            return
        waits = f"no run of the detectors judged the lookups from entry {first.sequence} on ({CAUSE})"
        flags = self._fresh(book, newest_us)
        lines = [waits, *(f"{waits}: a run would open a finding {_words(_said(one))}" for one in flags)]
        (self._problems if self._is_late(first, newest_us) else self._unchecked).extend(lines)

    def _fresh(self, book: DeskState, now_us: int) -> list[Flag]:
        """What a run here would open findings for."""
        try:
            return detector_inputs.fresh(book, self._looks, self._read, now_us, self._made.get)
        except UNREADABLE as error:  # a time or a form that no desk makes
            what = f"the detectors cannot judge these entries: {type(error).__name__}"
            if what not in self._problems:
                self._problems.append(what)
            return []

    def _take(self, entry: EntryOf[FindingOpened], book: DeskState) -> None:
        """Take in a finding, of a run or an audit that ends in an entry of its own."""
        note = entry.note
        if note.detector == DETECTOR:
            if self._judges and not _is_of_emergency(entry, book):
                self._problems.append(f"entry {entry.sequence}: finding: it is about no emergency search")
            return
        if self._expected is None and self._judges:
            self._expected = self._fresh(book, entry.stamp.at_us)
        self._opened.append(entry)

    def _refuse_alone(self) -> None:
        """Name findings that no run or audit follows: each is one transaction with its findings."""
        if self._judges:
            self._unlike((), self._opened)
        self._expected, self._opened = None, []

    def _end_run(self, entry: EntryOf[DetectorsRan], book: DeskState) -> None:
        of_now, said, found = entry.note.rules == RULES, entry.note.opened, len(self._opened)
        if said != found and entry.note.rules <= RULES:
            what = f"it says that it opened {counted(said, 'finding')}, and {found} precede it"
            self._problems.append(f"entry {entry.sequence}: detectors_ran: {what}")
        if entry.note.rules < max(self._rules, 1):
            self._problems.append(
                f"entry {entry.sequence}: detectors_ran: by older rules than an earlier run"
            )
        elif entry.note.rules > RULES:  # root could say so to escape this check
            what = f"by rules {entry.note.rules}, and this version knows rules {RULES}: update this program"
            self._problems.append(f"entry {entry.sequence}: detectors_ran: {what}")
        elif not of_now:
            what = f"the findings before entry {entry.sequence}"
            self._unchecked.append(f"{what}: the detectors of an earlier version opened them")
        elif self._judges:
            self._compare(entry, book, self._opened)
        if not self._judges:
            self._since = None  # the lookups of before this program are not late for its first run
        self._rules, self._judges = max(entry.note.rules, self._rules), True
        self._begin_again(entry)

    def _end_audit(self, entry: EntryOf[AuditDone], book: DeskState) -> None:
        """The audit runs the same detectors in the same way, and draws the sample besides."""
        if self._judges and max(self._rules, 1) == RULES:
            drawn = [one for one in self._opened if one.note.detector == SAMPLE]
            for one in drawn:
                if not self._is_drawn(one.note):
                    self._unlike((), [one])
            self._compare(entry, book, [one for one in self._opened if one.note.detector != SAMPLE])
        if self._judges:
            self._begin_again(entry)
        self._expected, self._opened = None, []

    def _is_drawn(self, note: FindingOpened) -> bool:
        """Whether a finding of the sample says of one lookup what the sample says. Which is drawn, and why:
        `drawn_samples.py`."""
        person = self._people.get(note.accesses[0]) if len(note.accesses) == 1 else None
        return (note.about, note.detail) == (person, "random sample")

    def _compare(self, entry: Entry, book: DeskState, opened: Iterable[EntryOf[FindingOpened]]) -> None:
        flags = self._fresh(book, entry.stamp.at_us) if self._expected is None else self._expected
        missing = self._unlike(flags, opened)
        for one in missing.elements():
            what = f"entry {entry.sequence}: {entry.note.KIND}: there is no finding {_words(one)}"
            self._problems.append(what)

    def _unlike(self, flags: Iterable[Flag], opened: Iterable[EntryOf[FindingOpened]]) -> Counter[_Said]:
        """Name findings that no detector opens; return those that are missing."""
        wanted = Counter(map(_said, flags))
        for entry in opened:
            note = entry.note
            said = note.detector, note.about, tuple(sorted(note.accesses)), note.detail
            if wanted[said]:
                wanted[said] -= 1
            else:
                what = f"entry {entry.sequence}: finding: no detector opens one {_words(said)}"
                self._problems.append(what)
        return +wanted

    def _begin_again(self, entry: Entry) -> None:
        """Wait for the next run, and name lookups that waited long for this one."""
        first = self._since
        if first is not None and entry.stamp.at_us - first.stamp.at_us >= LATE_US:
            days = f"{day_text(first.stamp.at_us // DAY_US)} to {day_text(entry.stamp.at_us // DAY_US)}"
            what = f"entry {entry.sequence}: {entry.note.KIND}: no run of the detectors judged the lookups"
            what += f" from entry {first.sequence} on before ({days}; {CAUSE})"
            late = self._is_late(first, entry.stamp.at_us)
            (self._problems if late else self._unchecked).append(what)
        self._since, self._expected, self._opened = None, None, []
        self._used.clear()

    def _is_late(self, first: Entry, at_us: int) -> bool:
        """Whether the desk served on days after that of the first lookup and before that of the run: people
        looked up, or the daily run counted what came in."""
        days = range(first.stamp.at_us // DAY_US + 1, at_us // DAY_US)
        return sum(one in days for one in self._used) >= USED_DAYS

    def _demand_broken(self, entry: Entry | None, book: DeskState) -> None:
        """Check that an emergency search was followed by its finding. Without a reviewer there is none."""
        broken, self._broken = self._broken, entry if entry and is_of(entry, GlassBroken) else None
        if broken is None or not self._judges or broken.note.access not in book.glass.broken:
            return
        if entry is not None and is_of(entry, FindingOpened) and entry.note.detector == DETECTOR:
            return
        try:
            rules.reviewer_for(book.roster, {}, {broken.stamp.user})
        except NotYetError:
            return
        self._problems.append(f"entry {broken.sequence}: glass_broken: no finding was opened about it")


def _is_of_emergency(entry: EntryOf[FindingOpened], book: DeskState) -> bool:
    """Whether a finding is the one that an emergency search opens by itself."""
    note = entry.note
    broken = book.glass.broken.get(note.accesses[0]) if len(note.accesses) == 1 else None
    return (
        broken is not None
        and (broken.sequence + 1, broken.stamp.user) == (entry.sequence, entry.stamp.user)
        and (note.about, note.detail) == (broken.stamp.user, DETAIL)
    )


def _said(flag: Flag) -> _Said:
    return flag.detector, flag.about, tuple(sorted(flag.entries[:MOST])), flag.detail


def _words(said: _Said) -> str:
    detector, about, entries, detail = said
    some = ", ".join(map(str, entries[:5])) + (f" and {len(entries) - 5} more" if len(entries) > 5 else "")
    return f"about {about}: {detector}, {detail} ({'entry' if len(entries) == 1 else 'entries'} {some})"
