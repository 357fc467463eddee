"""How far the ledger trusts the clock: pure rules for a time that only moves forward, within a budget. No
I/O.

Running time (CLOCK_BOOTTIME) always counts. Beyond it, a lone source can move the trusted time by at most
LONE_LIMIT_US *in total* since two independent sources last agreed, over any number of readings, restarts
and boots: the used part of that budget is signed into the ledger's state. What exceeds the budget is not
followed. Two sources that agree set the time and restore the budget. The trusted time never goes back, even
if two sources agree on an earlier time. Two sources are independent if their `roots` (physical origins) have
nothing in common; different names are not enough.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from storage.department_word import StatedTime, TimeWord, boot_number
from storage.record_base import ClockState
from storage.times import DAY_US, HOUR_US, MINUTE_US

LONE_LIMIT_US = DAY_US  # how much earlier than due a single source can ever make a purge
AGREEMENT_US = 2 * MINUTE_US  # two sources agree when they are within two minutes
NOTICE_US = 2 * MINUTE_US  # a larger step or walk is recorded
WALK_US = 10 * MINUTE_US  # no correct clock moves this far while it is disciplined and running: an alarm
TOO_FAR_US = HOUR_US  # if a log's time is further ahead than this, valid grants count as ended
CLOCK, DEPARTMENT = "clock", "department"
LOCAL_ROOTS = frozenset({"network", "satellites", "battery", "person"})
"""The possible origins of a clock that does not name its source: any of these."""


class WallTime(Protocol):
    """A reading of the wall clock, e.g. hw.clock.UtcTime; it may also have `roots`, a frozenset of str."""

    @property
    def us(self) -> int: ...
    @property
    def error_us(self) -> int: ...
    @property
    def state(self) -> str: ...


class WallClock(Protocol):
    """Gives UTC with an error bound and a state."""

    def now(self) -> WallTime: ...


def boottime_us() -> int:
    """Microseconds since boot, including sleep."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_id() -> str:
    """The id of this machine start, since `boottime_us` is only comparable within one. Empty: unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time that custody believes."""

    us: int
    state: ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The time of one source at boot time `boot_us`. `roots`: its origins."""

    source: str
    us: int
    state: ClockState
    boot_us: int
    roots: frozenset[str] = LOCAL_ROOTS

    def at(self, boot_us: int) -> int:
        """The reading extrapolated to another moment of the same boot."""
        return self.us + boot_us - self.boot_us

    def independent_of(self, other: Reading) -> bool:
        """Whether they share no origin."""
        return self.source != other.source and not self.roots & other.roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is believed: `us` at boot time `boot_us`.

    lead_us: how far lone sources have moved it since two agreed; noted_us: the part of that in the log.
    refused: the reading that was not followed, until it changes. readings: the newest of each source.
    followed: whether a lone source has moved or confirmed the time in this process; walked_us: how far lone
    sources have moved it since then. agreed: whether two sources have agreed in this process.
    """

    us: int
    boot_us: int
    lead_us: int = 0
    noted_us: int = 0
    refused: Reading | None = None
    readings: tuple[Reading, ...] = ()
    followed: bool = False
    walked_us: int = 0
    agreed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticedStep:
    """A jump or walk of the clock, for the log."""

    from_us: int
    to_us: int
    accepted: bool
    state: ClockState
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStart:
    """When a log that replaces another one begins (UTC), and how much of their budget lone sources had spent
    by then, since a new log gives no new budget; LONE_LIMIT_US if that cannot be read.
    """

    us: int
    lead_us: int = LONE_LIMIT_US


def advance(trust: Trust, reading: Reading) -> tuple[Trust, NoticedStep | None]:
    """Follow one reading. Pure. The time never goes back, and advances at least by the running time."""
    here = trust.us + max(0, reading.boot_us - trust.boot_us)
    others = tuple(one for one in trust.readings if one.source != reading.source)
    held = replace(trust, us=here, boot_us=reading.boot_us, readings=(*others, reading))
    if reading.state is ClockState.UNKNOWN:
        return replace(held, readings=others), None
    agreeing = [one for one in others if _agree(one, reading)]
    if agreeing:
        return _agreed(held, reading, agreeing)
    if reading.state is not ClockState.DISCIPLINED:
        return held, None
    return _alone(held, reading)


def _agree(one: Reading, other: Reading) -> bool:
    """Whether two independent sources, one of them disciplined, show the same time."""
    disciplined = ClockState.DISCIPLINED in (one.state, other.state)
    apart_us = abs(one.at(other.boot_us) - other.us)
    return disciplined and one.independent_of(other) and apart_us <= AGREEMENT_US


def _agreed(held: Trust, reading: Reading, others: list[Reading]) -> tuple[Trust, NoticedStep | None]:
    """Two sources agree: the earlier time is believed, and any lead beyond it stays spent."""
    agreed_us = max(min(one.at(reading.boot_us), reading.us) for one in others)
    us = max(held.us, agreed_us)
    lead_us = max(0, held.us - agreed_us)
    step = None
    if us - held.us > NOTICE_US:
        names = tuple(sorted({reading.source, *(one.source for one in others)}))
        step = NoticedStep(from_us=held.us, to_us=us, accepted=True, state=reading.state, sources=names)
    trust = replace(
        held,
        us=us,
        lead_us=lead_us,
        noted_us=min(held.noted_us, lead_us),
        refused=None,
        walked_us=0,
        agreed=True,
    )
    return trust, step


def _alone(held: Trust, reading: Reading) -> tuple[Trust, NoticedStep | None]:
    """A single disciplined source: it is followed forward within the rest of the budget."""
    move_us, rest_us = reading.us - held.us, max(0, LONE_LIMIT_US - held.lead_us)
    if not -NOTICE_US <= move_us <= max(rest_us, NOTICE_US):
        refused, known = held.refused, False
        if refused is not None and refused.source == reading.source:
            known = abs(refused.at(reading.boot_us) - reading.us) <= NOTICE_US
        step = NoticedStep(
            from_us=held.us, to_us=reading.us, accepted=False, state=reading.state, sources=(reading.source,)
        )
        return replace(held, refused=refused if known else reading), None if known else step
    move_us = min(max(0, move_us), rest_us)  # a source that confirms the time is not doubted for a second
    lead_us = held.lead_us + move_us
    trust = replace(
        held,
        us=held.us + move_us,
        lead_us=lead_us,
        refused=None if held.refused is None or held.refused.source == reading.source else held.refused,
        followed=True,
        walked_us=held.walked_us + (move_us if held.followed else 0),
    )
    if lead_us - held.noted_us <= NOTICE_US:
        return trust, None
    from_us = trust.us - (lead_us - held.noted_us)  # a drift in small steps is reported as one
    step = NoticedStep(
        from_us=from_us, to_us=trust.us, accepted=True, state=reading.state, sources=(reading.source,)
    )
    return replace(trust, noted_us=lead_us), step


class TrustedTime:
    """The running clock of one ledger: wall clock and boot time through `advance`.

    `now()` stamps records: the wall clock's time, but never before the trusted time. If it is further ahead
    of that, or of the department's time, than custody follows, its state is unknown. Only `trusted_us` drives
    purges; `sure_us` ends what the department dated.
    """

    def __init__(
        self,
        clock: WallClock,
        floor_us: int,
        *,
        first: bool = False,
        lead_us: int = 0,
        boot: Callable[[], int] = boottime_us,
        word: TimeWord | None = None,
    ) -> None:
        """`floor_us`: the newest signed time. `first`: a new log, which believes the clock at its start.

        lead_us: how much of their budget lone sources had spent by then. word: the department's last
        statement; its `ahead_us` is that of `floor_us`.
        """
        self._clock, self._boot, self._boot_name = clock, boot, boot_number(boot_id())
        start = max(floor_us, clock.now().us) if first else floor_us
        self._trust = Trust(us=start, boot_us=boot(), lead_us=lead_us, noted_us=lead_us)
        self.heard: tuple[int, int] | None = None  # the newest time of another source, and its boot time, us
        self._word = word
        if word is not None and word.is_of(self._boot_name, boot()):
            self.heard = (word.us, word.boot_us)
        self._successor_start: tuple[int, int] | None = None
        self.steps: list[NoticedStep] = []
        self._taking = threading.Lock()
        self.leapt_us = 0  # by steps over LONE_LIMIT_US that storage.late_epochs has not noted yet

    @property
    def boot_us(self) -> int:
        """The running time by which this clock counts, CLOCK_BOOTTIME."""
        return self._boot()

    @property
    def trusted_us(self) -> int:
        """The time that purges count by."""
        self.now()
        return self._trust.us

    @property
    def department_time(self) -> StatedTime | None:
        """The department's last stated time, extrapolated to now; None if it never stated one.

        It advances by running time if it was stated since this machine started; else by as much as custody's
        time, which includes hours without power only from a clock that custody follows.
        """
        if self.heard is not None:
            us, boot_us = self.heard
            return StatedTime(us=us + max(0, self._boot() - boot_us), exact=True)
        return (
            None if self._word is None else StatedTime(us=self._trust.us - self._word.ahead_us, exact=False)
        )

    @property
    def word(self) -> TimeWord | None:
        """The department's last statement, for the next process."""
        if self.heard is None:
            return self._word
        us, boot_us = self.heard
        ahead_us = self.trusted_us - (us + max(0, self._boot() - boot_us))
        return TimeWord(us=us, boot_us=boot_us, boot=self._boot_name, ahead_us=ahead_us)

    @property
    def sure_us(self) -> int:
        """The time that has certainly passed: the department's time, or custody's time without one.

        The department dates lists, trainings and grants, so they end by its time, even if this unit's clock,
        and with it custody's time, started ahead or is behind. Purges do not use it.
        """
        trusted_us, stated = self.trusted_us, self.department_time
        return trusted_us if stated is None else stated.us

    @property
    def passed_us(self) -> int:
        """The earliest possible time, by a disciplined clock that custody believes and by the department; 0
        if there is neither. What has ended by this time has ended even if one of them is wrong.
        """
        moment, stated = self.now(), self.department_time
        known_us = [] if stated is None else [stated.us]
        if moment.state is ClockState.DISCIPLINED:
            known_us.append(moment.us)
        return min(known_us, default=0)

    @property
    def clock_us(self) -> int:
        """The clock's own time, however far custody follows it; 0 if the clock has no known time."""
        reading = self._clock.now()
        return 0 if ClockState(str(reading.state)) is ClockState.UNKNOWN else reading.us

    @property
    def is_misled(self) -> bool:
        """Whether this log's time is further ahead of the department's than a lone source can move it: then
        the log was opened by a clock that was ahead, and the dates of its records are no better.
        """
        stated = self.department_time
        return stated is not None and self._trust.us - stated.us > LONE_LIMIT_US

    def perhaps_us(self) -> tuple[int, ...]:
        """The possible present times, for a right that is valid at one of them: the clock's, or a later one
        of the department; also the time that has certainly passed if custody does not believe the clock.
        """
        moment, stated = self.now(), self.department_time
        by_clock_us = moment.us if stated is None else max(moment.us, stated.us)
        return (by_clock_us,) if moment.state is not ClockState.UNKNOWN else (by_clock_us, self.sure_us)

    @property
    def agreed(self) -> bool:
        """Whether two sources have agreed in this process; the time has advanced with running time since."""
        return self._trust.agreed

    @property
    def lead_us(self) -> int:
        """How far lone sources have moved the trusted time since two agreed."""
        return self._trust.lead_us

    @property
    def refused_us(self) -> int | None:
        """The offset (us, negative: behind) of a disciplined source that is not followed; else None."""
        refused = self._trust.refused
        return None if refused is None else refused.at(self._trust.boot_us) - self._trust.us

    @property
    def ahead_us(self) -> int:
        """How far the trusted time is ahead of the department's; 0 if the clock does not agree with that."""
        said = {one.source: one for one in self._trust.readings}
        if not said.keys() >= {CLOCK, DEPARTMENT}:
            return 0
        clock, department = said[CLOCK], said[DEPARTMENT]
        if abs(clock.at(department.boot_us) - department.us) > AGREEMENT_US:
            return 0
        return max(0, self._trust.us - department.at(self._trust.boot_us))

    def end_by(self, us: int, boot_us: int) -> None:
        """Note that this log's time is wrong: its successor starts at `us` (UTC), true at that boot time."""
        self._successor_start = (us, boot_us)

    def successor(self) -> LogStart:
        """The time at which a log that replaces this one starts, and its spent budget."""
        if self._successor_start is None:
            return LogStart(us=self.trusted_us, lead_us=self.lead_us)
        us, boot_us = self._successor_start
        return LogStart(us=us + max(0, self._boot() - boot_us), lead_us=0)

    def alarm(self) -> str:
        """What is wrong with the time, in one sentence for people; empty if nothing is."""
        refused_us, ahead_us = self.refused_us, self.ahead_us
        if ahead_us > TOO_FAR_US:
            return (
                f"this log's time is {span_text(ahead_us)} ahead of the department and the clock, so grants "
                "count as ended: the next sync of the reader opens a new log"
            )
        if refused_us is not None:
            way = "ahead of" if refused_us > 0 else "behind"
            if self._trust.refused is not None and self._trust.refused.source == DEPARTMENT:
                then = "" if refused_us > 0 else ", and the next sync opens a new log"
                return (
                    f"the department's time is {span_text(refused_us)} {way} this log's, and the clock does "
                    f"not confirm it: purges count running time; set the clock right{then}"
                )
            return (
                f"the clock is {span_text(refused_us)} {way} the time that custody believes, and no second "
                "source confirms it: purges count running time"
            )
        if self._trust.walked_us > WALK_US:
            return f"a single time source moved the running clock by {span_text(self._trust.walked_us)}"
        return ""

    def now(self) -> Moment:
        """The time to stamp a record with."""
        reading = self._clock.now()
        state = ClockState(str(reading.state))
        self._take(CLOCK, reading.us, state, getattr(reading, "roots", LOCAL_ROOTS))
        if self.is_misled:
            return Moment(us=max(reading.us, self._trust.us), state=ClockState.UNKNOWN)
        if reading.us < self._trust.us:
            return Moment(us=self._trust.us, state=self._behind(state, self._trust.us - reading.us))
        followed_to_us = AGREEMENT_US if state is ClockState.DISCIPLINED else LONE_LIMIT_US
        ahead = reading.us - self._trust.us > followed_to_us
        return Moment(us=reading.us, state=ClockState.UNKNOWN if ahead else state)

    def _behind(self, state: ClockState, by_us: int) -> ClockState:
        """How well custody's time is known if the clock is behind it: then nothing shows how long the unit
        was without power before this start.
        """
        stated = self.department_time
        lost = stated is not None and not stated.exact and by_us > AGREEMENT_US
        return ClockState.UNKNOWN if lost or state is ClockState.UNKNOWN else ClockState.HOLDOVER

    def hear(self, us: int, state: ClockState, source: str) -> None:
        """Take the time of a source that shares no origin with the clock: the department's co-signature."""
        self._take(source, us, state, frozenset({source}))
        self.heard = (us, self._trust.boot_us)

    def read_at_once(self) -> tuple[int, int, bool]:
        """(trusted_us, leapt_us, agreed) of one moment."""
        self.now()
        with self._taking:
            return self._trust.us, self.leapt_us, self._trust.agreed

    def end_leap(self, us: int) -> None:
        """Subtract from `leapt_us` what is now noted."""
        with self._taking:
            self.leapt_us -= us

    def _take(self, source: str, us: int, state: ClockState, roots: frozenset[str]) -> None:
        with self._taking:  # else two threads could lose a reading or count a leap twice
            reading = Reading(source=source, us=us, state=state, boot_us=self._boot(), roots=roots)
            trust, step = advance(self._trust, reading)
            if step is not None:
                self.steps.append(step)
                leap_us = step.to_us - step.from_us if step.accepted else 0
                self.leapt_us += leap_us if leap_us > LONE_LIMIT_US else 0
            self._trust = trust  # last, so that whatever sees the later time also sees the leap


def span_text(us: int) -> str:
    """A length of time for people."""
    minutes = abs(us) // MINUTE_US
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 96 * 60 else f"{minutes // 1440} days"
