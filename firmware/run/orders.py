"""Why a run is to end, and what comes after it. No I/O.

A run ends because its source ends, a person asks (a signal), the supply asks (ignition off), the log is to be
replaced, or the department sent another configuration. After the last three the unit may start another run.
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
    """The request to end one run, from any thread; the first reason counts."""

    def __init__(self) -> None:
        self._event = SignalEvent()
        self._lock = threading.RLock()  # a signal may come while one is being handled
        self.reason: Reason | None = None
        self.by_person = False  # even if another reason came first: then nothing is waited for

    def ask(self, reason: Reason) -> None:
        """Ask the run to end."""
        with self._lock:
            self.by_person |= reason is Reason.ASKED
            if self.reason is None:
                self.reason = reason
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most this long; returns whether the end was asked for."""
        return self._event.wait(seconds)

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()


class SupplyOrders:
    """Passes the supply's orders to the current run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order = PowerOrder.RUN
        self._stop = StopRequest()
        self.ended = False  # by a signal: nothing comes after this run

    def end(self) -> None:
        """End this run and all others, since a person asked for it."""
        with self._changed:
            self.ended = True
            self._stop.ask(Reason.ASKED)
            self._changed.notify_all()

    def begin(self) -> StopRequest:
        """Begin a new run; it is asked to end at once if a signal came before, or the ignition is already
        off.
        """
        with self._changed:
            self._stop = StopRequest()
            if self.ended:
                self._stop.ask(Reason.ASKED)
            if self._order is not PowerOrder.RUN:
                self._stop.ask(Reason.SUPPLY)
            return self._stop

    def order(self, order: PowerOrder) -> None:
        """Take the supply's new order.

        The run is asked without holding the lock: a signal handler in the main thread waits for it, while the
        code that it interrupts may hold the lock of the run's StopRequest. A run that begins meanwhile checks
        itself.
        """
        with self._changed:
            self._order, stop = order, self._stop
            self._changed.notify_all()
        if order is not PowerOrder.RUN:
            stop.ask(Reason.SUPPLY)

    def await_next(self, seconds: float) -> PowerOrder:
        """The current order; if it is to stop reading, waits at most this long for another one."""
        with self._changed:
            if self._order is PowerOrder.STOP_READING and not self.ended:
                self._changed.wait(seconds)
            return self._order
