"""The life of an alert (463.7) as rules: raised, shown, viewed, transcribed, answered, CLETS, closed. No I/O.

The same rules apply on the unit's page and at the desk. An alert is confirmed only if a person looked at the
image, typed plate and state before the entry was shown, what was typed matches the entry, and the vehicle
fits. The machine never closes an alert.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from storage.errors import RefusedError
from storage.plate_text import fold, normal_plate
from storage.times import HOUR_US, MINUTE_US

CLAUSE = "463.7"


class AlertEvent(StrEnum):
    """What happened to an alert."""

    SHOWN = "shown"
    VIEWED = "viewed"
    TRANSCRIBED = "transcribed"
    ANSWERED = "answered"
    CLETS = "clets"
    CLOSED = "closed"
    RECALLED = "recalled"


class Fit(StrEnum):
    """Whether the vehicle in the picture fits the entry's make, color and class."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot-tell"


class AlertAnswer(StrEnum):
    """The verdict on an alert. Only CONFIRMED may be acted on, after a CLETS inquiry where practicable."""

    CONFIRMED = "confirmed"
    WRONG_CHARACTER = "wrong-character"
    WRONG_STATE = "wrong-state"
    NOT_THIS_VEHICLE = "not-this-vehicle"
    CANNOT_TELL = "cannot-tell"


NEGATIVE = frozenset({AlertAnswer.WRONG_CHARACTER, AlertAnswer.WRONG_STATE, AlertAnswer.NOT_THIS_VEHICLE})


class Outcome(StrEnum):
    """How an alert ended on the street."""

    STOP = "stop"
    NO_STOP = "no-stop"
    ARREST = "arrest"
    RELEASED = "released"
    UNFOUNDED = "unfounded"
    HANDED_OVER = "handed-over"


ACTED = frozenset({Outcome.STOP, Outcome.ARREST, Outcome.RELEASED})
"""Outcomes of a vehicle that was stopped: who is released was stopped first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStep:
    """One step, by one person. Fields that a step does not have are empty.

    `plate`, `state`: what was typed. `fit`, `answer`: of the answer. `text`: a CLETS reference or why it was
    not practicable, or the remark on an outcome. `practicable`: of a CLETS step. `ground`: of a recall.
    """

    step: AlertEvent
    user: str
    role: str
    at_us: int
    plate: str = field(default="", repr=False)
    state: str = ""
    fit: Fit | None = None
    answer: AlertAnswer | None = None
    outcome: Outcome | None = None
    practicable: bool | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The entry's plate and state; `state` is empty if the source does not give it.

    `planted`: an intentional mismatch, to measure how carefully alerts are checked.
    """

    plate: str = field(repr=False)
    state: str
    requester: str = ""
    approver: str = ""
    planted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotResult:
    """One slot of the comparison: what was typed, what the entry has, whether they agree."""

    typed: str = field(repr=False)
    wanted: str = field(repr=False)
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """The state of one alert after its steps.

    `raised_us`, `taken_us`: when the alert and each step reached this unit or desk, by its own clock.
    Deadlines use these times, and steps are kept in the order of recording. The time inside a step is only
    its maker's claim: a unit's clock may be years off.
    """

    raised_us: int
    steps: tuple[AlertStep, ...] = ()
    taken_us: tuple[int, ...] = ()

    def last(self, step: AlertEvent) -> AlertStep | None:
        """The newest step of this kind."""
        return next((one for one in reversed(self.steps) if one.step is step), None)

    @property
    def recalled(self) -> bool:
        """Whether the entry was withdrawn while the alert was open."""
        return self.last(AlertEvent.RECALLED) is not None

    @property
    def answer(self) -> AlertAnswer | None:
        """The newest answer."""
        found = self.last(AlertEvent.ANSWERED)
        return None if found is None else found.answer

    @property
    def closed(self) -> bool:
        return self.last(AlertEvent.CLOSED) is not None

    @property
    def owes_clets(self) -> bool:
        """Whether the alert is confirmed and no one has said since what CLETS has on the vehicle."""
        return self.clets_due_us(0) is not None

    def clets_due_us(self, minutes: int) -> int | None:
        """When a confirmed alert's CLETS reference is overdue; None if no reference is owed."""
        answered, checked = self._place(AlertEvent.ANSWERED), self._place(AlertEvent.CLETS)
        if self.answer is not AlertAnswer.CONFIRMED or self.closed or self.recalled or checked > answered:
            return None
        return self.taken_us[answered] + minutes * MINUTE_US

    def _place(self, step: AlertEvent) -> int:
        """The index of the newest step of this kind; -1 for none."""
        return max((at for at, one in enumerate(self.steps) if one.step is step), default=-1)

    def overdue(self, now_us: int, hours: int) -> bool:
        """Whether the alert should have an outcome by now but has none."""
        return not self.closed and now_us >= self.raised_us + hours * HOUR_US

    def next_step(self, now_us: int, clets_minutes: int) -> str:
        """The next step for a person, the same in the car and at the desk."""
        due_us = self.clets_due_us(clets_minutes)
        waits = [
            (self.closed, "nothing: it is closed"),
            (self.recalled, "close: the entry was withdrawn"),
            (self.last(AlertEvent.VIEWED) is None, "look at the image"),
            (self.last(AlertEvent.TRANSCRIBED) is None, "type plate and state"),
            (self.answer is None, "say whether the vehicle fits"),
            (due_us is not None and now_us >= due_us, "CLETS reference overdue"),
            (due_us is not None, "CLETS reference"),
            (self.answer is AlertAnswer.CONFIRMED, "outcome"),
        ]
        return next((words for holds, words in waits if holds), "close")

    def after(self, step: AlertStep, known_us: int | None = None) -> AlertState:
        """The state after a step that `demand_step` allowed. `known_us`: when it arrived, by the recorder's
        clock; None if that clock also dated the step."""
        known_us = step.at_us if known_us is None else known_us
        return replace(self, steps=(*self.steps, step), taken_us=(*self.taken_us, known_us))


def compare(typed: str, wanted: str) -> tuple[SlotResult, ...]:
    """Compare what was typed with the entry, slot by slot; O and 0 count as equal, as do I and 1."""
    left, right = normal_plate(typed), wanted
    width = max(len(left), len(right))
    return tuple(
        SlotResult(typed=a.strip(), wanted=b.strip(), agrees=fold(a) == fold(b))
        for a, b in zip(left.ljust(width), right.ljust(width), strict=True)
    )


def demand_step(state: AlertState, step: AlertStep, wanted: Wanted) -> None:
    """Check that a step may follow. Raises RefusedError with the clause."""
    if state.closed:
        raise _refuse("this alert is closed", "raise a new one with the next sighting")
    if state.recalled and step.step not in {AlertEvent.CLOSED, AlertEvent.SHOWN}:
        raise _refuse("the entry was withdrawn: this alert is recalled", "close it; do not act on it")
    check = {
        AlertEvent.TRANSCRIBED: _transcription,
        AlertEvent.ANSWERED: _answer,
        AlertEvent.CLETS: _clets,
        AlertEvent.CLOSED: _outcome,
    }.get(step.step)
    if check is not None:
        check(state, step, wanted)


def _transcription(state: AlertState, step: AlertStep, wanted: Wanted) -> None:
    if all(one.user != step.user for one in state.steps if one.step is AlertEvent.VIEWED):
        raise _refuse("look at the image first", "open the image of this alert")
    if step.user and step.user in {wanted.requester, wanted.approver}:
        raise _refuse(
            "you requested or approved this entry: a colleague must verify its alerts",
            "ask a colleague to verify",
        )
    seen = [one for one in state.steps if one.step is AlertEvent.TRANSCRIBED and one.user == step.user]
    if seen:
        raise _refuse("the entry was shown to you when you typed this plate", "ask a colleague to verify")
    plate = normal_plate(step.plate)
    if not plate.isascii() or not plate.replace("?", "").isalnum() or not 1 <= len(plate) <= 16:
        raise _refuse("type the plate as the image shows it: letters, digits, ? for what cannot be read", "")


def _answer(state: AlertState, step: AlertStep, wanted: Wanted) -> None:
    typed = typed_by(state, step.user)
    if typed is None:
        raise _refuse("type plate and state from the image before you answer", "transcribe first")
    if step.answer is None or step.fit is None:
        raise _refuse("say whether the vehicle fits", "answer yes, no or cannot-tell")
    if step.answer is not verdict_of(typed, step.fit, wanted):
        raise _refuse("the answer does not follow from what was typed", "the answer is computed, not chosen")


def _clets(state: AlertState, step: AlertStep, _wanted: Wanted) -> None:
    if state.answer is not AlertAnswer.CONFIRMED:
        raise _refuse("CLETS is asked about a confirmed alert", "verify the image first")
    if step.practicable is None:
        raise _refuse("give the CLETS reference, or say why it was not practicable", "")
    what, least = ("the CLETS reference", 3) if step.practicable else ("why CLETS was not practicable", 8)
    if sum(one.isalnum() for one in step.text) < least:
        raise _refuse(f"{what}: has at least {least} letters or digits", "type it in full")


def _outcome(state: AlertState, step: AlertStep, _wanted: Wanted) -> None:
    if step.outcome is None or not step.user:
        raise _refuse("an alert ends with an outcome, entered by a person", "")
    if step.outcome in ACTED and state.answer is not AlertAnswer.CONFIRMED:
        raise _refuse(
            "an alert that was not confirmed ends without action",
            "verify it, or close it as no-stop, unfounded or handed-over",
        )
    if step.outcome in ACTED and state.owes_clets:
        raise _refuse(
            "no one has said what CLETS has on this vehicle",
            "enter the CLETS reference, or why it was not practicable; then the outcome",
        )
    if state.answer is None and not state.recalled and step.outcome is not Outcome.HANDED_OVER:
        raise _refuse(
            "no one has looked at the image and said what it shows",
            "look, type the plate and answer (cannot-tell where it shows too little), or hand it over",
        )


def typed_by(state: AlertState, user: str) -> AlertStep | None:
    """The newest transcription of a person."""
    typed = [one for one in state.steps if one.step is AlertEvent.TRANSCRIBED and one.user == user]
    return typed[-1] if typed else None


def verdict_of(typed: AlertStep, fit: Fit, wanted: Wanted) -> AlertAnswer:
    """The answer that follows from what was typed and whether the vehicle fits.

    Confirmed only if plate, state and vehicle all agree. A planted mismatch is never confirmed: typing its
    entry means not having looked at the image.
    """
    slots = compare(typed.plate, wanted.plate)
    if any(not one.agrees and one.typed != "?" for one in slots):
        return AlertAnswer.WRONG_CHARACTER
    if wanted.state and typed.state and typed.state != wanted.state:
        return AlertAnswer.WRONG_STATE
    if fit is Fit.NO:
        return AlertAnswer.NOT_THIS_VEHICLE
    if any(one.typed == "?" for one in slots) or fit is Fit.CANNOT_TELL:
        return AlertAnswer.CANNOT_TELL
    if wanted.state and not typed.state:
        return AlertAnswer.CANNOT_TELL
    return AlertAnswer.WRONG_CHARACTER if wanted.planted else AlertAnswer.CONFIRMED


def ruled_out(state: AlertState) -> AlertStep | None:
    """The plate that the verifier typed before a negative answer, if every character was legible; else
    None."""
    answered = state.last(AlertEvent.ANSWERED)
    if answered is None or answered.answer not in NEGATIVE:
        return None
    typed = typed_by(state, answered.user)
    return None if typed is None or "?" in typed.plate else typed


def caught(typed: AlertStep, wanted: Wanted) -> bool:
    """Whether the verifier of a planted mismatch typed what the image shows, and not the entry."""
    return wanted.planted and any(not one.agrees for one in compare(typed.plate, wanted.plate))


def _refuse(what: str, cure: str) -> RefusedError:
    return RefusedError(what, clause=CLAUSE, cure=cure)
