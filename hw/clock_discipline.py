"""Judges the system clock: disciplined, holdover or unknown, with an error bound that goes into every read.

Promise: the bound never shrinks without evidence. What a person sets by hand is holdover at most, and a
step that no
source explains widens the bound by its own size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hw.chrony import TimeDaemon, Tracking
from hw.clock import UNKNOWN_ERROR_US, Clock, ClockState, UtcTime
from hw.errors import PartFailedError
from hw.position import Fix, FixQuality, PositionSource
from hw.pps import Pulse, PulseSource
from hw.rtc import BatteryClock

DISCIPLINED_LIMIT_US = 2_000_000  # a clock further off than this is not called disciplined by any source
SENTENCE_DELAY_US = 1_000_000  # a receiver writes its sentences within the second they speak of
PULSE_ERROR_US = 1_000  # interrupt latency of a loaded board, generously
DRIFT_PPM = 100  # an uncompensated crystal between -20 and 70 degrees
RTC_ERROR_US = 120_000_000  # a battery clock at 2 ppm is off by a minute a year
BY_HAND_ERROR_US = 120_000_000
STEP_US = 500_000
EARLIEST_S = 1_735_689_600  # 2025-01-01: an earlier clock was never set
_LOCAL_REFERENCE = "7F7F0101"  # chrony's "local": it follows itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the sources say at one moment. None: not fitted, or silent.

    system_us: the system clock; running_s: CLOCK_BOOTTIME; fix_system_us: system clock when the fix was
    heard.
    """

    system_us: int
    running_s: float
    kernel: UtcTime | None = None
    tracking: Tracking | None = None
    fix: Fix | None = None
    fix_system_us: int = 0
    pulse: Pulse | None = None
    rtc_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How good the system clock was at running_s, and who says so."""

    state: ClockState
    error_us: int
    source: str
    system_us: int
    running_s: float

    def aged(self, running_s: float) -> int:
        """The error bound at a later moment, in us: grown by the drift of a free crystal."""
        if self.state is ClockState.UNKNOWN:
            return UNKNOWN_ERROR_US
        return min(self.error_us + round(max(0.0, running_s - self.running_s) * DRIFT_PPM), UNKNOWN_ERROR_US)


def judge(evidence: Evidence, before: Judgement | None) -> Judgement:
    """The best that can be said now. before: the last judgement, None at start. Pure."""
    sources = (_by_daemon(evidence), _by_satellites(evidence), _by_kernel(evidence))
    candidates = [found for found in sources if found is not None]
    candidates = [(error, source) for error, source in candidates if error <= DISCIPLINED_LIMIT_US]
    if candidates:
        error_us, source = min(candidates)
        state = ClockState.DISCIPLINED
    else:
        state, error_us, source = _carried(evidence, before)
    return Judgement(
        state=state, error_us=error_us, source=source,
        system_us=evidence.system_us, running_s=evidence.running_s,
    )  # fmt: skip


def _by_daemon(evidence: Evidence) -> tuple[int, str] | None:
    tracking = evidence.tracking
    if tracking is None or not tracking.synchronised or tracking.reference == _LOCAL_REFERENCE:
        return None
    # The daemon's estimate is of its last update: the clock has run freely since.
    since_s = max(0.0, evidence.system_us / 1e6 - tracking.reference_time_s)
    return tracking.error_bound_us + round(since_s * max(1.0, tracking.skew_ppm)), "chrony"


def _by_kernel(evidence: Evidence) -> tuple[int, str] | None:
    kernel = evidence.kernel
    if kernel is None or kernel.state is not ClockState.DISCIPLINED:
        return None
    return kernel.error_us, "kernel"


def _by_satellites(evidence: Evidence) -> tuple[int, str] | None:
    fix = evidence.fix
    if fix is None or fix.quality not in {FixQuality.SATELLITE, FixQuality.CORRECTED}:
        return None
    late_us = evidence.fix_system_us - fix.utc_us
    coarse = max(abs(late_us), abs(late_us - SENTENCE_DELAY_US))
    pulse = evidence.pulse
    if pulse is not None and coarse <= 1_400_000 and abs(evidence.system_us * 1000 - pulse.system_ns) < 3e9:
        return abs(pulse.offset_ns) // 1000 + PULSE_ERROR_US, "gps+pps"
    return coarse, "gps"


def _carried(evidence: Evidence, before: Judgement | None) -> tuple[ClockState, int, str]:
    if before is not None and before.state is not ClockState.UNKNOWN:
        ran_us = (evidence.running_s - before.running_s) * 1e6
        step_us = abs(round(evidence.system_us - before.system_us - ran_us))
        error_us = before.aged(evidence.running_s) + (step_us if step_us > STEP_US else 0)
        if error_us < UNKNOWN_ERROR_US:
            return ClockState.HOLDOVER, error_us, before.source
    if evidence.rtc_s is not None and evidence.rtc_s >= EARLIEST_S:
        apart_us = abs(evidence.system_us - evidence.rtc_s * 1_000_000)
        return ClockState.HOLDOVER, RTC_ERROR_US + apart_us, "battery clock"
    return ClockState.UNKNOWN, UNKNOWN_ERROR_US, "nothing"


class DisciplinedClock:
    """The unit's clock: system time with the newest judgement. `refresh` once a second or so; `now` is
    cheap.
    """

    def __init__(
        self,
        *,
        kernel: Clock | None = None,
        daemon: TimeDaemon | None = None,
        position: PositionSource | None = None,
        pulses: PulseSource | None = None,
        rtc: BatteryClock | None = None,
        system_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        running_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kernel = kernel
        self._daemon, self._position, self._pulses, self._rtc = daemon, position, pulses, rtc
        self._system_us, self._running_s, self._monotonic = system_us, running_s, monotonic
        self.failures: tuple[str, ...] = ()
        self._judgement: Judgement | None = None
        self.refresh()

    @property
    def judgement(self) -> Judgement:
        """The newest judgement."""
        if self._judgement is None:  # the constructor made one
            raise AssertionError("a clock without a judgement")
        return self._judgement

    def now(self) -> UtcTime:
        """System time with its error bound and state."""
        held = self.judgement
        return UtcTime(us=self._system_us(), error_us=held.aged(self._running_s()), state=held.state)

    def refresh(self) -> Judgement:
        """Ask every source once. A source that fails counts as silent and is named in `failures`."""
        tracking = pulse = rtc_s = None
        failures: list[str] = []
        try:
            tracking = self._daemon.tracking() if self._daemon else None
        except PartFailedError as error:
            failures.append(str(error))
        try:
            pulse = self._pulses.latest() if self._pulses else None
        except PartFailedError as error:
            failures.append(str(error))
        try:
            rtc_s = self._rtc.seconds() if self._rtc else None
        except PartFailedError as error:
            failures.append(str(error))
        fix = self._position.latest() if self._position else None
        system_us, heard_ago_s = self._system_us(), self._monotonic() - (fix.heard_s if fix else 0.0)
        self.failures = tuple(failures)
        self._judgement = judge(
            Evidence(
                system_us=system_us, running_s=self._running_s(), fix=fix,
                kernel=self._kernel.now() if self._kernel else None, tracking=tracking, pulse=pulse,
                rtc_s=rtc_s, fix_system_us=system_us - round(heard_ago_s * 1e6),
            ),
            self._judgement,
        )  # fmt: skip
        return self._judgement

    def set_by_hand(self) -> Judgement:
        """A person has just set the system clock: holdover at most, whatever it was before."""
        self._judgement = Judgement(
            state=ClockState.HOLDOVER, error_us=BY_HAND_ERROR_US, source="set by hand",
            system_us=self._system_us(), running_s=self._running_s(),
        )  # fmt: skip
        return self._judgement
