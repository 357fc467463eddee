"""Planted mismatches: a picture that was confirmed before, with one character of its entry changed (463.7).
No I/O.

Nothing that a verifier sees distinguishes it from a real alert. It is opened and entered like one, at its own
time, with everything that the picture's entry says. The machine's random source draws which alert is followed
by a planted one, and when, so that no one can choose it or derive it from a number. A person who has looked
at the picture, or at another alert of its entry, never sees the planted alert.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from storage.alert_life import AlertAnswer, AlertEvent
from storage.times import DAY_US, HOUR_US, SECOND_US
from sync.department.desk.alerts.rules import AlertRow, AlertStates
from sync.department.journal.alert_entries import AlertKnown, planted_name

LOOK_ALIKES = {
    "0": "8", "1": "7", "2": "7", "3": "8", "4": "A", "5": "6", "6": "8", "7": "2", "8": "3", "9": "8",
    "A": "4", "B": "8", "C": "G", "D": "B", "E": "F", "F": "E", "G": "C", "H": "N", "I": "7", "J": "U",
    "K": "X", "L": "E", "M": "N", "N": "M", "O": "Q", "P": "R", "Q": "G", "R": "P", "S": "5", "T": "7",
    "U": "V", "V": "U", "W": "V", "X": "K", "Y": "V", "Z": "2",
}  # fmt: skip
WAIT_US = HOUR_US  # the longest time between an alert and the planted one that follows it
OLDEST_US = 60 * DAY_US  # of a picture: from the same season, and not near its purge
SAME_LIGHT_US = 2 * HOUR_US  # a night picture cannot pass for an alert of the day
HEARD_WITHIN_US = 20 * SECOND_US  # how soon after an alert is raised its followers hear of it


class Planting:
    """When the next planted alerts are due, only in memory. Thread-safe."""

    def __init__(self, chance: random.Random | None = None) -> None:
        """chance: the system's random source by default."""
        self._chance = chance or random.SystemRandom()
        self._guard = threading.Lock()
        self._due: list[int] = []

    def consider(self, per_thousand: int, at_us: int) -> None:
        """Draw whether a planted alert follows a real one that became known, and when."""
        with self._guard:
            if self._chance.randrange(1000) < per_thousand:
                self._due.append(at_us + self._chance.randrange(WAIT_US))

    def owe(self, due_us: int) -> None:
        """Add one that is due at `due_us`."""
        with self._guard:
            self._due.append(due_us)

    def is_due(self, at_us: int) -> bool:
        """Whether any is due."""
        with self._guard:
            return any(due <= at_us for due in self._due)

    def take(self, at_us: int) -> list[int]:
        """Remove all that are due and return when each came due."""
        with self._guard:
            found = [due for due in self._due if due <= at_us]
            self._due = [due for due in self._due if due > at_us]
            return sorted(found)

    def raised_us(self, due_us: int, at_us: int) -> int:
        """When a planted alert says that it was raised: as long before it became known as a real alert."""
        if at_us - due_us > HEARD_WITHIN_US:
            return due_us
        return at_us - self._chance.randrange(SECOND_US // 5, 2 * SECOND_US)

    def place(self, count: int) -> int:
        """A random place among `count` alerts that become known together."""
        with self._guard:
            return self._chance.randrange(count + 1)

    def plan(self, alerts: AlertStates, due_us: int, verifiers: Collection[str], at_us: int) -> Plant | None:
        """A planted mismatch that one of `verifiers` can work; None if no picture is suitable."""
        raised_us, wanted = self.raised_us(due_us, at_us), set(verifiers)
        seen = alerts.onlookers()
        found = [
            (row, len(wanted & seen.of(row)))
            for row in alerts.rows.values()
            if _serves(row, raised_us) and row.known.read not in seen.open_reads and wanted - seen.of(row)
        ]
        if not found:
            return None
        least = min(count for _, count in found)
        with self._guard:
            row = self._chance.choice([one for one, count in found if count == least])
            slot, token = self._chance.randrange(1 << 30), f"{self._chance.getrandbits(64):016x}"
        return Plant(row=row, name=planted_name(token, row.known.alert), slot=slot, raised_us=raised_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One planted mismatch before it is entered. `row`: the alert whose picture it shows."""

    row: AlertRow
    name: str
    slot: int
    raised_us: int

    @property
    def record(self) -> str:
        """The unit's record whose entry it shows."""
        return self.row.known.alert

    def known(self, newest: Iterable[AlertKnown]) -> AlertKnown:
        """The entry that makes it known. newest: alerts, newest first; the first of the same list says
        whether the list is old."""
        source = self.row.known
        typed = self.row.state.last(AlertEvent.TRANSCRIBED)
        plate = "" if typed is None else typed.plate.upper().replace(" ", "").replace("-", "")
        fresh = (one for one in newest if (one.list_id, one.source) == (source.list_id, source.source))
        return AlertKnown(
            alert=self.name,
            read=source.read,
            unit=source.unit,
            raised_us=self.raised_us,
            list_id=source.list_id,
            source=source.source,
            category=source.category,
            entry=hashlib.sha256(self.name.encode()).digest(),
            silent=source.silent,
            stale=next((one.stale for one in fresh), source.stale),
            requester=source.requester,
            recipients=(),
            planted_plate=altered(plate, self.slot),
            planted_state="" if typed is None else typed.state,
        )


def _serves(row: AlertRow, at_us: int) -> bool:
    """Whether an alert's picture may be shown again: confirmed, closed, of this season and this light.

    If the desk does not believe a unit's time, that time says nothing about the light and would give the
    planted alert away.
    """
    known, typed = row.known, row.state.last(AlertEvent.TRANSCRIBED)
    if row.planted or known.recipients or not row.state.closed or typed is None or "?" in typed.plate:
        return False
    if row.since_us != known.raised_us:
        return False
    apart_us = (at_us - known.raised_us) % DAY_US
    light = min(apart_us, DAY_US - apart_us) <= SAME_LIGHT_US
    return row.state.answer is AlertAnswer.CONFIRMED and light and at_us - known.raised_us <= OLDEST_US


def altered(plate: str, number: int) -> str:
    """The plate with one character changed to one that looks like it."""
    at = number % len(plate)
    other = LOOK_ALIKES.get(plate[at], "X")
    return f"{plate[:at]}{other}{plate[at + 1 :]}"
