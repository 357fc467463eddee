"""The calls of the unit's alert page, JSON in and out, no sockets.

Until the verifier has transcribed the plate, the page shows only the picture: neither the entry nor what the
machine read. The list of alerts shows only that one of this category waits for a look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from firmware.alerts.board import AlertBoard, OpenAlert
from firmware.alerts.sessions import Officer, PageSessions
from storage.alert_life import AlertEvent, AlertStep, Fit, Outcome, compare, verdict_of
from storage.errors import CardFailedError, RecordError, RefusedError, StoreFullError
from storage.leaf import IMAGES
from storage.ledger import Ledger
from storage.picture_format import picture_format
from storage.plate_states import known_state

MAX_TEXT = 200
MOST_LISTED = 200  # on a page that an officer reads in a car; closing some makes room for others


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAnswer:
    """An image and its media type."""

    data: bytes
    media_type: str


class PageApi:
    """Calls of logged-in officers. Raises RefusedError, RecordError and other kinds of StorageError."""

    def __init__(
        self, ledger: Ledger, board: AlertBoard, sessions: PageSessions, now_us: Callable[[], int]
    ) -> None:
        self._ledger, self._board, self._sessions, self._now_us = ledger, board, sessions, now_us

    def listed(self, officer: Officer) -> dict[str, Any]:
        """What the page lists: alerts, how many more are open, and the hits that could not be stored.

        If no step can be stored either, not even that an alert was shown, it lists these hits and the alerts
        that this officer was already shown.
        """
        missed = self._board.unstored.so_far()
        facts = None if missed is None else {"count": missed.count, "age_s": missed.age_s}
        mine = self._visible(officer)
        try:
            alerts = self._shown(officer, mine)
        except (StoreFullError, CardFailedError, OSError):
            if missed is None:
                raise
            shown = (one for one in mine if self._was_shown(officer, one))
            alerts = [self._alert_row(one) for one in islice(shown, MOST_LISTED)]
        return {"alerts": alerts, "more": max(0, len(mine) - MOST_LISTED), "unstored": facts}

    def _shown(self, officer: Officer, mine: list[OpenAlert]) -> list[dict[str, Any]]:
        """The first of the open alerts that this officer may see; new ones are recorded as shown, together.

        Those that sound come first, the newest at the top. If not all fit, those that sound and that this
        officer has not yet been shown come before all others.
        """
        if len(mine) > MOST_LISTED:
            mine = sorted(mine, key=lambda one: not one.match.sounds or self._was_shown(officer, one))
        mine = mine[:MOST_LISTED]
        fresh = [one.number for one in mine if not self._was_shown(officer, one)]
        shown = {
            one.number: one for one in self._board.take_steps(fresh, self._made(officer, AlertEvent.SHOWN))
        }
        return [self._alert_row(shown.get(one.number, one)) for one in mine]

    def alert(self, officer: Officer, number: int) -> dict[str, Any]:
        """One alert, including the comparison once this officer has typed the plate."""
        one = self._mine(officer, number)
        return self._alert_row(one) | self._compared(one, officer)

    def view(self, officer: Officer, number: int) -> dict[str, Any]:
        """Open the image: the access entry is in the log before this returns."""
        one = self._mine(officer, number)
        self._sessions.enter_look(
            officer, one.read, number, self._purpose(one), one.entry.case or f"alert {number}"
        )
        made = self._step(officer, number, AlertEvent.VIEWED)
        leaf = self._ledger.store.leaf(one.read)
        return self._alert_row(made) | {
            "images": [name for name in reversed(IMAGES) if name in leaf.elements]
        }

    def picture(self, officer: Officer, number: int, name: str) -> ImageAnswer:
        """An image of an alert that this officer has opened."""
        one = self._mine(officer, number)
        if name not in IMAGES:
            raise RecordError("must be patch or overview", where="image")
        if not any(step.step is AlertEvent.VIEWED and step.user == officer.user for step in one.state.steps):
            raise RefusedError(
                "open the alert first", clause="463.7", cure="the look is logged before it is shown"
            )
        data = self._ledger.element(one.read, name).content
        return ImageAnswer(data=data, media_type=f"image/{picture_format(data)}")

    def transcribe(self, officer: Officer, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Type plate and state from the image; the answer shows the entry, slot by slot."""
        self._mine(officer, number)
        state = known_state(_text(body, "state"))
        made = self._step(officer, number, AlertEvent.TRANSCRIBED, plate=_text(body, "plate"), state=state)
        return self._alert_row(made) | self._compared(made, officer)

    def answer(self, officer: Officer, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer whether the vehicle fits; the verdict is computed."""
        one = self._mine(officer, number)
        typed = _typed(one, officer)
        if typed is None:
            raise RefusedError("type plate and state first", clause="463.7")
        fit = _member(Fit, body, "fit")
        verdict = verdict_of(typed, fit, one.wanted)
        made = self._step(officer, number, AlertEvent.ANSWERED, fit=fit, answer=verdict)
        return self._alert_row(made) | self._compared(made, officer)

    def clets(self, officer: Officer, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Record the CLETS reference, or why the check was not practicable."""
        self._mine(officer, number)
        practicable = body.get("practicable")
        if not isinstance(practicable, bool):
            raise RecordError("must be true or false", where="practicable")
        made = self._step(
            officer, number, AlertEvent.CLETS, practicable=practicable, text=_text(body, "text")
        )
        return self._alert_row(made) | self._compared(made, officer)

    def close(self, officer: Officer, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Close an alert with its outcome."""
        self._mine(officer, number)
        outcome = _member(Outcome, body, "outcome")
        made = self._step(officer, number, AlertEvent.CLOSED, outcome=outcome, text=_text(body, "text"))
        return self._alert_row(made)

    def _visible(self, officer: Officer) -> list[OpenAlert]:
        return [one for one in self._board.open_alerts() if self._may_see(officer, one)]

    def _mine(self, officer: Officer, number: int) -> OpenAlert:
        found = self._board.find(number)
        if not self._may_see(officer, found):
            raise RefusedError("no such alert is open on this unit", clause="463.7", cure="list them again")
        return found

    @staticmethod
    def _may_see(officer: Officer, alert: OpenAlert) -> bool:
        return not alert.entry.covert or officer.user in alert.entry.recipients

    @staticmethod
    def _was_shown(officer: Officer, alert: OpenAlert) -> bool:
        return any(one.step is AlertEvent.SHOWN and one.user == officer.user for one in alert.state.steps)

    def _made(self, officer: Officer, kind: AlertEvent, **fields: Any) -> AlertStep:
        return AlertStep(step=kind, user=officer.user, role=officer.role, at_us=self._now_us(), **fields)

    def _step(self, officer: Officer, number: int, kind: AlertEvent, **fields: Any) -> OpenAlert:
        return self._board.take_step(number, self._made(officer, kind, **fields))

    def _purpose(self, alert: OpenAlert) -> str:
        known = {one.id for one in self._ledger.store.policy.purposes}
        wanted = "wanted-person" if alert.entry.category == "wanted-person" else "enforcement"
        return wanted if wanted in known else self._ledger.store.policy.purposes[0].id

    def _alert_row(self, alert: OpenAlert) -> dict[str, Any]:
        terms, running_us = self._ledger.store.policy.alerts, self._board.running_us
        answer = alert.state.answer
        return {
            "number": alert.number,
            "says": alert.says,
            "sounds": alert.match.sounds,
            "stale": alert.match.stale,
            "recalled": alert.state.recalled,
            "sightings": alert.sightings,
            "age_s": max(0, (running_us - alert.state.raised_us) // 1_000_000),
            "next": alert.state.next_step(running_us, terms.clets_minutes),
            "owes_clets": alert.state.owes_clets,
            "answer": None if answer is None else str(answer),
            "closed": alert.state.closed,
        }

    def _compared(self, alert: OpenAlert, officer: Officer) -> dict[str, Any]:
        """The comparison; empty until this officer has typed the plate."""
        typed = _typed(alert, officer)
        if typed is None:
            return {}
        entry, match, steps = alert.entry, alert.match, alert.state.steps
        return {
            "answered": any(one.step is AlertEvent.ANSWERED and one.user == officer.user for one in steps),
            "slots": [[one.typed, one.wanted, one.agrees] for one in compare(typed.plate, entry.plate)],
            "entry": {
                "state": entry.state,
                "make": entry.make,
                "model": entry.model,
                "color": entry.color,
                "year": entry.year,
                "class": entry.plate_class,
                "reason": entry.reason,
                "case": entry.case,
                "agency": entry.agency,
                "list": match.head.list_id,
                "source": match.head.source,
            },
            "score": round(match.score, 3),
            "threshold": self._ledger.store.policy.alerts.sound_score,
            "twin": match.twin,
            "disagrees": list(match.disagrees),
        }


def _typed(alert: OpenAlert, officer: Officer) -> AlertStep | None:
    typed = [
        one for one in alert.state.steps if one.step is AlertEvent.TRANSCRIBED and one.user == officer.user
    ]
    return typed[-1] if typed else None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT or (value and not value.isprintable()):
        raise RecordError(f"must be printable text of at most {MAX_TEXT} characters", where=name)
    return value.strip()


def _member(kind: Any, body: Mapping[str, Any], name: str) -> Any:
    try:
        return kind(body.get(name))
    except ValueError:
        raise RecordError(f"must be one of {', '.join(kind)}", where=name) from None
