"""The sections of the policy file that bind people: inquiries, audits, sharing, training. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from storage.times import DAY_US
from sync.department.policy.roles import Call, Role, check_ceiling
from sync.department.policy.term_base import Term, between, compiled, refuse

NEW_TOPICS_DAYS = 31  # for all people to be trained in a new topic
MAX_TRAINING_DAYS = 366  # 463.9: annually
MAX_AUDIT_DAYS = 366
MAX_DESIGNATION_DAYS = 366  # a designee must be named again every year
CASE, CAD = "case", "cad"
NUMBER_KINDS = (CASE, CAD, "action")


def weight(text: str) -> int:
    """How many letters and digits a text has."""
    return sum(one.isalnum() for one in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTerms:
    """The calls that one role may make. `also`: roles that it includes."""

    id: Role
    title: str
    clause: str
    also: tuple[Role, ...]
    calls: tuple[Call, ...]

    def check(self) -> None:
        check_ceiling(self.id, self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTerms:
    """The format of one kind of number (case, cad, action). `text`: an example, for the refusal."""

    kind: str
    pattern: str
    text: str

    def check(self) -> None:
        where = f"inquiry.numbers.{self.kind}"
        if self.kind not in NUMBER_KINDS:
            raise refuse(f"is not one of {', '.join(NUMBER_KINDS)}", where)
        if compiled(self.pattern, where).fullmatch(""):
            raise refuse("must not match nothing", where)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisTerms:
    """The legal bases of one purpose; a purpose without such an entry may rest on any."""

    purpose: str
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassTerms:
    """A person's emergency search: how far back it may go, and how soon a second person must judge it.

    `open_max`: how many of a person's searches may be overdue for judgment before the next is refused.
    """

    clause: str
    allowed: bool
    second_word_hours: int
    days_max: int
    open_max: int

    def check(self) -> None:
        between(self.second_word_hours, 1, 72, "break_glass.second_word_hours")
        between(self.days_max, 1, 31, "break_glass.days_max")
        between(self.open_max, 1, 10, "break_glass.open_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleTerms:
    """463.3, 463.6 (b): the longest designation, and how early its end is announced."""

    clause: str
    designation_days_max: int
    notice_days: int

    def check(self) -> None:
        between(self.designation_days_max, 1, MAX_DESIGNATION_DAYS, "people.designation_days_max")
        between(self.notice_days, 1, 92, "people.notice_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryTerms:
    """463.5 (a), (c): what an inquiry must say.

    `number_pattern` applies to every number, `numbers` to those of one kind; whatever `number_refused`
    matches is not a number.
    """

    clause: str
    bases: tuple[str, ...]
    number_pattern: str
    number_refused: str
    numbers: tuple[NumberTerms, ...]
    bases_of: tuple[BasisTerms, ...]
    justification_min: int
    full_plate_min: int
    approval_hours: int
    answer_hours: int
    results_max: int
    days_max: int

    def bases_for(self, purpose: str) -> tuple[str, ...]:
        """The legal bases that a purpose may rest on."""
        return next((one.bases for one in self.bases_of if one.purpose == purpose), self.bases)

    def says_why(self, text: str) -> bool:
        """Whether a justification has enough letters and digits, two words and four different letters."""
        letters = {one for one in text.lower() if one.isalnum()}
        return weight(text) >= self.justification_min and len(text.split()) >= 2 and len(letters) >= 4

    def may_span(self, since_us: int, until_us: int) -> bool:
        """Whether one search may span this time, counted in days of 24 hours regardless of clock changes."""
        return until_us - since_us <= self.days_max * DAY_US

    def is_number(self, number: str, kind: str) -> bool:
        """Whether a number is valid for its kind and is not a placeholder."""
        patterns = [self.number_pattern, *(one.pattern for one in self.numbers if one.kind == kind)]
        fits = all(re.fullmatch(one, number) for one in patterns)
        return fits and not re.fullmatch(self.number_refused, number)

    def check(self) -> None:
        if compiled(self.number_pattern, "inquiry.number_pattern").fullmatch(""):
            raise refuse("must not match nothing", "inquiry.number_pattern")
        compiled(self.number_refused, "inquiry.number_refused")
        if len({one.kind for one in self.numbers}) != len(self.numbers):
            raise refuse("names one kind twice", "inquiry.numbers")
        for one in self.bases_of:
            if not one.bases or not set(one.bases) <= set(self.bases):
                raise refuse("names a basis that inquiry.bases does not have", "inquiry.bases_of")
        if not self.bases:
            raise refuse("must name at least one basis", "inquiry.bases")
        between(self.justification_min, 1, 200, "inquiry.justification_min")
        between(self.full_plate_min, 2, 8, "inquiry.full_plate_min")
        between(self.approval_hours, 1, 72, "inquiry.approval_hours")
        between(self.answer_hours, 1, 24 * 31, "inquiry.answer_hours")
        between(self.results_max, 1, 10_000, "inquiry.results_max")
        between(self.days_max, 1, 366, "inquiry.days_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTerms:
    """463.5 (c): the periodic audit, its findings and the filing of requests."""

    clause: str
    every_days: int
    finding_due_days: int
    filing_due_days: int
    sample_per_thousand: int

    def check(self) -> None:
        between(self.every_days, 1, MAX_AUDIT_DAYS, "audit.every_days")
        between(self.finding_due_days, 1, 92, "audit.finding_due_days")
        between(self.filing_due_days, 1, 92, "audit.filing_due_days")
        between(self.sample_per_thousand, 1, 1000, "audit.sample_per_thousand")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTerms:
    """Thresholds of the misuse detectors."""

    same_plate_count: int
    same_plate_days: int
    catch_all_plates: int
    catch_all_days: int
    burst_count: int
    burst_minutes: int
    off_shift_minutes: int
    break_glass_count: int
    break_glass_days: int

    def check(self) -> None:
        between(self.same_plate_count, 2, 5, "detectors.same_plate_count")
        between(self.same_plate_days, 7, 366, "detectors.same_plate_days")
        between(self.catch_all_plates, 3, 20, "detectors.catch_all_plates")
        between(self.catch_all_days, 1, 92, "detectors.catch_all_days")
        between(self.burst_count, 5, 200, "detectors.burst_count")
        between(self.burst_minutes, 5, 240, "detectors.burst_minutes")
        between(self.off_shift_minutes, 0, 240, "detectors.off_shift_minutes")
        between(self.break_glass_count, 1, 20, "detectors.break_glass_count")
        between(self.break_glass_days, 7, 366, "detectors.break_glass_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A standing inter-agency agreement: 463.6 (d)."""

    id: str
    agency: str
    kind: str
    state: str
    clause: str
    terms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingTerms:
    """463.6 and the gate of Civil Code 1798.90.55 (b)."""

    clause: str
    home_state: str
    allowed_kinds: tuple[str, ...]
    refused_kinds: tuple[str, ...]
    records_release: str
    agreements: tuple[Agreement, ...]

    def may_get(self, kind: str, state: str) -> bool:
        """Whether an agency may receive data at all: 1798.90.55 (b). `state`: two letters, or US."""
        return kind in self.allowed_kinds and kind not in self.refused_kinds and state == self.home_state

    def check(self) -> None:
        known = {"law-enforcement", "prosecutor"}
        if not set(self.allowed_kinds) <= known:
            raise refuse(f"may only be of {', '.join(sorted(known))}: 463.6", "sharing.allowed_kinds")
        for one in self.agreements:
            if one.kind not in self.allowed_kinds or one.state != self.home_state:
                raise refuse("an agreement cannot pass the share gate", f"sharing.agreements.{one.id}")


def topics_came(before: Mapping[str, int], wanted: Iterable[str], at_us: int) -> dict[str, int]:
    """When each topic of a policy adopted at `at_us` was introduced; 0 for those of a log's first policy."""
    return {topic: before.get(topic, at_us if before else 0) for topic in wanted}


def in_topics(came: Mapping[str, int], trained: Iterable[str], *, held_us: int, at_us: int) -> bool:
    """Whether a training covers every topic that is required. `came`: see `topics_came`.

    A training from before a topic was introduced may lack it for NEW_TOPICS_DAYS, since no one can be trained
    in it before the policy is in force.
    """
    missing = [came[topic] for topic in came.keys() - set(trained)]
    return all(held_us < came_us <= at_us < came_us + NEW_TOPICS_DAYS * DAY_US for came_us in missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTerms:
    """463.9."""

    clause: str
    valid_days: int
    conducted_by: Role
    conductor_recorded_by: Role
    courses: tuple[str, ...]
    topics: tuple[Term, ...]

    def check(self) -> None:
        between(self.valid_days, 1, MAX_TRAINING_DAYS, "training.valid_days")
        if self.conducted_by == self.conductor_recorded_by:
            raise refuse("a person cannot record their own training", "training.conductor_recorded_by")
        if not self.courses or not self.topics:
            raise refuse("must name at least one course and one topic", "training")
