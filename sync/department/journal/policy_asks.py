"""What the policy in force requires of the people in the log: roles, second persons, training, terms. No I/O.

It comes from the policy file that the log's root file names, so root at the department's server cannot weaken
it. `SecondHands` judges entries by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from storage.errors import StorageError
from storage.times import DAY_US, HOUR_US
from sync.department.journal.entries import AccountSet, Entry, TrainingDone
from sync.department.journal.entry_base import Stamp
from sync.department.journal.inquiry_entries import Access, Ground, Query
from sync.department.journal.query_rules import (
    FORM_US,
    check_emergency_query,
    check_query,
    demand_few_waiting,
)
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.desk_terms import BreakGlassTerms, InquiryTerms, SharingTerms, topics_came
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import parse_policy, policy_digest
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import TAKES_TWO, Call, Role
from sync.root_file import Root

ENTERED_US = 31 * DAY_US + HOUR_US  # as in `desk/people/training.py`, plus the time that a call takes


@dataclass(slots=True)
class PolicyAsks:
    """The terms of the policy file that came into force last. `judged_whole`: the log is of that form.

    `two_hands`: roles that take two people to give; `approvers`: roles that may approve; `full_plate`: how
    many characters of a plate one person may search for alone; `permits`: the roles that may make each call;
    `includes`: by role, itself and those that come with it; `conducting`: roles of the person who conducts
    training, whose own training is recorded by `recorded_by`, and that of all others by `conducted_by`;
    `topics`: each topic of training, and when it was introduced; `approval_hours`: how long an approval is
    valid; `purposes`, `inquiry`: what a lookup must say; `glass`: what an emergency one must say;
    `hold_grounds`: those of 463.8; `sharing`: who may receive.
    """

    judged_whole: bool = False
    two_hands: tuple[Role, ...] = ()
    approvers: tuple[Role, ...] = ()
    full_plate: int = 1
    permits: dict[str, tuple[Role, ...]] = field(default_factory=dict)
    includes: dict[str, tuple[Role, ...]] = field(default_factory=dict)
    training_days: int = 0
    designation_days: int = 0
    password_days: int = 0
    conducting: tuple[Role, ...] = ()
    conducted_by: tuple[Role, ...] = ()
    recorded_by: tuple[Role, ...] = ()
    topics: dict[str, int] = field(default_factory=dict)
    approval_hours: int = 0
    purposes: tuple[str, ...] = ()
    hold_grounds: tuple[str, ...] = ()
    inquiry: InquiryTerms | None = None
    glass: BreakGlassTerms | None = None
    sharing: SharingTerms | None = None

    def take_terms(self, document: bytes, named: bytes, at_us: int) -> None:
        """Take a policy into force. Raises UnsignedError if the root file does not name it."""
        if policy_digest(document) != named:
            raise UnsignedError("the policy file is not the one that the root file names")
        try:
            policy = parse_policy(document)
        except StorageError:
            raise UnsignedError("the policy file is not valid") from None
        self.includes = {role.value: policy.effective_roles((role,)) for role in Role}
        calls = {role: policy.calls_by(self.includes[role.value]) for role in Role}
        self.two_hands = tuple(role for role in Role if not TAKES_TWO.isdisjoint(calls[role]))
        self.approvers = tuple(role for role in Role if Call.CHANGE_APPROVE in calls[role])
        self.full_plate = policy.inquiry.full_plate_min
        self.inquiry, self.sharing = policy.inquiry, policy.sharing
        self.purposes = tuple(one.id for one in policy.purposes)
        self.hold_grounds = tuple(one.id for one in policy.holds)
        self.approval_hours = policy.inquiry.approval_hours
        self.glass = policy.break_glass
        self.permits = {call.value: tuple(one for one in Role if call in calls[one]) for call in Call}
        self.training_days = policy.training.valid_days
        self.designation_days = policy.people.designation_days_max
        self.password_days = policy.security.password_max_days
        conductor, recorder = policy.training.conducted_by, policy.training.conductor_recorded_by
        self.conducting = self.conducted_by = _counting_as(policy, conductor)
        self.recorded_by = _counting_as(policy, recorder)
        self.topics = topics_came(self.topics, (topic.id for topic in policy.training.topics), at_us)

    def approving(self, people: Mapping[str, Iterable[Role]]) -> set[str]:
        """Those of these people, with their present roles, who may approve."""
        return {user for user, roles in people.items() if not set(self.approvers).isdisjoint(roles)}

    def permitting(self, call: Call, held: Iterable[Role]) -> tuple[Role, ...]:
        """Those of these roles that may make this call."""
        permits = self.permits.get(call.value, ())
        return tuple(one for one in held if one in permits)

    def demand_role(self, user: str, roles: Iterable[Role], call: Call) -> None:
        """Raises UnsignedError unless one of a person's roles may make this call."""
        if not self.permitting(call, roles):
            raise UnsignedError(f"no role of {user} may do that")

    def demand_stamp(
        self, stamp: Stamp, held: Iterable[Role], accounts: Mapping[str, AccountSet], root: Root | None
    ) -> None:
        """What an entry says of its person is so, except in an older log: one of the roles `held`, or that
        comes with one; the account's organisation; whether the `root` is a demo's. Raises UnsignedError."""
        account = accounts.get(stamp.user)
        if not self.judged_whole:
            return
        if stamp.role not in {one.value for role in held for one in self.includes.get(role.value, ())}:
            raise UnsignedError(f"{stamp.user} does not have the role in it")
        if account is None or stamp.organisation != account.organisation:
            raise UnsignedError(f"its organization is not {stamp.user}'s")
        if root is None or stamp.demo is not root.demo:
            raise UnsignedError("it is wrongly marked as a demo, or not")

    def demand_ground(self, ground: Ground, kinds: tuple[str, ...]) -> None:
        """463.2, 463.5 (a): raises UnsignedError unless purpose, basis and number are of the policy.

        `kinds`: the allowed kinds of numbers.
        """
        terms = self.inquiry
        if terms is None or ground.purpose not in self.purposes:
            raise UnsignedError("its purpose is not one of the policy's")
        if ground.basis not in terms.bases_for(ground.purpose):
            raise UnsignedError("its purpose does not fit its basis")
        if ground.number_kind not in kinds or not terms.is_number(ground.number, ground.number_kind):
            raise UnsignedError("it has no number that the policy accepts for it")

    def demand_reason(self, access: Access, danger: object) -> None:
        """463.5 (a): raises UnsignedError, RecordError unless a lookup says why, within the policy's days.

        `danger`: whose life is in danger, for an emergency search; None for others.
        """
        terms = self.inquiry
        if terms is None or not terms.says_why(access.ground.justification):
            raise UnsignedError("its justification says less than the policy asks for")
        if danger is not None and not terms.says_why(str(danger)):
            raise UnsignedError("it does not say whose life is in danger")
        if access.action in {"search", "delivery"}:
            query = Query.of_text(access.elements)
            if not terms.may_span(query.since_us, query.until_us):
                raise UnsignedError("it asks for more days at once than the policy allows")

    def demand_trainer(
        self, entry: Entry, note: TrainingDone, recorder: Iterable[Role], held: Iterable[Role]
    ) -> None:
        """463.9: raises UnsignedError unless a training is entered by the right person and in time.

        The person who conducts training enters it; another person enters that person's own. `recorder`,
        `held`: the roles of the recorder and of the trained person.
        """
        wanted = self.conducted_by if set(self.conducting).isdisjoint(held) else self.recorded_by
        if set(wanted).isdisjoint(recorder):
            raise UnsignedError(f"no role of {entry.stamp.user} records the training of {note.user}")
        if not 0 <= entry.stamp.at_us - note.held_us <= ENTERED_US:
            raise UnsignedError("a training is entered after it was held, within a month")

    def demand_near(self, query: object, at_us: int) -> None:
        """Raises UnsignedError if an emergency search looks back too far."""
        days = self.glass.days_max if self.glass is not None and self.glass.allowed else None
        from_us = query.get("since_us") if isinstance(query, dict) else None
        if days is None or type(from_us) is not int or from_us < at_us - days * DAY_US - FORM_US:
            raise UnsignedError("an emergency search looks back no further than the policy's days")

    def demand_limits(self, access: Access, at_us: int, due_us: Collection[int] | None) -> None:
        """Raises UnsignedError, RecordError if a search or delivery exceeds the policy's limits.

        `due_us`: for an emergency search, when the judgments of the same person's other ones are due; else
        None.
        """
        if self.inquiry is None or self.glass is None or access.action not in {"search", "delivery"}:
            return
        query = Query.of_text(access.elements)
        try:
            check_query(self.inquiry, query, at_us)
            if due_us is not None:
                check_emergency_query(self.glass, query, at_us)
                demand_few_waiting(self.glass, due_us, at_us)
        except DeskRefusal as error:
            raise UnsignedError(error.what) from None

    def demand_gate(self, kind: str, state: str) -> None:
        """Raises UnsignedError unless the agency may receive data: Civil Code 1798.90.55 (b)."""
        if self.sharing is None or not self.sharing.may_get(kind, state):
            raise UnsignedError("the policy allows nothing to that agency")

    def is_wide(self, plate: str) -> bool:
        """Whether a search for this plate counts as one without a full plate."""
        return bool(set(plate) & {"*", "?"}) or len(plate) < self.full_plate


def _counting_as(policy: Policy, role: Role) -> tuple[Role, ...]:
    """The roles whose holders count as `role`."""
    return tuple(one for one in Role if role in policy.effective_roles((one,)))
