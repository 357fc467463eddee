"""What the log says of maintenance grants (463.3) and of incidents that two people close. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from storage.grant_format import DEPARTMENT
from sync.department.desk.words import demand_sentence
from sync.department.journal.change_entries import ChangeUsed
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.office_entries import (
    GrantDelegated,
    GrantIssued,
    GrantsRevoked,
    IncidentSettled,
)
from sync.department.journal.second_hands import SecondHands
from sync.department.policy.refusals import DeskRefusal, done_already
from sync.department.store.incidents import StoredIncident


@dataclass(slots=True)
class Grants:
    """The grants that were issued, with the second person of each that needed one.

    Also who may sign grants at night (the newest delegation of each person), and what was revoked.
    """

    issued: dict[str, EntryOf[GrantIssued]] = field(default_factory=dict)
    delegated: dict[str, EntryOf[GrantDelegated]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    seconds: dict[str, str] = field(default_factory=dict)
    _used: tuple[str, str, str] = ("", "", "")

    def resets(self) -> list[GrantIssued]:
        """The grants that allowed a unit's factory reset and were not revoked."""
        given = (entry.note for entry in self.issued.values())
        return [one for one in given if "factory-reset" in one.commands and one.grant_id not in self.revoked]

    def apply(self, entry: Entry) -> None:
        if is_of(entry, ChangeUsed):
            self._used = (entry.note.about, entry.stamp.user, entry.note.second)
        elif is_of(entry, GrantIssued):
            self.issued[entry.note.grant_id] = entry
            if self._used[:2] == (entry.note.person, entry.stamp.user):
                self.seconds[entry.note.grant_id] = self._used[2]
            self._used = ("", "", "")
        elif is_of(entry, GrantDelegated):
            self.delegated[entry.note.designee] = entry
        elif is_of(entry, GrantsRevoked):
            self.revoked.update(entry.note.names)

    def knows(self, name: str) -> bool:
        """Whether a grant of the log has this id, holder or key."""
        return any(
            name in {entry.note.grant_id, entry.note.person, entry.note.holder}
            for entry in self.issued.values()
        )

    def ended_by(self, names: Collection[str], now_us: int) -> int:
        """How many valid grants these names revoke."""
        return sum(
            bool({entry.note.grant_id, entry.note.person, entry.note.holder} & set(names))
            for entry in self.issued.values()
            if self.in_force(entry.note, now_us)
        )

    def in_force(self, note: GrantIssued, now_us: int) -> bool:
        """Whether a grant has neither ended nor been revoked by its id or by its holder's name or key."""
        taken = {note.grant_id, note.person, note.holder} & self.revoked
        return note.from_us <= now_us < note.to_us and not taken


def demand_grant(grants: Grants, user: str, now_us: int) -> None:
    """Demand a grant in force for a vendor at the department's server (463.3). Raises DeskRefusal."""
    for entry in grants.issued.values():
        note = entry.note
        if note.person == user and DEPARTMENT in note.units and grants.in_force(note, now_us):
            return
    raise DeskRefusal(
        "a vendor has access only while a maintenance grant for the department's server is in force",
        code="no-grant",
        clause="463.3",
        cure="ask the administrator for one for the department's server",
    )


_Word: TypeAlias = EntryOf[IncidentSettled]


@dataclass(slots=True)
class Settled:
    """Incidents that one person called settled, and incidents that a second person closed."""

    first: dict[int, _Word] = field(default_factory=dict)
    closed: dict[int, _Word] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, IncidentSettled):
            (self.closed if entry.note.second else self.first)[entry.note.incident] = entry

    def words(self, incident: StoredIncident, people: SecondHands) -> tuple[_Word | None, _Word | None]:
        """The first and the second person's statements on an incident.

        The first one ends with the role that gave it, unless the second has followed. A store that was set
        back reuses numbers, so statements on another incident with this number do not count.
        """
        first, second = (_on(one.get(incident.number), incident) for one in (self.first, self.closed))
        if first is not None and second is None:
            counts = people.keeps_first_word(first.note, first.stamp.user)
            return (first if counts else None), None
        return first, second


def _on(word: _Word | None, incident: StoredIncident) -> _Word | None:
    said = word.note if word is not None else None
    same = said is not None and (said.kind, said.unit, said.opened_us) == (
        incident.kind,
        incident.unit_id or "",
        incident.at_us,
    )
    return word if same else None


def to_settle(
    settled: Settled, incident: StoredIncident, people: SecondHands, person: str, finding: str
) -> bool:
    """Whether this statement is the second one. Raises DeskRefusal for the person who gave the first."""
    clause = "463.8"
    known, closed = settled.words(incident, people)
    if closed is not None:
        raise done_already(closed.stamp.user, "closed that incident", code="closed", clause=clause)
    demand_sentence(finding, "say what was found, in at least three words", code="finding", clause=clause)
    if known is not None and known.stamp.user == person:
        raise DeskRefusal("the second person must be another person", code="second-person", clause=clause)
    return known is not None
