"""Why a run that continues shall end, and what comes after it. No I/O.

A run ends because its source does, a person asks (a signal), the supply asks (ignition off), the log gives
way to a new one, or the department sent another configuration. After the last three the unit may read on.
"""

from __future__ import annotations

import threading
from enum import Enum

from firmware.threads import SignalEvent
from hw.power import PowerOrder


class Reason(Enum):
    """Why a run was asked to end."""

    ASKED = "asked"
    SUPPLY = "supply"
    LOG_ENDS = "log gives way"
    CONFIGURATION = "configuration"


class StopRequest:
    """One run's end, as it is asked for from any thread; the first reason counts."""

    def __init__(self) -> None:
        self._event = SignalEvent()
        self._lock = threading.RLock()  # a signal may come while one is being handled
        self.reason: Reason | None = None
        self.by_person = False  # also where another reason came first: then nothing is waited for

    def ask(self, reason: Reason) -> None:
        """The run shall end."""
        with self._lock:
            self.by_person |= reason is Reason.ASKED
            if self.reason is None:
                self.reason = reason
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Whether it was asked for, waiting for so long at most."""
        return self._event.wait(seconds)

    @property
    def asked(self) -> bool:
        """Whether it was asked for."""
        return self._event.is_set()


class SupplyOrders:
    """Carries the supply's orders to the run of the moment."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order = PowerOrder.RUN
        self._stop = StopRequest()
        self.ended = False  # by a signal: nothing comes after this run

    def end(self) -> None:
        """A person asked for the end: of this run, and of all."""
        with self._changed:
            self.ended = True
            self._stop.ask(Reason.ASKED)
            self._changed.notify_all()

    def begin(self) -> StopRequest:
        """A new run begins; it is asked to end at once where a signal came before it, or between two runs,
        or the ignition is off already.
        """
        with self._changed:
            self._stop = StopRequest()
            if self.ended:
                self._stop.ask(Reason.ASKED)
            if self._order is not PowerOrder.RUN:
                self._stop.ask(Reason.SUPPLY)
            return self._stop

    def order(self, order: PowerOrder) -> None:
        """What the supply asks for now.

        The run is asked without the lock: a signal's handler in the main thread waits for that, while what it
        interrupts may hold the lock of the run's own end. A run that begins meanwhile looks itself.
        """
        with self._changed:
            self._order, stop = order, self._stop
            self._changed.notify_all()
        if order is not PowerOrder.RUN:
            stop.ask(Reason.SUPPLY)

    def await_next(self, seconds: float) -> PowerOrder:
        """The order now; while it is to stop reading, waits for so long at most for another one."""
        with self._changed:
            if self._order is PowerOrder.STOP_READING and not self.ended:
                self._changed.wait(seconds)
            return self._order
