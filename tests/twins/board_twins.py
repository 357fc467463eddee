"""A unit in memory with a list and a board: vehicles pass, and a person checks their alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from alert_twins import HEAD, KNOWN, Held, entry, plate_box, seen
from custody_twins import SteppedTime, add_reads

from detector.plates import ALPHABET, PlateText
from firmware.alerts.board import AlertBoard, OpenAlert
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.matching import ListMatch, match
from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit, verdict_of
from storage.alert_terms import DEFAULT_ALERTS
from storage.ledger import Ledger
from storage.times import HOUR_US
from sync.hot_lists.entry import ListEntry

if TYPE_CHECKING:
    pass


def raise_alerts(
    board: AlertBoard, ledger: Ledger, read: int, found: list[ListMatch], at_us: int
) -> list[OpenAlert]:
    """Raise the alerts of a read that is already stored."""
    planned = board.plan(found, at_us)
    return board.raise_alerts(
        read, planned, [ledger.append(one.record(read)).sequence for one in planned if one.is_new]
    )


class Car:
    """A unit with one list, a board, and a person who checks."""

    def __init__(self, ledger: Ledger, time: SteppedTime, entries: list[ListEntry]) -> None:
        self.ledger, self.time = ledger, time
        self.held = Held(
            entries,
            replace(HEAD, extracted_us=time.now().us - HOUR_US, expires_us=time.now().us + 24 * HOUR_US),
        )
        folder = ledger.store.home.root / "hotlists"
        self.cleared = ClearedPlates(folder, ledger.hot_list_key())
        self.said: list[tuple[int, str]] = []
        self.board = AlertBoard(
            ledger,
            self.cleared,
            terms=lambda: DEFAULT_ALERTS,
            changed=lambda alert, what: self.said.append((alert.number, what)),
        )

    def matched(self, text: PlateText) -> list[ListMatch]:
        now_us = self.time.now().us
        cleared = self.cleared.all
        return match(text, plate_box(), [self.held], DEFAULT_ALERTS, KNOWN, now_us, cleared=cleared)

    def passes(self, text: PlateText) -> list[OpenAlert]:
        """A vehicle passes: its read is stored as the bookkeeper would, and its alerts are raised."""
        found = self.matched(text)
        read = add_reads(self.ledger, self.time, 1, hit=bool(found))[0]
        return raise_alerts(self.board, self.ledger, read, found, self.time.now().us)

    def step(self, alert: OpenAlert, kind: AlertEvent, user: str = "o.diaz", **fields: object) -> OpenAlert:
        at_us = self.time.now().us
        made = AlertStep(step=kind, user=user, role="sworn-officer", at_us=at_us, **fields)  # type: ignore[arg-type]
        return self.board.take_step(alert.number, made)

    def check(self, alert: OpenAlert, plate: str, state: str = "US-CA", fit: Fit = Fit.YES) -> AlertAnswer:
        """Take every step of a check: look, type the plate, give the answer that follows from it."""
        self.step(alert, AlertEvent.SHOWN)
        self.step(alert, AlertEvent.VIEWED)
        typed = self.step(alert, AlertEvent.TRANSCRIBED, plate=plate, state=state)
        last = typed.state.last(AlertEvent.TRANSCRIBED)
        assert last is not None
        answer = verdict_of(last, fit, alert.wanted)
        self.step(alert, AlertEvent.ANSWERED, fit=fit, answer=answer)
        return answer


MakeCar = Callable[..., Car]


@pytest.fixture
def make_car(ledger: Ledger, time: SteppedTime) -> MakeCar:
    def make(*entries: ListEntry) -> Car:
        return Car(ledger, time, list(entries) or [entry()])

    return make


def far(text: str, other: str) -> PlateText:
    """The vote on a distant plate, whose last character is `other` with a probability of 0.4."""
    made = seen(text, 0.5)
    made.slots[-1] = 1e-4
    made.slots[-1, ALPHABET.index(text[-1])], made.slots[-1, ALPHABET.index(other)] = 0.6, 0.4
    return made
