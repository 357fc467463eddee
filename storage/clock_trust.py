"""How far custody follows the clock: pure rules for a time that only moves forward. No I/O.

A disciplined reading is followed, but never below the newest signed time, and a forward step of over a
day waits until two sources agree on it. Without discipline, time goes on by CLOCK_BOOTTIME alone. So a
clock that jumps ten years ahead purges nothing, and one that jumps back stops no purge.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from storage.records import ClockState
from storage.times import DAY_US, MINUTE_US

STEP_LIMIT_US = DAY_US  # a forward step beyond a day waits for a second source
CLOCK = "clock"  # the unit's own, as a source
AGREEMENT_US = 2 * MINUTE_US  # two sources agree when they are within two minutes


class WallTime(Protocol):
    """A reading of the wall clock, e.g. hw.clock.UtcTime."""

    @property
    def us(self) -> int: ...
    @property
    def error_us(self) -> int: ...
    @property
    def state(self) -> str: ...


class WallClock(Protocol):
    """Tells UTC with an error bound and a state."""

    def now(self) -> WallTime: ...


def boottime_us() -> int:
    """Microseconds since boot, time asleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time custody believes."""

    us: int
    state: ClockState


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is believed: `us` at boot time `boot_us`; a step that waits and which sources vouch for it."""

    us: int
    boot_us: int
    waiting_us: int | None = None
    waiting_from: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A jump that was noticed, for the log."""

    from_us: int
    to_us: int
    accepted: bool
    state: ClockState
    sources: tuple[str, ...]


def advance(trust: Trust, us: int, state: ClockState, boot_us: int, source: str) -> tuple[Trust, Step | None]:
    """Follow one reading of one source. Pure."""
    here = trust.us + max(0, boot_us - trust.boot_us)  # running time counts, whatever the clock says
    held = replace(trust, us=here, boot_us=boot_us)
    if state is not ClockState.DISCIPLINED or us <= here:
        back = state is ClockState.DISCIPLINED and us < here - STEP_LIMIT_US
        step = Step(from_us=here, to_us=us, accepted=False, state=state, sources=(source,)) if back else None
        return held, step
    if us - here <= STEP_LIMIT_US:
        return replace(held, us=us, waiting_us=None, waiting_from=frozenset()), None
    expected = None
    if trust.waiting_us is not None:
        expected = trust.waiting_us + max(0, boot_us - trust.boot_us)
    if expected is not None and abs(us - expected) <= AGREEMENT_US:
        names = trust.waiting_from | {source}
        if len(names) >= 2:
            step = Step(from_us=here, to_us=us, accepted=True, state=state, sources=tuple(sorted(names)))
            return replace(held, us=us, waiting_us=None, waiting_from=frozenset()), step
        return replace(held, waiting_us=expected), None  # the same source again: still waiting
    step = Step(from_us=here, to_us=us, accepted=False, state=state, sources=(source,))
    return replace(held, waiting_us=us, waiting_from=frozenset({source})), step


class TrustedTime:
    """The running clock of one ledger: wall clock and boot time through `advance`.

    `now()` stamps records: the wall clock's word, never below the trusted time; a word that is a day or
    more ahead of it, uncorroborated, is not called disciplined. `trusted_us` alone drives purges.
    """

    def __init__(
        self, clock: WallClock, floor_us: int, *, first: bool = False, boot: Callable[[], int] = boottime_us
    ) -> None:
        """`floor_us`: the newest signed time. `first`: a new log believes the clock it is born with."""
        self._clock, self._boot = clock, boot
        start = max(floor_us, clock.now().us) if first else floor_us
        self._trust = Trust(us=start, boot_us=boot())
        self.heard: tuple[int, int] | None = None  # the newest word of another source, and its boot time, us
        self.steps: list[Step] = []

    @property
    def trusted_us(self) -> int:
        """The time that purges count by."""
        self.now()
        return self._trust.us

    def now(self) -> Moment:
        """The time to stamp a record with."""
        reading = self._clock.now()
        state = ClockState(str(reading.state))
        self.hear(reading.us, state, CLOCK)
        if reading.us < self._trust.us:
            return Moment(us=self._trust.us, state=ClockState.HOLDOVER)
        ahead = reading.us - self._trust.us > STEP_LIMIT_US
        return Moment(us=reading.us, state=ClockState.UNKNOWN if ahead else state)

    def hear(self, us: int, state: ClockState, source: str) -> None:
        """Take the word of a source, e.g. the department's co-signature."""
        boot_us = self._boot()
        self._trust, step = advance(self._trust, us, state, boot_us, source)
        if source != CLOCK:
            self.heard = (us, boot_us)
        if step is not None:
            self.steps.append(step)
