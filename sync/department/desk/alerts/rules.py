"""What the log says of alerts: which are open, overdue or cleared, how good sources are, how well people
check.

No I/O. An alert stays open until a person closes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from storage.alert_life import AlertAnswer, AlertEvent, AlertState, Wanted, caught, ruled_out
from storage.alert_terms import AlertTerms
from storage.plate_text import normal_plate
from storage.times import DAY_US, MINUTE_US
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.entries import Entry
from sync.department.policy.roles import Role
from sync.hot_lists.entry import cleared_name

SLACK_US = 10 * MINUTE_US  # how far ahead a unit's clock is still believed
NO_MAKERS: Mapping[bytes, Collection[str]] = {}


@dataclass(slots=True)
class AlertRow:
    """One alert as the log has it. `number`: that of the entry that made it known; people name the alert by
    it.

    A planted mismatch has a number like any other alert, since nothing that a verifier sees may reveal it.
    `hidden_from`: the users who saw its picture or its entry before.
    """

    known: AlertKnown
    state: AlertState
    number: int
    hidden_from: tuple[str, ...] = ()

    @property
    def since_us(self) -> int:
        """When its unit says that it was raised, or when the desk learned of it.

        The desk's time counts if it is earlier (the unit's clock is wrong) or more than a day later (the unit
        was offline, or its clock is wrong).
        """
        told_us = self.state.raised_us - self.known.raised_us
        return self.known.raised_us if -SLACK_US <= told_us <= DAY_US else self.state.raised_us

    @property
    def planted(self) -> bool:
        """Whether it is a planted mismatch."""
        return bool(self.known.planted_plate)

    def visible_to(self, user: str) -> bool:
        """Whether this person may see the alert: that of a covert entry is only for its recipients."""
        return user not in self.hidden_from and self.may_be_known_to(user)

    def may_be_known_to(self, user: str) -> bool:
        """Whether its entry is not covert, or names this person."""
        return not self.known.recipients or user in self.known.recipients

    def fell_to(self, user: str, makers: Mapping[bytes, Collection[str]]) -> bool:
        """Whether this person made its covert entry and took a step with the alert when no recipient could.

        `makers`: who made each covert entry.
        """
        steps = (step.user for step in self.state.steps)
        return user in makers.get(self.known.entry, ()) and user in steps


SOURCE_WRONG = frozenset({AlertAnswer.WRONG_STATE, AlertAnswer.NOT_THIS_VEHICLE})
LEAST_PEOPLE = 2


@dataclass(frozen=True, slots=True)
class SourceShare:
    """How many of a source's hits were checked, how many of those were rejected, and by how many people.

    A wrong character (`misread`) is the camera's error and not the source's, so it counts only as checked.
    """

    source: str
    checked: int
    rejected: int
    people: int
    misread: int = 0

    def muted(self, terms: AlertTerms) -> bool:
        """Whether the source is silent: its hits were rejected too often, and by more than one person."""
        enough = self.checked >= terms.source_rejected_least and self.people >= LEAST_PEOPLE
        return enough and self.rejected * 100 > terms.source_rejected_percent * self.checked

    def muted_before(self, terms: AlertTerms) -> bool:
        """The same by the rule of earlier versions, for what units received then."""
        rejected = self.rejected + self.misread
        enough = self.checked >= terms.source_rejected_least
        return enough and rejected * 100 > terms.source_rejected_percent * self.checked


@dataclass(frozen=True, slots=True)
class VerifierShare:
    """How many planted mismatches a verifier was shown, and how many were caught."""

    user: str
    planted: int
    caught: int


@dataclass(slots=True)
class Onlookers:
    """Who saw each picture and each entry, and which pictures have an open alert."""

    of_reads: dict[str, set[str]] = field(default_factory=dict)
    of_entries: dict[bytes, set[str]] = field(default_factory=dict)
    open_reads: set[str] = field(default_factory=set)

    def of(self, row: AlertRow) -> set[str]:
        """The users who saw the picture of a real alert, or its entry."""
        return self.of_reads.get(row.known.read, set()) | self.of_entries.get(row.known.entry, set())


@dataclass(slots=True)
class AlertStates:
    """All alerts, by name. `numbers`: names by number. `opened`: units' records that the desk knows."""

    rows: dict[str, AlertRow] = field(default_factory=dict)
    numbers: dict[int, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)

    def known_to(
        self, user: str, roles: Collection[Role], makers: Mapping[bytes, Collection[str]] = NO_MAKERS
    ) -> AlertStates:
        """The same without the alerts of covert entries that a person may not know of.

        Without a user, as in a mail, all alerts of covert entries are left out. No figure may differ from
        what `visible_to` shows that person. `makers`: as for `fell_to`.
        """
        if Role.ADMINISTRATOR in roles:
            return self
        rows = {
            name: row
            for name, row in self.rows.items()
            if row.may_be_known_to(user) or row.fell_to(user, makers)
        }
        return AlertStates(rows, self.numbers, self.opened)

    def may_know_access(self, known: AlertStates, elements: str, records: Collection[str]) -> bool:
        """Whether a person who knows the alerts `known` may know of an access, by its elements and records.

        Such an access is to one alert by its number, or to what units raised. The record of a step does not
        say which alert it belongs to.
        """
        named = self.find(elements.rpartition(" ")[2])
        about = [one for one in records if one in self.rows] if named is None else [named.known.alert]
        return not about or any(one in known.rows for one in about)

    def apply(self, entry: Entry) -> None:
        note = entry.note
        if isinstance(note, AlertKnown):
            if note.alert not in self.rows:
                state = AlertState(
                    raised_us=entry.stamp.at_us
                )  # not the unit's clock, which may be years off
                shown = self.rows.get(note.record) if note.planted_plate else None
                hidden = () if shown is None else tuple(sorted(self.onlookers().of(shown)))
                self.rows[note.alert] = AlertRow(note, state, entry.sequence, hidden)
                self.numbers[entry.sequence] = note.alert
                self.opened.add(note.alert)
        elif isinstance(note, AlertStepTaken) and note.alert in self.rows:
            row = self.rows[note.alert]
            if not note.unit or note.step not in row.state.steps:  # a unit's record opened twice is one
                row.state = row.state.after(note.step, entry.stamp.at_us)
        elif isinstance(note, AlertRecordsOpened):
            self.opened.update(note.records)

    def find(self, number: str) -> AlertRow | None:
        """Find an alert by its number, or by the name of the unit's record."""
        name = self.numbers.get(int(number)) if number.isascii() and number.isdigit() else number
        return None if name is None else self.rows.get(name)

    def onlookers(self) -> Onlookers:
        """Who took a step with an alert of each picture and of each entry."""
        found = Onlookers()
        for row in self.rows.values():
            users = {step.user for step in row.state.steps if step.user}
            found.of_reads.setdefault(row.known.read, set()).update(users)
            found.of_entries.setdefault(self._entry(row), set()).update(users)
            if not row.state.closed:
                found.open_reads.add(row.known.read)
        return found

    def _entry(self, row: AlertRow) -> bytes:
        """The entry that the alert shows; for a planted one, that of its picture."""
        shown = self.rows.get(row.known.record) if row.planted else None
        return row.known.entry if shown is None else shown.known.entry

    def open(self) -> list[AlertRow]:
        """The open alerts: first those that sounded, each group with the longest waiting first."""
        found = [row for row in self.rows.values() if not row.state.closed]
        return sorted(
            found, key=lambda row: (bool(row.known.silent), row.state.raised_us, row.known.raised_us)
        )

    def first_of(self, row: AlertRow, user: str) -> str:
        """The number of the oldest open alert of the same entry that a person may see; empty if it is this
        alert."""
        if row.planted or row.state.closed:
            return ""
        alike = [
            one.number
            for one in self.rows.values()
            if one.known.entry == row.known.entry and not one.state.closed and one.visible_to(user)
        ]
        first = min(alike, default=row.number)
        return str(first) if first < row.number else ""

    def overdue(self, terms: AlertTerms, now_us: int) -> list[AlertRow]:
        """Open alerts without an outcome in time."""
        return [row for row in self.open() if row.state.overdue(now_us, terms.outcome_hours)]

    def clets_owed(self, terms: AlertTerms, now_us: int) -> list[AlertRow]:
        """Confirmed alerts whose CLETS reference is due."""
        found = []
        for row in self.open():
            due_us = row.state.clets_due_us(terms.clets_minutes)
            if due_us is not None and now_us >= due_us:
                found.append(row)
        return found

    def cleared(self) -> frozenset[bytes]:
        """The plates that people found not to match an entry, each as a `cleared_name`.

        One person's word clears a plate that differs from the entry's. The entry's own plate on another
        vehicle takes two people's word, because the wanted vehicle passes under that plate.
        """
        by = defaultdict[bytes, set[str]](set)
        for row in self.rows.values():
            typed = None if row.planted else ruled_out(row.state)
            if typed is not None:
                name = cleared_name(row.known.entry, normal_plate(typed.plate))
                by[name].add(typed.user)
                if row.state.answer is AlertAnswer.WRONG_CHARACTER:
                    by[name].add("")  # what was typed is another plate
        return frozenset(name for name, people in by.items() if len(people) > 1)

    def sources(self) -> list[SourceShare]:
        """Each source's share of rejected hits."""
        checked, misread, by = Counter[str](), Counter[str](), defaultdict[str, list[str]](list)
        for row in self.rows.values():
            answered = row.state.last(AlertEvent.ANSWERED)
            if row.planted or answered is None or answered.answer is AlertAnswer.CANNOT_TELL:
                continue
            checked[row.known.source] += 1
            misread[row.known.source] += answered.answer is AlertAnswer.WRONG_CHARACTER
            if answered.answer in SOURCE_WRONG:
                by[row.known.source].append(answered.user)
        return [
            SourceShare(name, checked[name], len(by[name]), len(set(by[name])), misread[name])
            for name in sorted(checked)
        ]

    def verifiers(self) -> list[VerifierShare]:
        """Each verifier's closed planted mismatches: a figure that counts an open one would reveal it."""
        shown, found = Counter[str](), Counter[str]()
        for row in self.rows.values():
            if not row.planted or not row.state.closed:
                continue
            wanted = Wanted(plate=row.known.planted_plate, state=row.known.planted_state, planted=True)
            for one in row.state.steps:
                if one.step is AlertEvent.TRANSCRIBED:
                    shown[one.user] += 1
                    found[one.user] += caught(one, wanted)
        return [VerifierShare(user, shown[user], found[user]) for user in sorted(shown)]
