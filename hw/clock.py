"""Time as the unit knows it: UTC in microseconds, an error bound, and how far the clock can be trusted."""

from __future__ import annotations

import ctypes
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

UNKNOWN_ERROR_US = 24 * 3600 * 1_000_000
_KERNEL_ERROR_CEILING_US = 16_000_000  # maxerror grows up to 16 s, then the clock is unsynchronized
_NANOSECONDS = 0x2000  # adjtimex(2): status STA_NANO, which sets the unit of `offset`
SIMPLE_CLIENT_ERROR_US = 100_000  # for network delay, which systemd-timesyncd does not report
_TIME_ERROR = 5  # adjtimex(2): return value "clock not synchronized"


class TimeState(enum.StrEnum):
    """How a time was obtained."""

    DISCIPLINED = "disciplined"  # follows a reference now
    HOLDOVER = "holdover"  # followed one earlier, and has run freely since
    UNKNOWN = "unknown"  # no reference seen since power-up


@dataclass(frozen=True, slots=True, kw_only=True)
class UtcTime:
    """us: microseconds of UTC since 1970-01-01; the true time is within us - error_us and us + error_us."""

    us: int
    error_us: int
    state: TimeState

    def shifted(self, by_us: int, *, more_error_us: int = 0) -> UtcTime:
        """This time by_us later (earlier if negative), its bound widened by more_error_us."""
        return UtcTime(us=self.us + by_us, error_us=self.error_us + more_error_us, state=self.state)


class Clock(Protocol):
    """Gives the time."""

    def now(self) -> UtcTime:
        """The time now, with its error bound."""


class _Timex(ctypes.Structure):
    """Linux's struct timex, as adjtimex(2) fills it; the tail is room for fields not used here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("tail", ctypes.c_byte * 256),
    )


def kernel_bound_us(timex: Any) -> int:
    """The bound in a struct timex, in us: its maxerror plus the slew that remains.

    A client that estimates no error sets both to zero at each answer: then a network's delay is added.
    """
    pending_us = abs(timex.offset) // (1000 if timex.status & _NANOSECONDS else 1)
    return int(timex.maxerror) + int(pending_us) + (0 if timex.esterror else SIMPLE_CLIENT_ERROR_US)


def system_us() -> int:
    """The system clock in microseconds of UTC, right or wrong."""
    return time.time_ns() // 1000


def boottime_s() -> float:
    """CLOCK_BOOTTIME in seconds: no command can step it, and it includes sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SystemClock:
    """The system clock, with the kernel's report of whether something disciplines it (adjtimex)."""

    def __init__(self) -> None:
        self._adjtimex: Callable[..., int] | None
        try:
            self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
        except (OSError, AttributeError):
            self._adjtimex = None  # not Linux: the time is known, its state is not

    def now(self) -> UtcTime:
        """See Clock.now. Reads the kernel's error bound and changes nothing."""
        us = system_us()
        if self._adjtimex is not None:
            timex = _Timex()
            verdict = self._adjtimex(ctypes.byref(timex))
            if 0 <= verdict < _TIME_ERROR and 0 <= timex.maxerror <= _KERNEL_ERROR_CEILING_US:
                return UtcTime(us=us, error_us=kernel_bound_us(timex), state=TimeState.DISCIPLINED)
        return UtcTime(us=us, error_us=UNKNOWN_ERROR_US, state=TimeState.UNKNOWN)


class SetClock:
    """The twin: a clock that moves only when a test moves it."""

    def __init__(self, us: int, *, error_us: int = 1000, state: TimeState = TimeState.DISCIPLINED) -> None:
        self._now = UtcTime(us=us, error_us=error_us, state=state)

    def now(self) -> UtcTime:
        """See Clock.now."""
        return self._now

    def step(self, by_us: int) -> None:
        """Move by by_us microseconds, forward or back."""
        self._now = self._now.shifted(by_us)

    def lose_reference(self, state: TimeState = TimeState.HOLDOVER) -> None:
        """Report from now on that the clock follows no reference."""
        self._now = UtcTime(us=self._now.us, error_us=self._now.error_us, state=state)
