"""Breaking glass: a life is in danger, and one person alone searches with part of a plate (463.5 (a)). No
I/O.

The search runs now, with a CAD number. A second person judges it within the policy's hours, and a finding
opens by itself. Only the second person comes later: purpose, basis, number and reason are asked as for every
search.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.times import HOUR_US
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import GlassBroken, GlassJudged
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.inquiry_entries import Ground, Query
from sync.department.journal.query_rules import EMERGENCY_CLAUSE, check_emergency_query, demand_few_waiting
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, demand, done_already, refuse_each


@dataclass(slots=True)
class Glass:
    """What the log says of emergency searches, by their access entries."""

    broken: dict[int, EntryOf[GlassBroken]] = field(default_factory=dict)
    judged: dict[int, EntryOf[GlassJudged]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, GlassBroken):
            self.broken[entry.note.access] = entry
        elif is_of(entry, GlassJudged):
            self.judged[entry.note.access] = entry

    def waiting(self) -> list[EntryOf[GlassBroken]]:
        """Emergency searches that no second person has judged."""
        return [entry for access, entry in self.broken.items() if access not in self.judged]

    def overdue(self, now_us: int) -> list[EntryOf[GlassBroken]]:
        """The waiting ones whose time is over."""
        return [entry for entry in self.waiting() if now_us >= entry.note.due_us]


def check_emergency(policy: Policy, ground: Ground, danger: str) -> None:
    """Check what is asked besides a search's own ground. Raises FormError naming each wrong field."""
    refuse_each(
        lambda: demand(
            ground.number_kind == "cad",
            "an emergency search names its CAD incident number",
            code="number",
            clause=EMERGENCY_CLAUSE,
            cure="give the CAD incident number",
        ),
        lambda: demand(
            policy.inquiry.says_why(danger),
            "say whose life is in danger, and how",
            code="danger",
            clause=EMERGENCY_CLAUSE,
        ),
    )


def check_break(
    policy: Policy, glass: Glass, query: Query, ground: Ground, danger: str, *, user: str, now_us: int
) -> int:
    """Check an emergency search; return when the second person's decision is due. Raises DeskRefusal."""
    terms = policy.break_glass
    if terms.allowed:
        check_emergency(policy, ground, danger)
    check_emergency_query(terms, query, now_us)
    mine = [entry.note.due_us for entry in glass.waiting() if entry.stamp.user == user]
    demand_few_waiting(terms, mine, now_us)
    return now_us + terms.second_word_hours * HOUR_US


def to_judge(glass: Glass, access: int, second: str, reason: str) -> Entry:
    """The emergency search that a second person judges, late or not. Raises DeskRefusal."""
    entry = glass.broken.get(access)
    if entry is None:
        raise FormError("there is no such emergency search", code="no-break-glass", clause=EMERGENCY_CLAUSE)
    judged = glass.judged.get(access)
    if judged is not None:
        raise done_already(judged.stamp.user, "judged that search", code="decided", clause=EMERGENCY_CLAUSE)
    if entry.stamp.user == second:
        raise DeskRefusal(
            "the second person must be another person", code="second-person", clause=EMERGENCY_CLAUSE
        )
    demand_words(reason, "say what you found", code="reason", clause=EMERGENCY_CLAUSE, least=6)
    return entry
