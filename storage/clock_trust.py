"""How far the ledger trusts the clock: pure rules for a time that only moves forward, within a budget. No
I/O.

Running time (CLOCK_BOOTTIME) always counts. Beyond it, a source that is alone moves the trusted time by at
most LONE_LIMIT_US *in sum* since two independent sources last agreed, over any number of readings, restarts
and boots: the used part of that budget is signed into the ledger's state.
What exceeds the budget is not followed. Two sources that agree set the time and refill it. The trusted time
never goes back, also where two agree that it is earlier. Sources are independent if their `roots` (physical
origins) have nothing in common, not because they have two names.
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

LONE_LIMIT_US = DAY_US  # how far one source alone may ever bring the purge of a day forward
AGREEMENT_US = 2 * MINUTE_US  # two sources agree when they are within two minutes
NOTICE_US = 2 * MINUTE_US  # a step, or a walk, of more than this is a record
WALK_US = 10 * MINUTE_US  # no honest clock moves so far while it is disciplined and running: an alarm
TOO_FAR_US = HOUR_US  # a log whose time is further ahead than this counts grants as ended that are not
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
    """Microseconds since boot, time asleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_id() -> str:
    """Names this start of the machine: `boottime_us` of another one says nothing about it. Empty: unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time custody believes."""

    us: int
    state: ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one source said at boot time `boot_us`. `roots`: its origins."""

    source: str
    us: int
    state: ClockState
    boot_us: int
    roots: frozenset[str] = LOCAL_ROOTS

    def at(self, boot_us: int) -> int:
        """What it amounts to at another moment of the same boot."""
        return self.us + boot_us - self.boot_us

    def independent_of(self, other: Reading) -> bool:
        """Whether they share no origin."""
        return self.source != other.source and not self.roots & other.roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is believed: `us` at boot time `boot_us`.

    lead_us: how far lone sources have moved it since two agreed; noted_us: the part of it that is in the log.
    refused: the reading that was not followed, until it changes. readings: the newest of each source.
    followed: whether a lone source has moved or confirmed the time in this process; walked_us: by how much
    lone sources moved it after that. agreed: whether two sources have agreed in this process.
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
    """A jump or a walk that was noticed, for the log."""

    from_us: int
    to_us: int
    accepted: bool
    state: ClockState
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStart:
    """The time at which a log that replaces another one begins, UTC, and what lone sources had spent of
    their budget by then: a new log is no new budget. LONE_LIMIT_US where that cannot be read.
    """

    us: int
    lead_us: int = LONE_LIMIT_US


def advance(trust: Trust, reading: Reading) -> tuple[Trust, NoticedStep | None]:
    """Follow one reading. Pure. The time never goes back and never moves on by less than running time."""
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
    """Whether two independent sources, one of them disciplined, mean the same time."""
    disciplined = ClockState.DISCIPLINED in (one.state, other.state)
    apart_us = abs(one.at(other.boot_us) - other.us)
    return disciplined and one.independent_of(other) and apart_us <= AGREEMENT_US


def _agreed(held: Trust, reading: Reading, others: list[Reading]) -> tuple[Trust, NoticedStep | None]:
    """Two agree: the earlier of them is believed, and what is already believed beyond it stays spent."""
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
    """A single disciplined source: followed forward within the rest of its budget."""
    move_us, rest_us = reading.us - held.us, max(0, LONE_LIMIT_US - held.lead_us)
    if not -NOTICE_US <= move_us <= max(rest_us, NOTICE_US):
        refused, known = held.refused, False
        if refused is not None and refused.source == reading.source:
            known = abs(refused.at(reading.boot_us) - reading.us) <= NOTICE_US
        step = NoticedStep(
            from_us=held.us, to_us=reading.us, accepted=False, state=reading.state, sources=(reading.source,)
        )
        return replace(held, refused=refused if known else reading), None if known else step
    move_us = min(max(0, move_us), rest_us)  # one that says what is believed is in no doubt for a second
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

    `now()` stamps records: the wall clock's time, never below the trusted time; a time that is further ahead
    of it than custody follows, or of what the department said, is called unknown. `trusted_us` alone drives
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
        """`floor_us`: the newest signed time. `first`: a new log believes the clock it is born with.

        lead_us: what lone sources had spent of their budget by then. word: the department's last word, its
        `ahead_us` that of `floor_us`.
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
        """What the department last said that it is, carried on; None where it never said so.

        By running time since, if that was since this machine started; else by as much as custody's time went
        on, which takes the hours without power only from a clock that custody follows.
        """
        if self.heard is not None:
            us, boot_us = self.heard
            return StatedTime(us=us + max(0, self._boot() - boot_us), exact=True)
        return (
            None if self._word is None else StatedTime(us=self._trust.us - self._word.ahead_us, exact=False)
        )

    @property
    def word(self) -> TimeWord | None:
        """The department's last word, as the next process needs it."""
        if self.heard is None:
            return self._word
        us, boot_us = self.heard
        ahead_us = self.trusted_us - (us + max(0, self._boot() - boot_us))
        return TimeWord(us=us, boot_us=boot_us, boot=self._boot_name, ahead_us=ahead_us)

    @property
    def sure_us(self) -> int:
        """What has surely passed: by the department's word, carried on; by custody's time without one.

        Lists, trainings and grants are dated by the department, so they end by its time, whether this unit's
        clock, and with it custody's time, was born ahead or is behind. No purge counts by it.
        """
        trusted_us, stated = self.trusted_us, self.department_time
        return trusted_us if stated is None else stated.us

    @property
    def passed_us(self) -> int:
        """The earliest that it may be: by a disciplined clock that custody believes, and by the department's
        word; 0 where there is neither. What ends by it has ended whichever of them is wrong."""
        moment, stated = self.now(), self.department_time
        known_us = [] if stated is None else [stated.us]
        if moment.state is ClockState.DISCIPLINED:
            known_us.append(moment.us)
        return min(known_us, default=0)

    @property
    def clock_us(self) -> int:
        """What the clock itself says, however far custody follows it; 0 where it knows no time."""
        reading = self._clock.now()
        return 0 if ClockState(str(reading.state)) is ClockState.UNKNOWN else reading.us

    @property
    def is_misled(self) -> bool:
        """Whether this log's time is further ahead of the department's word than any lone source moves it:
        it was born under a clock that was ahead, and no record's date is known better than that."""
        stated = self.department_time
        return stated is not None and self._trust.us - stated.us > LONE_LIMIT_US

    def perhaps_us(self) -> tuple[int, ...]:
        """The moments that it may be, for a right that holds at one of them: by the clock, or by a later word
        of the department; where custody does not believe the clock, by what has surely passed too."""
        moment, stated = self.now(), self.department_time
        by_clock_us = moment.us if stated is None else max(moment.us, stated.us)
        return (by_clock_us,) if moment.state is not ClockState.UNKNOWN else (by_clock_us, self.sure_us)

    @property
    def agreed(self) -> bool:
        """Whether two sources have agreed in this process: running time has carried that on since."""
        return self._trust.agreed

    @property
    def lead_us(self) -> int:
        """How far lone sources have moved the trusted time since two agreed."""
        return self._trust.lead_us

    @property
    def refused_us(self) -> int | None:
        """The offset of a disciplined source that is not followed (negative: behind); None without one."""
        refused = self._trust.refused
        return None if refused is None else refused.at(self._trust.boot_us) - self._trust.us

    @property
    def ahead_us(self) -> int:
        """How far the trusted time is ahead of the department's last word; 0 where the clock says another."""
        said = {one.source: one for one in self._trust.readings}
        if not said.keys() >= {CLOCK, DEPARTMENT}:
            return 0
        clock, department = said[CLOCK], said[DEPARTMENT]
        if abs(clock.at(department.boot_us) - department.us) > AGREEMENT_US:
            return 0
        return max(0, self._trust.us - department.at(self._trust.boot_us))

    def end_by(self, us: int, boot_us: int) -> None:
        """This log's time is wrong: the log that replaces it starts at `us` (UTC), true at that boot time."""
        self._successor_start = (us, boot_us)

    def successor(self) -> LogStart:
        """From when on the time of a log that replaces this one counts: what has passed for this one has."""
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
            return f"one time source alone moved the running clock by {span_text(self._trust.walked_us)}"
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
        """How well custody's time is known where the clock is behind it: how long the unit was without power
        before this start, no one says then."""
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
        """So much of `leapt_us` is noted."""
        with self._taking:
            self.leapt_us -= us

    def _take(self, source: str, us: int, state: ClockState, roots: frozenset[str]) -> None:
        with self._taking:  # two threads would lose a reading, or count one leap twice
            reading = Reading(source=source, us=us, state=state, boot_us=self._boot(), roots=roots)
            trust, step = advance(self._trust, reading)
            if step is not None:
                self.steps.append(step)
                leap_us = step.to_us - step.from_us if step.accepted else 0
                self.leapt_us += leap_us if leap_us > LONE_LIMIT_US else 0
            self._trust = trust  # last: who sees the later time sees the leap


def span_text(us: int) -> str:
    """A length of time for people."""
    minutes = abs(us) // MINUTE_US
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 96 * 60 else f"{minutes // 1440} days"
