"""Buzzer and lamp of alerts: heard until a person looks, lit until a person answers. They show no plate.

Promises: only an alert that sounds is heard or lit, for at least one beep and at most the configured time; a
part that fails is reported once and stops neither the reader nor the alert.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from firmware.alerts.board import LEFT, OpenAlert
from firmware.threads import working
from hw.errors import HardwareError
from hw.lamps import Lamp, Lamps

BEEP_S, PAUSE_S = 0.4, 0.4
UNSTORED_LIT_S = 300.0  # no one can answer a hit without a record, so its lamp goes out after this time
UNSTORED = -1  # in place of an alert's number


def unseen(alert: OpenAlert) -> bool:
    """Whether the alert sounds and no one has seen it; not a covert entry's, which is for its recipients."""
    return alert.match.sounds and not alert.entry.covert and not alert.state.steps


def unanswered(alert: OpenAlert) -> bool:
    """Whether the alert sounds and no one has answered it."""
    heard = alert.match.sounds and not alert.entry.covert
    return heard and alert.state.answer is None and not alert.state.recalled


class Sounder:
    """Drives buzzer and lamp. `changed` is called by the board, `look` only by the sounder's thread."""

    def __init__(
        self,
        lamps: Lamps,
        *,
        longest_s: float,
        log: structlog.typing.FilteringBoundLogger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lamps, self._longest_s, self._log, self._monotonic = lamps, longest_s, log, monotonic
        self._lock = threading.Lock()
        self._heard_until: dict[int, float] = {}
        self._lit: set[int] = set()
        self._lit_until = 0.0
        self._beep_until: float | None = None
        self._pause_until = 0.0
        self._on: dict[Lamp, bool] = {}
        self._failed: dict[Lamp, str] = {}
        self.woken = threading.Event()

    @property
    def troubles(self) -> Sequence[str]:
        """What is wrong with buzzer or lamp now."""
        return tuple(self._failed.values())

    def changed(self, alert: OpenAlert, what: str) -> None:
        """Note that an alert was raised, seen, answered, recalled, closed, or left to the desk."""
        closed = alert.state.closed or what == LEFT
        with self._lock:
            if unseen(alert) and not closed:
                self._heard_until.setdefault(alert.number, self._monotonic() + self._longest_s)
            else:
                self._heard_until.pop(alert.number, None)
            (self._lit.add if unanswered(alert) and not closed else self._lit.discard)(alert.number)
        self.woken.set()

    def warn(self) -> None:
        """Note a hit that could not be stored: it sounds like an alert, and lights the lamp for a while."""
        with self._lock:
            now_s = self._monotonic()
            self._heard_until[UNSTORED] = now_s + self._longest_s
            self._lit_until = now_s + max(UNSTORED_LIT_S, self._longest_s)
        self.woken.set()

    def look(self) -> float:
        """Switch buzzer and lamp; returns the seconds until the next look."""
        now_s = self._monotonic()
        with self._lock:
            self._heard_until = {one: until for one, until in self._heard_until.items() if now_s < until}
            wanted, lit = bool(self._heard_until), bool(self._lit) or now_s < self._lit_until
        if self._beep_until is not None and now_s >= self._beep_until:
            self._beep_until, self._pause_until = None, now_s + PAUSE_S
        if self._beep_until is None and wanted and now_s >= self._pause_until:
            self._beep_until = now_s + BEEP_S
        self._switch(Lamp.ALERT, on=lit)
        self._switch(Lamp.BUZZER, on=self._beep_until is not None)
        if self._beep_until is not None:
            return max(0.0, self._beep_until - now_s)
        if wanted:
            return max(0.0, self._pause_until - now_s)
        return 5.0 if self._failed else 60.0

    def quiet(self) -> None:
        """Turn everything off."""
        self._switch(Lamp.BUZZER, on=False)
        self._switch(Lamp.ALERT, on=False)

    def _switch(self, lamp: Lamp, *, on: bool) -> None:
        if self._on.get(lamp) == on and lamp not in self._failed:
            return
        try:
            self._lamps.switch(lamp, on=on)
        except HardwareError as error:
            if lamp not in self._failed:
                self._log.error("sounder_failed", part=lamp, reason=str(error))
            self._failed[lamp] = str(error)
        else:
            self._failed.pop(lamp, None)
            self._on[lamp] = on


@contextlib.contextmanager
def sounding(sounder: Sounder) -> Iterator[None]:
    """A thread that drives the sounder while the block runs, and then turns everything off."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            wait_s = sounder.look()
            sounder.woken.wait(wait_s)
            sounder.woken.clear()

    try:
        with working("sounder", work, wakes=sounder.woken):
            yield
    finally:
        sounder.quiet()
