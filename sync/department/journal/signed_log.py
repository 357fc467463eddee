"""Judges entries in order, each by the state before it, for the key service and `verify`. No I/O.

An entry that opens content must be what its person signed (`signed_forms.py`), and an alert must be of a
record that this person's call opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from storage.times import HOUR_US
from sync.department.journal.alert_entries import (
    ALERT_GROUND,
    RAISED,
    AlertKnown,
    AlertRecordsOpened,
    AlertStepTaken,
    alert_words,
    record_of,
)
from sync.department.journal.change_entries import GlassBroken, GlassJudged
from sync.department.journal.entries import (
    BY_OWN_HAND,
    JUDGED_WHOLE,
    Entry,
    Filed,
    FindingClosed,
    RequestAnswered,
)
from sync.department.journal.hold_entries import HoldPlaced, held_words
from sync.department.journal.inquiry_entries import Access, InquiryAsked, SearchApproved, SearchProposed
from sync.department.journal.made_by import MADE, filed_by
from sync.department.journal.malformed import unread_is_unsigned
from sync.department.journal.named_entries import NamedEntries, plate_mark
from sync.department.journal.second_hand_facts import Spent, WaitingEmergency, approval_of, forget
from sync.department.journal.second_hands import EMERGENCY, WAITS_US
from sync.department.journal.signed_forms import (
    ACCESS_CALLS,
    ALERTS,
    ANSWERS,
    BY_NUMBER,
    NamedAlert,
    OpenedRecords,
    RunRequest,
    Waiting,
    ask_digest,
    fits_access,
    is_as_asked,
    waiting_of,
)
from sync.department.journal.signers import KEPT_US, Signers
from sync.department.journal.statements import SIGNED_WITHIN_US, USED, Statement, digest_of
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.desk_terms import CAD, CASE, NUMBER_KINDS

ANSWERED_US = 2 * HOUR_US  # a search takes its last step within an hour
MOST_ALERTS = 5000  # the newest, which can still be named by number


def access_digest(said: Statement, note: Access) -> bytes:
    """SHA-256 of a signed call and the access that it made, which it may make only once."""
    return hashlib.sha256(digest_of(said) + f"{note.action} {note.elements}".encode()).digest()


@dataclass(slots=True)
class SignedLog:
    """The state by which the key service and `verify` judge entries in order.

    `used`: statements of the hour; `waiting`, `alerts`: requests and proposals, and the newest alerts, which
    a call may name by number; `opened`: by a statement's digest, the records of alerts that it opened;
    `holding`: by a statement's digest, the access of a hold; `running`: searches for a request.
    """

    signers: Signers = field(default_factory=Signers)
    used: dict[bytes, int] = field(default_factory=dict)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    alerts: dict[int, NamedAlert] = field(default_factory=dict)
    opened: dict[bytes, OpenedRecords] = field(default_factory=dict)
    holding: dict[bytes, Spent] = field(default_factory=dict)
    running: dict[int, RunRequest] = field(default_factory=dict)
    named: NamedEntries = field(default_factory=NamedEntries)

    def judge(self, entry: Entry) -> None:
        """Take in an entry. Raises UnsignedError if it is not by the person whom it names.

        Before the first person of a log had a key, accesses need no signature.
        """
        with unread_is_unsigned(entry.signed):
            self._judge(entry)

    def _judge(self, entry: Entry) -> None:
        note = entry.note
        self.named.take(entry, judges=self.signers.form >= BY_OWN_HAND)
        if isinstance(note, MADE):
            said = self.signers.demand_made(entry)
            if said is not None:
                self._judge_named(entry, said)
                self._judge_alert(entry, said)
            self.signers.make(entry, said)
            self.named.forget(note)
            self._remember(entry)
        elif not isinstance(note, Access):
            if isinstance(note, SearchApproved) and entry.signed:
                self._demand_other(note, entry.stamp.user)
            self.signers.apply(entry)
            if isinstance(note, SearchApproved) and not note.granted and self.signers.second.shown_whole:
                self.waiting.pop(note.proposal, None)
        elif entry.signed or self.signers.ever:
            self._judge_access(entry, note)
            if note.action == "search":
                self.named.keep_search(entry.sequence, plate_mark(note.plate))

    def _remember(self, entry: Entry) -> None:
        """Keep what later calls may name by number: a request, a proposal, an alert, an emergency search."""
        note, at_us = entry.note, entry.stamp.at_us
        if isinstance(note, InquiryAsked | SearchProposed):
            forget(self.waiting, lambda one: at_us - one.at_us >= WAITS_US)
            asked = self.waiting.get(note.request) if isinstance(note, SearchProposed) else None
            for_user = asked.user if asked is not None else ""
            self.waiting[entry.sequence] = waiting_of(note, entry.stamp, for_user)
        elif isinstance(note, GlassBroken) and note.access in self.signers.second.emergencies:
            emergencies = self.signers.second.emergencies
            emergencies[note.access] = replace(emergencies[note.access], due_us=note.due_us)
        elif isinstance(note, GlassJudged):
            self.signers.second.emergencies.pop(note.access, None)
        elif isinstance(note, RequestAnswered) and note.access < 0 and self.signers.form >= JUDGED_WHOLE:
            self.end_request(note.request)
        elif isinstance(note, AlertKnown):
            self.alerts[entry.sequence] = NamedAlert(alert=note.record or note.alert, read=note.read)
            while len(self.alerts) > MOST_ALERTS:
                del self.alerts[next(iter(self.alerts))]

    def end_request(self, request: int) -> None:
        """End a declined request: no search is for it, and none that began before may answer it."""
        self.waiting.pop(request, None)
        for at in [at for at, one in self.running.items() if one.request == request]:
            del self.running[at]

    def asked(self, number: int) -> Waiting | None:
        """A request or proposal, by its entry's number."""
        return self.waiting.get(number)

    def alert(self, name: str) -> tuple[str, str]:
        """An alert's record and read, by its entry's number or by the record."""
        known = next((self.alerts[one] for one in self.numbers_of(name)), None)
        return (known.alert, known.read) if known else ("", "")

    def numbers_of(self, name: str) -> Iterator[int]:
        """The entries of alerts of that number, else of that record, the newest first."""
        if name.isascii() and name.isdigit() and len(name) < 20 and int(name) in self.alerts:
            return iter((int(name),))
        return (number for number, one in reversed(self.alerts.items()) if one.alert == name)

    def _demand_other(self, note: SearchApproved, user: str) -> None:
        """Raises UnsignedError if the person who decides on a search asked for it."""
        known = self.waiting.get(note.proposal)
        if known is None:
            raise UnsignedError("it decides a proposal that does not wait")
        if user in {known.user, known.for_user}:
            raise UnsignedError("it decides a search that the same person asked for")

    def _judge_named(self, entry: Entry, said: Statement) -> None:
        """Check what an entry's call names by number. Raises UnsignedError.

        A proposal must be of the named request, and a person may only submit their own emergency search for
        judgment.
        """
        note = entry.note
        if isinstance(note, SearchProposed) and said.fields().get("query") is None:
            asked = self.asked(note.request)
            if asked is None or asked.whole != ask_digest(note.query.plate, note.ground, note.query.text()):
                raise UnsignedError("the signed call proposes another search")
        elif isinstance(note, GlassJudged) and note.access not in self.signers.second.emergencies:
            raise UnsignedError("it judges an emergency search that does not wait for that")
        elif isinstance(note, GlassBroken) and self.signers.all_signed:
            second, at_us = self.signers.second, entry.stamp.at_us
            searched = second.emergencies.get(note.access)
            if searched is None or searched.user != said.user:
                raise UnsignedError("the search that it names is another one")
            hours = second.glass.second_word_hours if second.glass is not None else 0
            if note.due_us > at_us + hours * HOUR_US + SIGNED_WITHIN_US:
                raise UnsignedError("the judgment is due later than the policy says")
        elif isinstance(note, RequestAnswered) and note.access >= 0 and self.signers.form >= BY_OWN_HAND:
            run = self.running.get(note.access)
            if run is None or (run.request, run.user) != (note.request, said.user):
                raise UnsignedError("the search that it names is of another request, or of a declined one")
        elif isinstance(note, FindingClosed) and self.signers.form >= BY_OWN_HAND:
            self.named.demand_other(note, said.user)
        elif isinstance(note, Filed) and self.signers.form >= JUDGED_WHOLE:
            self.named.demand_of_case(note, filed_by(said.fields(), said))
        elif isinstance(note, HoldPlaced) and self.signers.all_signed:
            known = self.holding.get(digest_of(said))
            if known is None or known.entry != note.access:
                raise UnsignedError("its key is another hold's")

    def _judge_alert(self, entry: Entry, said: Statement) -> None:
        """Raises UnsignedError unless an alert, or a step, is of the opened record or the named alert."""
        note = entry.note
        if isinstance(note, AlertKnown):
            seen = self.opened.get(digest_of(said))
            if seen is None or note.record not in seen.records:
                raise UnsignedError("the signed call opened no such record")
            if note.read.rpartition("/")[0] != note.record.rpartition("/")[0]:
                raise UnsignedError("its read belongs to another unit's log")
        elif isinstance(note, AlertRecordsOpened):
            if not self._opened_by(said).issuperset(note.records):
                raise UnsignedError("the signed call opened no such record")
        elif isinstance(note, AlertStepTaken) and note.unit:
            log = note.alert.rpartition("/")[0]
            if log not in {one.rpartition("/")[0] for one in self._opened_by(said)}:
                raise UnsignedError("the signed call opened no record of that unit")
        elif isinstance(note, AlertStepTaken):
            named = said.fields().get("alert")
            if not isinstance(named, str) or self.alert(named)[0] != record_of(note.alert):
                raise UnsignedError("the signed call is about another alert")

    def _opened_by(self, said: Statement) -> set[str]:
        """The records that a signed call opened."""
        seen = self.opened.get(digest_of(said))
        return set(seen.records) if seen is not None else set()

    def _demand_request(self, said: Statement, note: Access) -> None:
        """Raises UnsignedError unless a search is for its proposal's request, which asks for exactly it."""
        proposed = self.asked(approval_of(said))
        if proposed is not None and proposed.for_user != note.on_behalf_of:
            raise UnsignedError("it was proposed for another request")
        if note.request >= 0 and not is_as_asked(self.asked(note.request), note):
            raise UnsignedError("the request that it names asks for another search")

    def _demand_words(self, form: Mapping[str, Any], note: Access) -> None:
        """What an access says of itself beside its query is what its call makes of its form; of an export,
        see `second_hands.py`. Raises UnsignedError."""
        if note.action == "image":
            self.named.demand_of_search(note, form.get("access"))
        elif note.action == "hold" and note.elements != held_words("hold", form["number"], len(note.reads)):
            raise UnsignedError("its data elements are not those of the hold")
        elif note.action in ALERTS:
            numbers = self.numbers_of(form["alert"]) if "alert" in form else ()
            words = {alert_words(note.action, one) for one in numbers} if "alert" in form else {RAISED}
            if note.ground != ALERT_GROUND or note.elements not in words:
                raise UnsignedError("its ground or its data elements are not those of that alert")

    def _judge_access(self, entry: Entry, note: Access) -> None:
        said = self.signers.demand_signed(entry)
        if not fits_access(said, note, self):
            raise UnsignedError("the signed call does not match")
        second = self.signers.second
        second.demand_access(said, entry, note)
        if self.signers.all_signed:
            roles = self.signers.roles_of(said.user, entry.stamp.at_us)
            second.demand_role(said.user, roles, ACCESS_CALLS[said.call])
            second.demand_training(said.user, entry.stamp.at_us)
        if second.all_trained and note.action not in ALERTS and said.call not in ANSWERS:
            wide = note.action == "search" and second.is_wide(note.plate)
            kinds = (CAD,) if said.call == EMERGENCY else (CASE,) if wide else NUMBER_KINDS
            second.demand_ground(note.ground, kinds)
            if self.signers.form >= BY_OWN_HAND:
                danger = said.fields().get("danger", "") if said.call == EMERGENCY else None
                second.demand_reason(note, danger)
            if self.signers.form >= JUDGED_WHOLE:
                due_us = second.due_of(said.user) if said.call == EMERGENCY else None
                second.demand_limits(note, entry.stamp.at_us, due_us)
        if self.signers.form >= JUDGED_WHOLE:
            self._demand_words(said.fields(), note)
        searches = note.action == "search" and said.call in BY_NUMBER
        if searches and self.signers.form >= BY_OWN_HAND:
            self._demand_request(said, note)
        forget(self.used, lambda at: entry.stamp.at_us - at >= KEPT_US)
        key = access_digest(said, note)
        if key in self.used:
            raise UnsignedError(USED)
        self.used[key] = entry.stamp.at_us
        second.spend(entry, said)
        second.seen_written = second.seen_written or bool(note.written)
        if said.call == EMERGENCY:
            second.emergencies[entry.sequence] = WaitingEmergency(user=said.user)
        self.signers.apply(entry)
        if note.action == "hold":
            at_us, by = entry.stamp.at_us, digest_of(said)
            forget(self.holding, lambda one: at_us - one.at_us >= KEPT_US)
            self.holding[by] = Spent(entry=entry.sequence, by=by, at_us=at_us)
        if note.action == "search" and note.request >= 0:
            forget(self.running, lambda one: entry.stamp.at_us - one.at_us >= ANSWERED_US)
            run = RunRequest(request=note.request, user=said.user, at_us=entry.stamp.at_us)
            self.running[entry.sequence] = run
        if note.action == "alert":
            forget(self.opened, lambda one: entry.stamp.at_us - one.at_us >= KEPT_US)
            self.opened[digest_of(said)] = OpenedRecords(records=note.reads, at_us=entry.stamp.at_us)
