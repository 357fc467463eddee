"""Who was the second person according to signed entries, and what is invalid without one. No I/O.

A decision counts by the signature of its person's session, and never for that person's own call. An approval
named by a signed call is valid for exactly that call: its form gives the proposal's digest. What takes two
people follows from the policy file that the root file names: searches without a full plate, accounts and
credentials of roles that take two people to give, deliveries to other agencies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from storage.times import DAY_US, HOUR_US
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed, GlassJudged
from sync.department.journal.entries import Entry, FindingClosed, TrainingDone
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import (
    ASKED_DAYS,
    HoldBooked,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
    held_words,
)
from sync.department.journal.inquiry_entries import Access, Query, SearchApproved
from sync.department.journal.office_entries import IncidentSettled
from sync.department.journal.policy_asks import PolicyAsks
from sync.department.journal.second_hand_facts import (
    DECIDES,
    WITH_DATA,
    AskedScope,
    DecisionSaid,
    PlacedHold,
    Proposal,
    SignedDecision,
    Spent,
    Training,
    WaitingEmergency,
    approval_of,
    change_digest,
    forget,
    incident_digest,
    item_digest,
    parse_form,
    plate_digest,
    reads_digest,
    release_digest,
    words_digest,
)
from sync.department.journal.sharing_entries import (
    DELIVER_DAYS,
    ShareAsked,
    ShareDecided,
    ShareReviewed,
    read_by,
)
from sync.department.journal.statements import Statement, digest_of
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.desk_terms import in_topics
from sync.department.policy.roles import CALLS, Call, Role

ASKED_US, DELIVER_US = ASKED_DAYS * DAY_US + HOUR_US, DELIVER_DAYS * DAY_US + HOUR_US  # plus that time
WAITS_US = 92 * DAY_US  # an older request or proposal must be made again
SEARCHES = frozenset({"inquiry/run", "inquiry/begin"})  # calls whose proposals are searches, not changes
EMERGENCY = "inquiry/break-glass"  # one person acts alone, and a second judges within hours
DECISIONS = SearchApproved | ChangeDecided | ShareDecided


@dataclass(slots=True)
class SecondHands(PolicyAsks):
    """What the entries so far prove about second persons, and what the policy in force requires of them.

    `requests`: those of other agencies, by entry; `approved_once`: who could approve since the offices named
    an administrator; `fresh`: accounts without a credential; `asked_release`: by hold, who asked to end it;
    `releases`: entries of valid ones, never forgotten, since a hold's key may come back; `emergencies`: by
    access, those that no one has judged; `trained`: each person's newest training; `spent`: used approvals;
    `given`: statements that gave a grant, and when; `reviewed`: requests that wait for a decision;
    `findings`: open ones, and whom each is about; `settled`: the first decisions on incidents;
    `seen_written`: deliveries name what was asked for; `seen_by_two`, `bound_whole`, `all_trained`,
    `shown_whole`: whether the log has that form.
    """

    proposed: dict[int, Proposal] = field(default_factory=dict)
    decided: dict[int, SignedDecision] = field(default_factory=dict)
    shares: dict[int, SignedDecision] = field(default_factory=dict)
    requests: dict[int, AskedScope] = field(default_factory=dict)
    asked_release: dict[int, SignedDecision] = field(default_factory=dict)
    releases: set[int] = field(default_factory=set)
    holds: dict[int, PlacedHold] = field(default_factory=dict)
    settled: dict[int, SignedDecision] = field(default_factory=dict)
    emergencies: dict[int, WaitingEmergency] = field(default_factory=dict)
    trained: dict[str, Training] = field(default_factory=dict)
    approved_once: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    reviewed: set[int] = field(default_factory=set)
    findings: dict[int, str] = field(default_factory=dict)
    spent: dict[int, Spent] = field(default_factory=dict)
    given: dict[bytes, int] = field(default_factory=dict)
    seen_by_two: bool = False
    seen_written: bool = False
    bound_whole: bool = False
    all_trained: bool = False
    shown_whole: bool = False

    def trial(self) -> SecondHands:
        """A copy on which to try an entry."""
        return SecondHands(**{one.name: copy.copy(getattr(self, one.name)) for one in fields(self)})

    def take_policy(
        self, document: bytes, named: bytes, at_us: int, people: Mapping[str, Iterable[Role]]
    ) -> None:
        """Take a policy into force, by which earlier decisions count too. `people`: the roles of each.
        Raises UnsignedError if the root file does not name it."""
        self.take_terms(document, named, at_us)
        for user, roles in people.items():
            self.keep_roles(user, roles)

    def take_account(self, user: str, roles: Iterable[Role], *, is_new: bool) -> None:
        """Take in an account that exists from now on."""
        if not set(self.approvers).isdisjoint(roles):
            self.approved_once.add(user)
        if is_new:
            self.fresh.add(user)

    def keep_roles(self, user: str, roles: Iterable[Role]) -> None:
        """Note the roles that a person has kept. Decisions count by the roles with which they were made while
        the person keeps them; a new role, or one that comes back, does not count for earlier decisions."""
        kept = frozenset(roles)
        for known in (self.decided, self.shares, self.asked_release, self.settled):
            for number, word in known.items():
                if word.user == user:
                    held = tuple(one for one in Role if one in kept) if word.roles is None else word.roles
                    known[number] = replace(word, roles=tuple(one for one in held if one in kept))

    def counts(self, call: Call, number: int, user: str) -> bool:
        """Whether a person's decision counts now: an approval of proposal or request `number`, a request to
        release hold `number`, or a decision on incident `number`. A role with which it was made, which its
        person has kept, must permit the call by the policy in force; what a policy took away and a later one
        gives back counts again. After a designation ends, it stays valid for its hours. The desk, the key
        service and `verify` judge by this."""
        words = {
            Call.SHARE_APPROVE: self.shares,
            Call.HOLD_RELEASE: self.asked_release,
            Call.INCIDENT_CLOSE: self.settled,
        }
        word = words.get(call, self.decided).get(number)
        if word is None or word.user != user:
            return False
        return word.roles is None or not set(self.permits.get(call.value, ())).isdisjoint(word.roles)

    def keeps_first_word(self, note: IncidentSettled, user: str) -> bool:
        """Whether a person's first decision on an incident still counts; in an older log it never ends. An
        unsigned one does not count beside a signed one on another incident with that number."""
        if not self.bound_whole:
            return True
        signed = self.settled.get(note.incident)
        if signed is None or signed.about != incident_digest(note):
            return False
        return self.counts(Call.INCIDENT_CLOSE, note.incident, user)

    def _demand_counts(self, call: Call, number: int, word: SignedDecision) -> None:
        """Raises UnsignedError if a decision no longer counts; does nothing in an older log."""
        if self.seen_by_two and not self.counts(call, number, word.user):
            raise UnsignedError(
                f"the role by which {word.user} gave that word is gone, or no longer permits it"
            )

    def make(self, entry: Entry, held: tuple[Role, ...], *, signed: bool) -> None:
        """Take in an entry about a person's action. `held`: the person's roles. Raises UnsignedError."""
        match entry.note:
            case ChangeProposed() as note:
                self.propose(entry, note)
            case TrainingDone() as note:
                self.train(note)
            case ReleaseAsked() as note:
                self.ask_release(entry, note, held)
            case HoldPlaced() as note:
                self.place(entry, note)
            case HoldBooked() as note:
                self.mark(note.hold, item=item_digest(note.evidence_item))
            case ShareAsked() as note:
                self.ask_share(entry, note)
            case ShareReviewed() as note:
                self.reviewed.add(note.request)
            case FindingClosed() as note:
                self.findings.pop(note.finding, None)
            case IncidentSettled() as note:
                self.settle(entry, note, held)
            case HoldReleased() as note:
                self.release(entry, note, signed=signed)

    def propose(self, entry: Entry, note: ChangeProposed) -> None:
        """Take in a change that waits for a second person."""
        forget(self.proposed, lambda one: entry.stamp.at_us - one.at_us >= WAITS_US)
        self.proposed[entry.sequence] = Proposal(
            call=note.call, digest=note.digest, user=entry.stamp.user, at_us=entry.stamp.at_us
        )

    def configures_by_two(self, said: Statement) -> bool:
        """Whether this configuration takes two people; in an older log, from the first proposed one on."""
        known = self.proposed.get(approval_of(said))
        proposed = known is not None and (known.call, known.digest) == (said.call, change_digest(said))
        return self.seen_by_two or proposed

    def decide(self, entry: Entry, said: Statement | None, held: tuple[Role, ...]) -> None:
        """Take in a decision. `said`: the statement of its call, None before the first key; `held`: its
        person's roles. Raises UnsignedError."""
        made, sharing = DecisionSaid.of(entry.note), isinstance(entry.note, ShareDecided)
        known, number, granted = self.shares if sharing else self.decided, made.number, made.granted
        if said is not None:
            form = parse_form(said)
            made.demand_said(said.call, form, whole=self.judged_whole)
            self._demand_waiting(entry, number, said, granted=granted)
            if sharing and granted:
                self._demand_agency(number, form)
        self.reviewed.discard(number)
        if not granted:
            known.pop(number, None)
            if self.shown_whole:  # declining ends it: a later approval by another person has no effect
                (self.requests if sharing else self.proposed).pop(number, None)
            return
        forget(known, lambda one: entry.stamp.at_us - one.at_us >= WAITS_US)
        roles = self.permitting(DECIDES[made.call], held)
        known[number] = SignedDecision(user=entry.stamp.user, at_us=entry.stamp.at_us, roles=roles)

    def _demand_waiting(self, entry: Entry, number: int, said: Statement, *, granted: bool) -> None:
        """Raises UnsignedError unless a decision is about a waiting matter of its kind, entered by another
        person: a request that was reviewed, or a proposal that has not expired."""
        note = entry.note
        if isinstance(note, ShareDecided):
            asked = self.requests.get(number)
            if asked is None and note.approved:  # one that was forgotten is still refused
                raise UnsignedError("it decides a request that did not exist yet")
            if asked is not None and asked.user == said.user:
                raise UnsignedError("the person who entered the request approves it")
            if asked is not None and self.shown_whole and number not in self.reviewed:
                raise UnsignedError("it decides a request that no one reviewed")
            return
        known = self.proposed.get(number)
        if isinstance(note, ChangeDecided) is not (known is not None):
            raise UnsignedError("it decides a proposal of another kind, or one that does not wait")
        in_time = known is None or entry.stamp.at_us - known.at_us <= self.approval_hours * HOUR_US
        if granted and self.shown_whole and not in_time:
            raise UnsignedError("the proposal that it decides had expired")

    def _demand_agency(self, number: int, form: Mapping[str, object]) -> None:
        """Raises UnsignedError unless both people say the same kind of agency; in an older log, from the
        first approval on that says one."""
        kind, state = (str(form.get(one, "")) for one in ("agency_kind", "agency_state"))
        if kind or state or self.seen_by_two:
            if (kind, state.strip().upper()) != self.requests[number].agency:
                raise UnsignedError("the person who approved it named another kind of agency")
            self.seen_by_two = True

    def train(self, note: TrainingDone) -> None:
        """Take in a training that its recorder signed."""
        known = self.trained.get(note.user)
        if known is None or note.held_us >= known.held_us:
            self.trained[note.user] = Training(held_us=note.held_us, topics=note.topics)

    def demand_training(self, user: str, at_us: int, *entered_us: int) -> None:
        """463.3, 463.9: raises UnsignedError unless a person was trained within the year, in every topic.
        `entered_us`: the time of the entry, if a topic may have been introduced since the call."""
        known = self.trained.get(user)
        if known is None or at_us >= known.held_us + self.training_days * DAY_US:
            raise UnsignedError(f"no signed training of {user} is current")
        times = (at_us, *entered_us)
        if not any(in_topics(self.topics, known.topics, held_us=known.held_us, at_us=one) for one in times):
            raise UnsignedError(f"{user} was not trained in a topic of the policy")

    def demand_may(self, said: Statement, entry: Entry, held: tuple[Role, ...], call: Call | None) -> None:
        """Raises UnsignedError unless a role of `held` permits a call and, in a newer log, training is
        current (463.3)."""
        if call is not None:
            self.demand_role(said.user, held, call)
        if not self.all_trained:
            return
        note, about = entry.note, said.call
        if isinstance(note, ChangeDecided):
            known = self.proposed.get(note.proposal)
            about = known.call if known is not None and note.granted else ""
        if about in WITH_DATA or (call is not None and CALLS[call].touches_data):
            self.demand_training(said.user, min(said.at_us, entry.stamp.at_us), entry.stamp.at_us)

    def ask_release(self, entry: Entry, note: ReleaseAsked, held: tuple[Role, ...]) -> None:
        """Take in the first person's request to end a hold. `held`: the person's roles."""
        roles = self.permitting(Call.HOLD_RELEASE, held)
        about = release_digest(note.evidence_item)
        word = SignedDecision(user=entry.stamp.user, at_us=entry.stamp.at_us, roles=roles, about=about)
        self.asked_release[note.hold] = word

    def release(self, entry: Entry, note: HoldReleased, *, signed: bool) -> None:
        """Take in the second person's release. Raises UnsignedError if no other person asked for it."""
        asked = self.asked_release.get(note.hold)
        if signed and (asked is None or asked.user == entry.stamp.user or asked.user != note.asked_by):
            raise UnsignedError("no other person asked for this release")
        if asked is not None and self.seen_by_two and entry.stamp.at_us - asked.at_us > ASKED_US:
            raise UnsignedError("the first person's request had expired")
        if asked is not None:
            self._demand_counts(Call.HOLD_RELEASE, note.hold, asked)
            if self.all_trained and asked.about not in {b"", release_digest(note.evidence_item)}:
                raise UnsignedError("the first person named another item number")
        placed = self.holds.get(note.hold)
        if signed and (placed is None or placed.access != note.access):
            raise UnsignedError("it ends a hold that the two people did not both name")
        self.asked_release.pop(note.hold, None)
        self.releases.add(entry.sequence)

    def demand_there(self, note: Note, user: str) -> None:
        """Raises UnsignedError unless what an entry is about exists and its person may judge it; a hold must
        have a ground of 463.8."""
        if isinstance(note, GlassJudged):
            self._demand_other_judge(user, note.access)
        if isinstance(note, IncidentSettled):
            self.demand_settled(user, note)
        own = isinstance(note, FindingClosed) and self.findings.get(note.finding, user) == user
        if own and self.shown_whole:
            raise UnsignedError("it closes a finding that is not open, or that is about that person")
        if isinstance(note, HoldPlaced) and self.all_trained and note.ground not in self.hold_grounds:
            raise UnsignedError("that is not one of the policy's grounds to hold")
        if not isinstance(note, HoldBooked | ReleaseAsked | HoldReleased):
            return
        placed = self.holds.get(note.hold)
        if isinstance(note, ReleaseAsked) and placed is None:
            raise UnsignedError("it names a hold that did not exist yet")
        if placed is not None and self.all_trained:
            placed.demand_item(note.evidence_item, books=isinstance(note, HoldBooked))

    def mark(self, hold: object, **changes: Any) -> None:
        """Note that an export of a hold began, or that it was booked."""
        if type(hold) is int and hold in self.holds:
            self.holds[hold] = replace(self.holds[hold], **changes)

    def place(self, entry: Entry, note: HoldPlaced) -> None:
        """Take in a hold, whose key is named for its access."""
        words = words_digest(held_words("export", note.number, len(note.reads)))
        reads = reads_digest(note.reads)
        self.holds[entry.sequence] = PlacedHold(access=note.access, reads=reads, words=words)

    def _demand_held(self, said: Statement, access: Access) -> None:
        """Raises UnsignedError unless an export opens the reads of the hold that it names."""
        hold = parse_form(said).get("hold")
        placed = self.holds.get(hold) if type(hold) is int else None
        if placed is None or placed.reads != reads_digest(access.reads):
            raise UnsignedError("its reads are not those of the hold")
        if self.judged_whole:
            placed.demand_words(access.elements)

    def demand_hold(self, said: Statement, access: int) -> None:
        """Raises UnsignedError unless an export names the hold of this access."""
        hold = parse_form(said).get("hold")
        placed = self.holds.get(hold) if type(hold) is int else None
        if placed is None or placed.access != access:
            raise UnsignedError("it names another hold")

    def demand_settled(self, user: str, note: IncidentSettled) -> None:
        """Raises UnsignedError unless a second person closes an incident while the first decision counts."""
        if not note.second:
            return
        first = self.settled.get(note.incident)
        if first is None or first.user == user:
            raise UnsignedError("no other person settled this incident before")
        if self.bound_whole and first.about != incident_digest(note):
            raise UnsignedError("the first person decided on another incident of that number")
        if self.bound_whole:
            self._demand_counts(Call.INCIDENT_CLOSE, note.incident, first)

    def settle(self, entry: Entry, note: IncidentSettled, held: tuple[Role, ...]) -> None:
        """Take in a decision on an incident; the second closes it. `held`: the person's roles."""
        if note.second:
            self.settled.pop(note.incident, None)
            return
        self.settled[note.incident] = SignedDecision(
            user=entry.stamp.user,
            at_us=entry.stamp.at_us,
            roles=self.permitting(Call.INCIDENT_CLOSE, held),
            about=incident_digest(note),
        )

    def due_of(self, user: str) -> list[int]:
        """When judgment is due of each of a person's waiting emergency searches."""
        return [one.due_us for one in self.emergencies.values() if one.user == user]

    def _demand_other_judge(self, user: str, access: int) -> None:
        """Raises UnsignedError if a person judges their own emergency search."""
        known = self.emergencies.get(access)
        if known is not None and known.user == user:
            raise UnsignedError("the person who searched does not judge it")

    def demand_access(self, said: Statement, entry: Entry, access: Access) -> None:
        """Check the second person of an access, if it needs or names one. Raises UnsignedError."""
        named = approval_of(said)
        number = named if named >= 0 else access.approval
        if number >= 0:
            self._demand(said, number, entry)
            if said.call not in SEARCHES and number not in self.proposed:
                raise UnsignedError("the approval that it names is of no such change")
        elif access.action == "search" and said.call != EMERGENCY and self.is_wide(access.plate):
            raise UnsignedError("it has no full plate, and no second person signed")
        if access.action == "delivery":
            self._demand_delivery(said, access, entry.stamp.at_us)
        elif access.action == "export":
            self._demand_held(said, access)
        elif said.call == EMERGENCY:
            self.demand_near(parse_form(said).get("query"), entry.stamp.at_us)

    def ask_share(self, entry: Entry, note: ShareAsked) -> None:
        """Take in another agency's request."""
        forget(self.requests, lambda one: entry.stamp.at_us - one.at_us >= WAITS_US)
        self.requests[entry.sequence] = AskedScope.of(note, entry.stamp)

    def _demand_delivery(self, said: Statement, access: Access, at_us: int) -> None:
        """463.6: raises UnsignedError unless another person approved it and nothing beyond it leaves."""
        decision, asked = self.shares.get(access.request), self.requests.get(access.request)
        if decision is None or asked is None or decision.user == said.user:
            raise UnsignedError("no second person signed its approval")
        if self.seen_by_two and at_us - decision.at_us > DELIVER_US:
            raise UnsignedError("its approval had expired")
        self._demand_counts(Call.SHARE_APPROVE, access.request, decision)
        if self.all_trained:
            self.demand_gate(*asked.agency)
        if (access.written or self.seen_written) and asked.written not in {b"", access.written}:
            raise UnsignedError("its agency, purpose or number is not that of the request")
        scope = parse_form(said).get("scope")
        # reads until the request was entered; in older logs, also until the requested time
        until = {read_by(asked.until_us, asked.at_us)} | (set() if self.seen_by_two else {asked.until_us})
        times = [(asked.since_us, one) for one in until]
        if isinstance(scope, dict):
            times = [(scope.get("since_us", asked.since_us), scope.get("until_us", asked.until_us))]
        for since_us, until_us in times:
            if type(since_us) is not int or type(until_us) is not int:
                continue
            within = asked.since_us <= since_us and until_us <= max(until)
            query = Query(plate=access.plate, since_us=since_us, until_us=until_us)
            if within and access.elements == query.text() and plate_digest(access.plate) in asked.plates:
                return
        raise UnsignedError("it is beyond what the agency asked for")

    def demand_images(self, said: Statement, request: int) -> None:
        """Raises UnsignedError if a delivery opens pictures that its request does not ask for."""
        asked, scope = self.requests.get(request), parse_form(said).get("scope")
        wanted = not isinstance(scope, dict) or scope.get("images") is True
        if asked is None or not (asked.images and wanted):
            raise UnsignedError("the request asks for no pictures")

    def demand_change(
        self, said: Statement, entry: Entry, *, needed: bool, people: Iterable[str], about: str = ""
    ) -> None:
        """Check the second person of a change. `people`: all who ever had a key; `about`: whom it changes.
        Raises UnsignedError."""
        number = approval_of(said)
        if number >= 0:
            self._demand(said, number, entry)
            if self.decided[number].user == about:
                raise UnsignedError(f"{about} approved a change that concerns themselves")
            if number not in self.proposed:
                raise UnsignedError("the approval that it names is of no such change")
        elif needed and self.approved_once.intersection(people) - {said.user}:
            raise UnsignedError("it takes two people, and no second person signed")

    def spend(self, entry: Entry, said: Statement) -> None:
        """Use up the approval that a call names, for the entries of that call only."""
        number, at_us = approval_of(said), entry.stamp.at_us
        if number >= 0:
            forget(self.spent, lambda one: at_us - one.at_us >= WAITS_US)
            self.spent.setdefault(number, Spent(entry=entry.sequence, by=digest_of(said), at_us=at_us))

    def give(self, entry: Entry, said: Statement) -> None:
        """Take in a grant. Raises UnsignedError if its signed call gave another one before."""
        forget(self.given, lambda at: entry.stamp.at_us - at >= HOUR_US)
        key = digest_of(said)
        if key in self.given:
            raise UnsignedError("the signature gave another grant before")
        self.given[key] = entry.stamp.at_us

    def _demand(self, said: Statement, number: int, entry: Entry) -> None:
        decision, proposal = self.decided.get(number), self.proposed.get(number)
        if decision is None or decision.user == said.user:
            raise UnsignedError("no second person signed the approval that it names")
        if proposal is not None and (proposal.call, proposal.digest) != (said.call, change_digest(said)):
            raise UnsignedError("the approval that it names is for another change")
        if proposal is not None and proposal.user != said.user:
            raise UnsignedError("the approval that it names is another person's")
        at_us, by = entry.stamp.at_us, digest_of(said)
        if at_us - decision.at_us > self.approval_hours * HOUR_US:
            raise UnsignedError("the approval that it names had expired")
        spent = self.spent.get(number)
        if spent is not None and spent.by != by:
            raise UnsignedError("the approval that it names was used before")
        if spent is None:
            call = Call.INQUIRY_APPROVE if proposal is None else Call.CHANGE_APPROVE
            self._demand_counts(call, number, decision)
