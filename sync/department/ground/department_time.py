"""The department's time: the server's clock, as far as something besides that clock confirms it.

A clock alone never moves the department by more than `MAX_AHEAD_US` beyond the last time that an
independent source confirmed, plus the time that the machine has run since: a walk of small steps is bounded
in sum, and so is a restart under a wrong clock. Confirmed is what the clock and a witness, or the clock and
two units, say alike; else two people say it (`accept`). A witness that says another time puts the clock in
doubt. Once a witness or units confirmed it, a clock that moves ahead of the running time within one boot, by
more than a correction, is in doubt until one of them agrees: it was stepped, or the machine was paused, and
nothing here distinguishes these. Time never runs back, and never stops: a clock behind what was already
believed is not believed either, and the time continues at half speed until the clock has caught up.

While the clock is in doubt, `now_us` gives the last believed time plus the time run since, so that stamps
stay right, and `demand_sure` refuses what cannot be undone (a purge).

HOME/time.cbor keeps the confirmed time and the time run since; another process's newer word there ends a
doubt here. Anyone who can write it can also write the store; what it guards against is a clock, not root.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from storage import files
from storage.clock_trust import boot_id, boottime_us
from storage.codec import from_bytes, to_bytes
from storage.errors import StorageError
from storage.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, now_us
from sync.errors import ClockInDoubtError

MAX_AHEAD_US = 2 * DAY_US  # a weekend without power is believed; a year is not
MAX_BEHIND_US = 10 * MINUTE_US  # a correction by NTP is believed; more is a clock that was set back
AGREE_US = 10 * MINUTE_US  # how far two sources may differ and still say the same
SAVE_EVERY_US = 10 * MINUTE_US
FILE = "time.cbor"
HEARD = frozenset({"witness", "units"})  # sources that will be heard again, so that a doubt ends
PEOPLE = "people"
AHEAD, BEHIND = "ahead of", "behind"
SET_CLOCK = (
    "set the server's clock (timedatectl set-ntp true); if it is right, two people confirm it: "
    "department clock confirm"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What is read: the wall clock and the running time, microseconds, and the name of this boot."""

    wall: Callable[[], int] = now_us
    running: Callable[[], int] = boottime_us
    boot: Callable[[], str] = boot_id

    @classmethod
    def simulated(cls, clock: Callable[[], int]) -> Clocks:
        """A simulated clock whose steps are time that really passes: both readings move together."""
        start = clock()
        return cls(wall=clock, running=lambda: clock() - start, boot=lambda: f"simulated {start}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """`confirmed_us` was true when this boot had run `running_us`; `ran_us` had been run before it."""

    confirmed_us: int
    source: str
    boot: str
    running_us: int
    ran_us: int
    seen_us: int  # running time of this boot when the mark was last written

    def elapsed(self, running: int) -> int:
        """Time run since the confirmation."""
        return self.ran_us + max(0, running - self.running_us)

    def after_boot(self, boot: str) -> _Mark:
        """The same mark in a new boot, whose running time counts from its start."""
        ran = self.ran_us + max(1, self.seen_us - self.running_us)  # above 0: the machine was off since
        return replace(self, boot=boot, running_us=0, ran_us=ran, seen_us=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why the clock is in doubt: it is "ahead of" or "behind" another time, by `by_us`. `held_us`: the time
    that stamps carry meanwhile. `stepped`: it moved while the machine ran, or the machine was paused."""

    direction: str
    by_us: int
    wall_us: int
    held_us: int
    stepped: bool = False


class DepartmentTime:
    """One department's time. Call it for UTC microseconds. Thread-safe."""

    def __init__(self, folder: Path, clocks: Clocks | None = None, *, keeps: bool = True) -> None:
        """`folder`: the department's home. A home without a mark starts from its newest `known` time.
        `keeps`: marks are written there; who only looks writes none."""
        self._path, self._keeps = folder / FILE, keeps
        self._clocks = clocks or Clocks()
        self._guard = threading.RLock()
        self._floor = 0
        self._floor_running = 0
        self._units: dict[str, tuple[int, int]] = {}
        self._newest_known = 0
        self._dissent: tuple[int, int] | None = None
        self._overruled_us: int | None = None  # how far a source was off when people confirmed the clock
        self._mark, self._unmarked = self._load()
        self._written_running = self._mark.seen_us

    def __call__(self) -> int:
        return self.now_us()

    def running_us(self) -> int:
        """How long the machine has run since its start."""
        return self._clocks.running()

    def wall_us(self) -> int:
        """The system clock, unchecked. For one-time codes, which a person's phone confirms:
        people have to get in to put a doubt right."""
        return self._clocks.wall()

    def run_on_us(self) -> int | None:
        """The last confirmed time and the time run since: right where the clock was stepped and people's
        phones were not. None where the machine was off since and the clock is not in doubt: that time lags
        by as long as it was off, and an old code would be right again."""
        with self._guard:
            if self._mark.ran_us and self.doubt() is None:
                return None
            return self._run_on(self._clocks.running())

    def now_us(self) -> int:
        """The department's time: the clock if confirmed, else the last trusted time plus running time."""
        with self._guard:
            wall, running = self._clocks.wall(), self._clocks.running()
            doubt = self._doubt_now(wall, running)
            # at half speed at least: a clock that is set back again and again does not hold the time still
            least = self._floor + max(0, running - self._floor_running) // 2 if self._floor else 0
            now = max(least, wall if doubt is None else doubt.held_us)
            self._floor, self._floor_running = now, running
            if running - self._written_running >= SAVE_EVERY_US:
                self._take_other()
                self._save(replace(self._mark, seen_us=running))
            return now

    def doubt(self) -> Doubt | None:
        """Why the clock is not believed now; None if it is."""
        with self._guard:
            return self._doubt_now(self._clocks.wall(), self._clocks.running())

    def demand_sure(self) -> int:
        """The time, for a purge, which cannot be undone. Raises ClockInDoubtError."""
        doubt = self.doubt()
        if doubt is None:
            return self.now_us()
        raise ClockInDoubtError(
            f"the purge waits: the clock is {span_text(doubt.by_us)} {doubt.direction} the confirmed time",
            where="clock",
            cure=SET_CLOCK,
        )

    def found(self) -> None:
        """Start the mark of a new home: a person is present."""
        with self._guard:
            self._save(self._marked(self._clocks.wall(), PEOPLE, self._clocks.running()))

    # what bears the clock out ---------------------------------------------------------------------------

    def known(self, us: int) -> None:
        """A time that has certainly passed: of an entry, a receipt, an older co-signature.

        Time never runs back before it; a home without a mark starts from the newest one.
        """
        with self._guard:
            running = self._clocks.running()
            if self._unmarked and us > self._newest_known:
                self._newest_known = us
                self._mark = self._marked(us, "store", running)
            if self._floor < us <= self._ceiling(running):
                self._floor, self._floor_running = us, running

    def confirm(self, us: int, source: str) -> bool:
        """An independent clock says this time now. Whether clock and source agree, and so are believed."""
        with self._guard:
            wall, running = self._clocks.wall(), self._clocks.running()
            if abs(us - wall) > AGREE_US:
                overruled = self._overruled_us
                if overruled is None or abs(us - wall - overruled) > AGREE_US:
                    self._dissent = (us, running)
                return False
            self._dissent = None
            if wall < self._floor - MAX_BEHIND_US:
                return False
            self._keep(self._marked(wall, source, running))
            return True

    def confirm_unit(self, unit: str, us: int) -> bool:
        """A unit's signed hello says this time. Believed once a second unit says the same within a day."""
        with self._guard:
            wall = self._clocks.wall()
            if abs(us - wall) > AGREE_US:
                self._units.pop(unit, None)
                return False
            running = self._clocks.running()
            self._units[unit] = (us, running)
            self._units = {
                name: (said, at)
                for name, (said, at) in self._units.items()
                if running - at < DAY_US and abs(said + running - at - wall) <= AGREE_US
            }
            return len(self._units) >= 2 and self.confirm(wall, "units")

    def accept(self, wall_us: int) -> bool:
        """Two people say that the clock is right; `wall_us`: what it read then. Whether it still does. A
        source that disagreed is no new doubt while it is as far off."""
        with self._guard:
            wall = self._clocks.wall()
            if abs(wall - wall_us) > DAY_US:
                return False  # the clock was moved again since
            running = self._clocks.running()
            self._save(self._marked(wall, PEOPLE, running))
            self._overrule(wall, running)
            return True

    # inside ---------------------------------------------------------------------------------------------

    def _overrule(self, wall: int, running: int) -> None:
        """People's word holds against the source that disagreed, as long as that one is as far off."""
        if self._dissent is not None:
            self._overruled_us = self._dissent[0] + running - self._dissent[1] - wall
        self._dissent = None

    def _run_on(self, running: int) -> int:
        return self._mark.confirmed_us + self._mark.elapsed(running)

    def _ceiling(self, running: int) -> int:
        return self._run_on(running) + MAX_AHEAD_US

    def _doubt_now(self, wall: int, running: int) -> Doubt | None:
        """The same by the newest mark, whichever process wrote it: people confirm by a command, too."""
        doubt = self._doubt(wall, running)
        return self._doubt(wall, running) if doubt is not None and self._take_other() else doubt

    def _take_other(self) -> bool:
        """Take a confirmation of this boot that another process wrote after ours. Whether there is one."""
        mark, unmarked = self._load()
        ours = self._mark if self._mark.boot == mark.boot else None
        if unmarked or mark.ran_us or (ours is not None and mark.running_us <= ours.running_us):
            return False
        if mark.source != PEOPLE and mark.source not in HEARD:  # it only starts from the clock
            return False
        self._mark, self._unmarked = mark, False
        if self._dissent is not None and self._dissent[1] < mark.running_us:
            if mark.source == PEOPLE:
                self._overrule(mark.confirmed_us, mark.running_us)
            self._dissent = None
        return True

    def _doubt(self, wall: int, running: int) -> Doubt | None:
        since = max(0, running - self._floor_running) if self._floor else 0
        said = wall
        if self._dissent is not None:
            said = self._dissent[0] + max(0, running - self._dissent[1])
        if abs(wall - said) > AGREE_US:  # else the clock was set right since
            believed = said if self._unmarked else self._run_on(running)
            believed = max(
                believed, min(said, wall)
            )  # without power no time ran: the earlier of the two clocks
            held = max(self._floor, min(believed, self._ceiling(running)))
            direction = AHEAD if wall > said else BEHIND
            return Doubt(direction=direction, by_us=abs(wall - said), wall_us=wall, held_us=held)
        stepped = self._mark.source in HEARD and not self._mark.ran_us
        if wall > (self._run_on(running) + AGREE_US if stepped else self._ceiling(running)):
            held = max(self._run_on(running), self._floor + since)
            return Doubt(direction=AHEAD, by_us=wall - held, wall_us=wall, held_us=held, stepped=stepped)
        if wall < max(self._floor, self._mark.confirmed_us) - MAX_BEHIND_US:
            # at half speed: stamps still rise, and a clock that is right again catches up with them
            held = max(self._floor, self._mark.confirmed_us) + since // 2
            return Doubt(direction=BEHIND, by_us=held - wall, wall_us=wall, held_us=held)
        return None

    def _marked(self, us: int, source: str, running: int) -> _Mark:
        return _Mark(
            confirmed_us=us,
            source=source,
            boot=self._clocks.boot(),
            running_us=running,
            ran_us=0,
            seen_us=running,
        )

    def _load(self) -> tuple[_Mark, bool]:
        """(the mark, whether none was there)."""
        running, boot = self._clocks.running(), self._clocks.boot()
        try:
            mark = from_bytes(_Mark, self._path.read_bytes())
        except (OSError, StorageError):
            return self._marked(self._clocks.wall(), "start", running), True
        same = mark.boot == boot and running >= mark.running_us
        return mark if same else mark.after_boot(boot), False

    def _keep(self, mark: _Mark) -> None:
        """Believe a confirmation now. A witness confirms with every answer: written once in SAVE_EVERY_US, so
        that a start after a crash knows a confirmation that is at most so old."""
        late = mark.running_us - self._written_running >= SAVE_EVERY_US
        if late or self._unmarked or (mark.source, mark.boot) != (self._mark.source, self._mark.boot):
            self._save(mark)
        else:
            self._mark = mark

    def _save(self, mark: _Mark) -> None:
        self._mark, self._unmarked, self._written_running = mark, False, mark.seen_us
        if not self._keeps:
            return
        with contextlib.suppress(OSError):  # a full disk: a later mark is written, or a start asks people
            files.replace(self._path, to_bytes(mark))


def span_text(us: int) -> str:
    """A span for people, in its largest unit: 3 days, 5 hours, 12 minutes."""
    for size, name in ((DAY_US, "days"), (HOUR_US, "hours"), (MINUTE_US, "minutes")):
        if us >= 2 * size:
            return f"{us // size} {name}"
    return f"{us // SECOND_US} seconds"


def apart_text(said_us: int, held_us: int) -> str:
    """How far two clocks are apart, for the person who has to set one."""
    direction = BEHIND if said_us < held_us else AHEAD
    return f"the clock that signed is {span_text(abs(said_us - held_us))} {direction} the department's time"
