"""Judges the system clock: disciplined, holdover or unknown, with an error bound that goes into every read.

Promises: the bound never shrinks without evidence, and is never below that of the only source that answers.
A clock set by hand is at best in holdover, and a step that no source explains widens the bound by its size. A
receiver whose date no other clock confirms disciplines nothing, however its time arrives: after its week
counter rolls over it is 1,024 weeks off, and still agrees with a system clock that was set from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hw.chrony import TimeDaemon, Tracking
from hw.clock import UNKNOWN_ERROR_US, Clock, TimeState, UtcTime, boottime_s, system_us
from hw.errors import PartFailedError
from hw.position import Fix, FixQuality, PositionSource
from hw.pps import Pulse, PulseSource
from hw.rtc import BatteryClock

DISCIPLINED_LIMIT_US = 2_000_000  # no source makes a clock with a larger error disciplined
SENTENCE_DELAY_US = 1_000_000  # a receiver writes its sentences within the second that they describe
DELAY_SLACK_US = 100_000  # by which it may miss that, where a whole second depends on it
PULSE_ERROR_US = 1_000  # generous for the interrupt latency of a loaded board
DRIFT_PPM = 100  # an uncompensated crystal between -20 and 70 degrees
RTC_ERROR_US = 120_000_000  # a battery clock at 2 ppm is off by a minute a year
BY_HAND_ERROR_US = 120_000_000
HEARD_ERROR_US = 60_000_000  # a signed answer names whole seconds, and may have been delayed
STEP_US = 500_000
REFERENCE_FRESH_S = 4 * 3600.0  # chrony asks its servers at least every 17 minutes
JUDGMENT_FRESH_S = 30.0  # an older judgment no longer counts
EARLIEST_S = 1_735_689_600  # 2025-01-01: a clock that shows an earlier time was never set
ROLLOVER_S = 1024 * 7 * 86_400  # IS-GPS-200, 20.3.3.3.1.1: the week number has ten bits
LATEST_S = EARLIEST_S + ROLLOVER_S  # from here on, a receiver's date may be 1,024 weeks off
SIGNED_AHEAD_S = ROLLOVER_S // 2  # the longest time without power between two signed times
DAY_US = 86_400_000_000
_LOCAL_REFERENCE = "7F7F0101"  # chrony's "local": it follows itself
BATTERY = "battery clock"
_RECEIVERS = frozenset({"gps", "gps+pps", "chrony's own receiver"})


ROLLED_OVER = (
    "receiver: its date is far from every other clock's, as after its week number rolled over: its time "
    "is not believed; its place is"
)


LOST_BATTERY = (
    "battery clock: it shows a time before the department's last receipt, as one that is set wrong, or whose "
    "battery was empty: it is not believed; set the clock, and if it comes back, fit a new battery"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A time that the department signed (us UTC), and CLOCK_BOOTTIME (s) when it was heard."""

    us: int
    running_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvidence:
    """What the sources say at one moment. None: not fitted, or silent.

    system_us: the system clock. running_s: CLOCK_BOOTTIME. fix_system_us: the system clock when the fix was
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
    heard: Heard | None = None
    signed_us: int | None = None  # the newest time that the department has signed, in any run
    receiver: bool = False  # a receiver is fitted, so the system clock may come from it

    @property
    def battery_us(self) -> int | None:
        """The battery clock's reading, us UTC; None if it was never set or lost its power."""
        if self.rtc_s is None or self.rtc_s < EARLIEST_S or self.lost_battery:
            return None
        return self.rtc_s * 1_000_000

    @property
    def lost_battery(self) -> bool:
        """Whether the battery clock was once set, and shows a time before one that the department signed."""
        if self.rtc_s is None or self.rtc_s < EARLIEST_S or self.signed_us is None:
            return False
        return self.rtc_s * 1_000_000 < self.signed_us - RTC_ERROR_US

    def belies(self, at_us: int) -> bool:
        """Whether sources independent of the receiver contradict the date of at_us (UTC).

        They contradict it if none of them is within a day of it.
        """
        latest_us = LATEST_S * 1_000_000
        if self.signed_us is not None:
            latest_us = min(latest_us, self.signed_us + SIGNED_AHEAD_S * 1_000_000)
            if at_us < self.signed_us - DAY_US:
                return True
        others_us = []
        if self.battery_us is not None:
            others_us.append(self.battery_us)
        if self.heard is not None:
            others_us.append(self.heard.us + round((self.running_s - self.heard.running_s) * 1e6))
        apart = bool(others_us) and all(abs(at_us - other_us) > DAY_US for other_us in others_us)
        return at_us > latest_us or apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """How good the system clock was at running_s, and according to which source.

    measured_s: when the daemon last measured the clock, by its own report. doubted_s: such a time from before
    the clock was set, which says nothing about the clock now.
    """

    state: TimeState
    error_us: int
    source: str
    system_us: int
    running_s: float
    measured_s: float | None = None
    doubted_s: float | None = None

    def aged(self, running_s: float) -> int:
        """The error bound at a later moment, in us, grown by the drift of a free-running crystal."""
        if self.state is TimeState.UNKNOWN:
            return UNKNOWN_ERROR_US
        return min(self.error_us + round(max(0.0, running_s - self.running_s) * DRIFT_PPM), UNKNOWN_ERROR_US)


def judge(evidence: ClockEvidence, before: Judgment | None) -> Judgment:
    """The best judgment of the evidence. before: the last judgment, None at start. Pure."""
    if before is not None and before.source in _RECEIVERS and evidence.belies(evidence.system_us):
        before = None
    if before is not None and before.source == BATTERY and evidence.lost_battery:
        before = None
    tracking = evidence.tracking
    measured_s = doubted_s = None
    if before is not None:
        measured_s = before.measured_s
        doubted_s = before.measured_s if _step_us(evidence, before) else before.doubted_s
    sources = (_by_daemon(evidence, doubted_s), _by_satellites(evidence), _by_kernel(evidence))
    answering = [found for found in sources if found is not None]
    error_us, source = min(answering, default=(UNKNOWN_ERROR_US, "nothing"))
    if error_us <= DISCIPLINED_LIMIT_US:
        state = TimeState.DISCIPLINED
    else:
        said_us = error_us if answering else 0
        state, error_us, source = _weighed(evidence.heard, evidence, _carried(evidence, before))
        error_us = max(error_us, said_us)
        if error_us >= UNKNOWN_ERROR_US:
            state, error_us, source = TimeState.UNKNOWN, UNKNOWN_ERROR_US, "nothing"
    return Judgment(
        state=state, error_us=error_us, source=source,
        system_us=evidence.system_us, running_s=evidence.running_s,
        measured_s=measured_s if tracking is None else tracking.reference_time_s, doubted_s=doubted_s,
    )  # fmt: skip


def _step_us(evidence: ClockEvidence, before: Judgment) -> int:
    """By how much the clock was set since then (us); 0 if a slew or a slow look explains the change."""
    ran_us = (evidence.running_s - before.running_s) * 1e6
    step_us = abs(round(evidence.system_us - before.system_us - ran_us))
    return step_us if step_us > STEP_US else 0


def _follows_servers(tracking: Tracking) -> bool:
    return tracking.synchronized and tracking.reference != _LOCAL_REFERENCE


def _by_daemon(evidence: ClockEvidence, doubted_s: float | None) -> tuple[int, str] | None:
    tracking = evidence.tracking
    if tracking is None or not _follows_servers(tracking):
        return None
    # The daemon's estimate dates from its last update; the clock has run freely since. An estimate from
    # before the clock was set, or from servers that no longer answer, says nothing about now.
    since_s = evidence.system_us / 1e6 - tracking.reference_time_s
    doubted = doubted_s is not None and abs(tracking.reference_time_s - doubted_s) < 1
    if doubted or since_s > REFERENCE_FRESH_S:
        return None
    if not tracking.by_server and evidence.belies(evidence.system_us):
        return None
    error_us = tracking.error_bound_us + round(max(0.0, since_s) * max(1.0, tracking.skew_ppm))
    return error_us, "chrony" if tracking.by_server else "chrony's own receiver"


def _by_kernel(evidence: ClockEvidence) -> tuple[int, str] | None:
    kernel = evidence.kernel
    if kernel is None or kernel.state is not TimeState.DISCIPLINED:
        return None
    if evidence.receiver and evidence.belies(evidence.system_us):  # the clock may have been set from it
        return None
    return kernel.error_us, "kernel"


def _by_satellites(evidence: ClockEvidence) -> tuple[int, str] | None:
    fix = evidence.fix
    if fix is None or fix.quality not in {FixQuality.SATELLITE, FixQuality.CORRECTED}:
        return None
    if evidence.belies(fix.utc_us):
        return None
    late_us = evidence.fix_system_us - fix.utc_us
    coarse = max(abs(late_us), abs(late_us - SENTENCE_DELAY_US))
    pulse = evidence.pulse
    if pulse is not None and abs(evidence.system_us * 1000 - pulse.system_ns) < 3e9:
        # The pulse gives the offset within a second; the delay of the sentence leaves one or two candidates.
        offsets = (pulse.offset_ns // 1000 + second * 1_000_000 for second in range(-3, 4))
        fitting = [
            abs(offset_us)
            for offset_us in offsets
            if -DELAY_SLACK_US <= late_us - offset_us <= SENTENCE_DELAY_US + DELAY_SLACK_US
        ]
        if fitting:
            return max(fitting) + PULSE_ERROR_US, "gps+pps"
    return coarse, "gps"


def _carried(evidence: ClockEvidence, before: Judgment | None) -> tuple[TimeState, int, str]:
    if before is not None and before.state is not TimeState.UNKNOWN:
        error_us = before.aged(evidence.running_s) + _step_us(evidence, before)
        if error_us < UNKNOWN_ERROR_US:
            return TimeState.HOLDOVER, error_us, before.source
    tracking = evidence.tracking
    if before is None and tracking is not None and tracking.by_server and _follows_servers(tracking):
        # the servers had been silent for long when we started
        since_us = evidence.system_us - round(tracking.reference_time_s * 1e6)
        error_us = tracking.error_bound_us + since_us * DRIFT_PPM // 1_000_000
        if since_us > REFERENCE_FRESH_S * 1e6 and error_us < UNKNOWN_ERROR_US:
            return TimeState.HOLDOVER, error_us, "chrony"
    if evidence.battery_us is not None:
        apart_us = abs(evidence.system_us - evidence.battery_us)
        return TimeState.HOLDOVER, RTC_ERROR_US + apart_us, BATTERY
    return TimeState.UNKNOWN, UNKNOWN_ERROR_US, "nothing"


def _weighed(
    heard: Heard | None, evidence: ClockEvidence, carried: tuple[TimeState, int, str]
) -> tuple[TimeState, int, str]:
    """The carried judgment, or the signed time if that is better or contradicts it."""
    if heard is None:
        return carried
    since_s = max(0.0, evidence.running_s - heard.running_s)
    apart_us = abs(evidence.system_us - heard.us - round(since_s * 1e6))
    error_us = HEARD_ERROR_US + apart_us + round(since_s * DRIFT_PPM)
    state, carried_us, _ = carried
    belied = apart_us > carried_us + HEARD_ERROR_US
    if state is TimeState.UNKNOWN or belied or error_us < carried_us:
        return TimeState.HOLDOVER, error_us, "department"
    return carried


class DisciplinedClock:
    """The unit's clock: system time with the newest judgment.

    Call `refresh` about once a second; `now` is cheap.
    """

    def __init__(
        self,
        *,
        kernel: Clock | None = None,
        daemon: TimeDaemon | None = None,
        position: PositionSource | None = None,
        pulses: PulseSource | None = None,
        rtc: BatteryClock | None = None,
        system_us: Callable[[], int] = system_us,
        running_s: Callable[[], float] = boottime_s,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kernel = kernel
        self._daemon, self._position, self._pulses, self._rtc = daemon, position, pulses, rtc
        self._system_us, self._running_s, self._monotonic = system_us, running_s, monotonic
        self.failures: tuple[str, ...] = ()
        self._heard: Heard | None = None
        self._signed_us: int | None = None
        self._judgment: Judgment | None = None
        self.refresh()

    @property
    def judgment(self) -> Judgment:
        """The newest judgment."""
        if self._judgment is None:  # the constructor made one
            raise AssertionError("a clock without a judgment")
        return self._judgment

    def now(self) -> UtcTime:
        """System time with its error bound and state."""
        held, running_s = self.judgment, self._running_s()
        stale = held.state is TimeState.DISCIPLINED and running_s - held.running_s > JUDGMENT_FRESH_S
        state = TimeState.HOLDOVER if stale else held.state
        return UtcTime(us=self._system_us(), error_us=held.aged(running_s), state=state)

    def refresh(self) -> Judgment:
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
        if tracking is not None:
            self._kernel = None  # the daemon's report is better than the flag that it sets in the kernel
        fix = self._position.latest() if self._position else None
        system_us, heard_ago_s = self._system_us(), self._monotonic() - (fix.heard_s if fix else 0.0)
        evidence = ClockEvidence(
            system_us=system_us, running_s=self._running_s(), fix=fix,
            kernel=self._kernel.now() if self._kernel else None, tracking=tracking, pulse=pulse,
            rtc_s=rtc_s, fix_system_us=system_us - round(heard_ago_s * 1e6), heard=self._heard,
            signed_us=self._signed_us, receiver=self._position is not None,
        )  # fmt: skip
        if evidence.lost_battery:
            failures.append(LOST_BATTERY)
        if fix is not None and fix.quality is not FixQuality.GUESSED and evidence.belies(fix.utc_us):
            failures.append(ROLLED_OVER)
        self.failures = tuple(failures)
        self._judgment = judge(evidence, self._judgment)
        return self._judgment

    @property
    def waits_for_daemon(self) -> bool:
        """Whether there is no time daemon yet."""
        return self._daemon is None

    def take_daemon(self, daemon: TimeDaemon) -> None:
        """Use a time daemon that started after us."""
        self._daemon = daemon

    def take_rtc(self, rtc: BatteryClock) -> None:
        """Use a battery clock that appeared after our start."""
        self._rtc = rtc

    def take_pulses(self, pulses: PulseSource) -> None:
        """Use a pulse that appeared after our start."""
        self._pulses = pulses

    @property
    def waits_for(self) -> frozenset[str]:
        """Which of "rtc" and "pulses" are missing."""
        found = {"rtc": self._rtc, "pulses": self._pulses}
        return frozenset(name for name, part in found.items() if part is None)

    def hear(self, heard: Heard) -> None:
        """Take a signed time; it counts as holdover from the next refresh."""
        self._heard = heard

    def know(self, signed_us: int) -> None:
        """Take a time (UTC us) that the department signed earlier, to compare a receiver's date with."""
        self._signed_us = max(signed_us, self._signed_us or signed_us)

    def set_by_hand(self) -> Judgment:
        """Note that a person has just set the system clock: at best holdover, whatever it was before."""
        self._judgment = Judgment(
            state=TimeState.HOLDOVER, error_us=BY_HAND_ERROR_US, source="set by hand",
            system_us=self._system_us(), running_s=self._running_s(),
            measured_s=self.judgment.measured_s, doubted_s=self.judgment.measured_s,
        )  # fmt: skip
        return self._judgment
