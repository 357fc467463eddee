"""The open alerts of this unit, and the only way to take a step with them. Every step is a signed record.

An alert stays on the board until a person closes it. If too many are open, the oldest are counted and left to
the department's desk, which has them all; nothing else removes one. Alerts from before a restart cannot be
opened here, since their keys were only in memory; the department can open them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.episodes import Episodes, Wish
from firmware.alerts.matching import ListMatch
from firmware.alerts.unstored import UnstoredHits, wish_of
from storage.alert_life import (
    NEGATIVE,
    AlertAnswer,
    AlertEvent,
    AlertState,
    AlertStep,
    Wanted,
    demand_step,
    ruled_out,
)
from storage.alert_terms import AlertTerms
from storage.audit_records import Decision, Verdict
from storage.errors import RefusedError
from storage.ledger import Ledger
from storage.plate_text import normal_plate
from storage.read_records import Alert, AlertStepped
from sync.hot_lists.document import digest_of
from sync.hot_lists.entry import ListEntry, cleared_name

MOST_OPEN = 500  # if more are open, the oldest silent ones are counted and left to the desk
STEPS_TOGETHER = 100  # steps of one kind in one transaction
LEFT = "left to the desk"  # the outcome of an alert that this unit no longer shows
MOST_AT_ALL = 5000  # if more are open, the oldest of any kind are: no officer may be there to close them
_VERDICTS = {
    AlertAnswer.CONFIRMED: Verdict.CONFIRMED,
    AlertAnswer.WRONG_CHARACTER: Verdict.MISREAD,
    AlertAnswer.WRONG_STATE: Verdict.DISMISSED,
    AlertAnswer.NOT_THIS_VEHICLE: Verdict.DISMISSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert:
    """One alert on the board. `sightings`: the reads of this vehicle so far, including the first.

    `last_us`: when the vehicle was last seen, by the clock; `seen_us`: the same by running time.
    """

    number: int
    read: int
    says: str
    entry: ListEntry = field(repr=False)
    entry_digest: bytes = field(repr=False)
    match: ListMatch = field(repr=False)
    state: AlertState
    sightings: int = 1
    last_us: int = 0
    seen_us: int = 0

    @property
    def visit(self) -> Wish:
        """The key that episodes use for it."""
        return Wish(self.match.head.list_id, self.entry.subject, self.entry_digest)

    @property
    def wanted(self) -> Wanted:
        """What the entry says about the vehicle, for the comparison."""
        entry = self.entry
        return Wanted(
            plate=entry.plate, state=entry.state, requester=entry.requester, approver=entry.approver
        )


@dataclass(frozen=True, slots=True)
class PlannedAlert:
    """A match of a read that is about to be stored. `known`: the open alert of which it is a sighting."""

    match: ListMatch = field(repr=False)
    visit: Wish = field(repr=False)
    at_us: int
    known: int | None

    @property
    def is_new(self) -> bool:
        """Whether it needs a new record."""
        return self.known is None

    def record(self, read: int) -> Alert:
        """The alert as a record; `read` is the number of the read's own record. Raises RecordError."""
        one = self.match
        return Alert(
            read=read,
            list_id=one.head.list_id,
            list_version=one.head.sequence,
            source=one.head.source,
            entry=one.entry.to_bytes(),
            category=one.entry.category,
            score=one.score,
            twin=one.twin,
            disagrees=one.disagrees,
            silent=one.silent,
            stale=one.stale,
            at_us=self.at_us,
        )


class AlertBoard:
    """The open alerts. Thread-safe.

    Outside the lock, `changed` is called after every change and `warn` for each hit that could not be stored.
    """

    def __init__(
        self,
        ledger: Ledger,
        cleared: ClearedPlates,
        *,
        terms: Callable[[], AlertTerms],
        changed: Callable[[OpenAlert, str], None] = lambda _alert, _what: None,
        warn: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger, self._cleared, self._terms, self._changed = ledger, cleared, terms, changed
        self._lock = threading.Lock()
        self._open: dict[int, OpenAlert] = {}
        self._episodes = Episodes()
        self.unstored = UnstoredHits(known=self._is_known, running_us=lambda: self.running_us, warn=warn)
        self.left_to_the_desk = 0
        self.raised = 0  # alerts of this run without those of covert entries, which no count may show
        self.began = ledger.store.log.size()  # records from here on belong to this run

    @property
    def running_us(self) -> int:
        """The running time (us), which no one can set; the board ages alerts and steps by it."""
        return self._ledger.store.time.boot_us

    def plan(self, matches: Sequence[ListMatch], at_us: int) -> list[PlannedAlert]:
        """The new alerts and the sightings of known alerts in a read that is about to be stored.

        The read's transaction includes `PlannedAlert.record`, so that no power cut leaves a hit without its
        alert; call `raise_alerts` once both are durable.
        """
        planned, reworded = [], list[OpenAlert]()
        for one in matches:
            visit = wish_of(one)
            with self._lock:
                before = self._episodes.reworded(visit, one.listed)
                if before is not None:
                    reworded += self._reword(before, one.entry)
                if one.sounds and self._episodes.settled(visit, at_us):
                    one = replace(one, silent=("just checked",))  # noqa: PLW2901
                known = self._episodes.ongoing(visit, at_us, sounds=one.sounds)
            planned.append(PlannedAlert(one, visit, at_us, known))
        for alert in reworded:
            self._changed(alert, "entry changed")
        return planned

    def raise_alerts(
        self, read: int, planned: Sequence[PlannedAlert], numbers: Sequence[int]
    ) -> list[OpenAlert]:
        """Open the alerts of a stored read. numbers: the record numbers of the new ones, in order."""
        made, fresh = [], iter(numbers)
        for one in planned:
            if one.is_new:
                made.append(self._raise(read, one, next(fresh)))
            else:
                self._see_again(one)
            self.unstored.stored(one.visit, one.at_us)
        return made

    def _is_known(self, one: ListMatch, at_us: int) -> bool:
        """Whether it already sounded during this visit, or a person has just settled it."""
        visit = wish_of(one)
        with self._lock:
            heard = self._episodes.ongoing(visit, at_us, sounds=True) is not None
            return heard or self._episodes.settled(visit, at_us)

    def _see_again(self, planned: PlannedAlert) -> None:
        with self._lock:
            alert = self._open.get(planned.known) if planned.known is not None else None
            if alert is None:
                return
            alert = replace(
                alert, sightings=alert.sightings + 1, last_us=planned.at_us, seen_us=self.running_us
            )
            self._open[alert.number] = alert
        self._changed(alert, "sighting")

    def _raise(self, read: int, planned: PlannedAlert, number: int) -> OpenAlert:
        one, visit, at_us = planned.match, planned.visit, planned.at_us
        category = self._terms().category(one.entry.category)
        alert = OpenAlert(
            number=number,
            read=read,
            says=category.says if category is not None else one.entry.category,
            entry=one.entry,
            entry_digest=one.entry_digest,
            match=one,
            state=AlertState(raised_us=self.running_us),
            last_us=at_us,
            seen_us=self.running_us,
        )
        with self._lock:
            self._open[number] = alert
            self.raised += not alert.entry.covert
            self._episodes.begin(visit, number, at_us, sounds=one.sounds)
            left = self._make_room()
        self._changed(alert, "raised")
        for one_left in left:
            self._changed(one_left, LEFT)
        return alert

    def _make_room(self) -> list[OpenAlert]:
        """Remove the alerts that are left to the desk (see MOST_OPEN), and return them. Under the lock."""
        left = list[OpenAlert]()
        while len(self._open) > MOST_OPEN:
            oldest = next((number for number, one in self._open.items() if not one.match.sounds), None)
            if oldest is None:
                if len(self._open) <= MOST_AT_ALL:
                    break
                oldest = next(iter(self._open))
            left.append(self._open.pop(oldest))
            self.left_to_the_desk += not left[-1].entry.covert  # a count would reveal it
        return left

    def open_alerts(self) -> list[OpenAlert]:
        """All open alerts: first those that sound, newest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda one: (not one.match.sounds, -one.number))

    def find(self, number: int) -> OpenAlert:
        """An open alert. Raises RefusedError."""
        with self._lock:
            found = self._open.get(number)
        if found is None:
            raise RefusedError("no such alert is open on this unit", clause="463.7", cure="list them again")
        return found

    def take_step(self, number: int, step: AlertStep) -> OpenAlert:
        """Record a step. Raises RefusedError, StorageError, OSError."""
        made = self.take_steps([number], step)
        if not made:
            raise RefusedError("no such alert is open on this unit", clause="463.7", cure="list them again")
        return made[0]

    def take_steps(self, numbers: Sequence[int], step: AlertStep) -> list[OpenAlert]:
        """Record a step of each of these alerts that is open, all or none, with one flush of the card.

        Raises RefusedError, StorageError, OSError.
        """
        with self._lock:
            alerts = [self._open[number] for number in numbers if number in self._open]
            if not alerts:
                return []
            with self._ledger.store.adding():
                for alert in alerts:
                    demand_step(alert.state, step, alert.wanted)
                    self._ledger.append(AlertStepped(alert=alert.number, step=step))
            made = [replace(one, state=one.state.after(step, self.running_us)) for one in alerts]
            for alert in made:
                self._open[alert.number] = alert
                if step.step is AlertEvent.CLOSED:
                    del self._open[alert.number]
                self._end_visit(alert, step)
        for alert in made:
            if step.step is AlertEvent.ANSWERED and step.answer is not None:
                self._decided(alert, step)
            self._changed(alert, str(step.step))
        return made

    def _end_visit(self, alert: OpenAlert, step: AlertStep) -> None:
        """End a visit after this step, since the wanted vehicle may still come. Under the lock."""
        if step.step is AlertEvent.ANSWERED and step.answer in NEGATIVE:
            # by the clock of the reads: a step's clock may differ, or may have been set since
            self._episodes.settle(alert.visit, alert.last_us + self.running_us - alert.seen_us)
        elif (
            step.step is AlertEvent.RECALLED
            or (step.step is AlertEvent.ANSWERED and step.answer is AlertAnswer.CANNOT_TELL)
            or (step.step is AlertEvent.CLOSED and alert.state.answer is None)
        ):
            self._episodes.end(alert.visit)

    def _decided(self, alert: OpenAlert, step: AlertStep) -> None:
        verdict = _VERDICTS.get(step.answer) if step.answer is not None else None
        if verdict is not None:
            self._ledger.append(
                Decision(
                    alert=alert.number,
                    user=step.user,
                    role=step.role,
                    image_viewed=True,
                    verdict=verdict,
                    at_us=step.at_us,
                )
            )
        typed = ruled_out(alert.state)
        if typed is not None and step.answer is AlertAnswer.WRONG_CHARACTER:
            # clear only the plate that was typed: one person never clears the entry's own plate
            self._cleared.add(cleared_name(alert.entry_digest, normal_plate(typed.plate)))

    def follow_lists(self, listed: Callable[[OpenAlert], ListEntry | None], at_us: int) -> list[OpenAlert]:
        """Recall the open alerts whose entries were withdrawn, and return them; show reworded entries.

        listed: gives the entry that now replaces an alert's entry, None if there is none.
        """
        gone, reworded = [], list[OpenAlert]()
        for wish, alerts in self._by_entry().items():
            entry = listed(alerts[0])
            if entry is None:
                gone += alerts
            elif entry != alerts[0].entry:
                with self._lock:
                    reworded += self._reword(wish, entry)
        for one in reworded:
            self._changed(one, "entry changed")
        step = AlertStep(
            step=AlertEvent.RECALLED, user="", role="system", at_us=at_us, text="the entry was withdrawn"
        )
        numbers, made = [one.number for one in gone], list[OpenAlert]()
        # in groups, since a read that is to be stored waits for the whole group
        for first in range(0, len(numbers), STEPS_TOGETHER):
            made += self.take_steps(numbers[first : first + STEPS_TOGETHER], step)
        return made

    def _by_entry(self) -> dict[Wish, list[OpenAlert]]:
        """The open alerts that are not recalled, by entry: a vehicle that came twice has two."""
        found: dict[Wish, list[OpenAlert]] = {}
        for one in self.open_alerts():
            if not one.state.recalled:
                found.setdefault(one.visit, []).append(one)
        return found

    def _reword(self, before: Wish, entry: ListEntry) -> list[OpenAlert]:
        """Show an entry's new wording in all its open alerts, and return these. Under the lock."""
        visit = before._replace(entry_digest=digest_of(entry.to_bytes()))
        self._episodes.rename(before, visit)
        changed = [
            replace(one, entry=entry, entry_digest=visit.entry_digest)
            for one in self._open.values()
            if one.visit == before and not one.state.recalled
        ]
        self._open.update({one.number: one for one in changed})
        return changed
