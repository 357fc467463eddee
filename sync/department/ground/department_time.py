"""The department's time: the server's clock, as far as independent sources confirm it.

The clock alone never moves the department's time by more than `MAX_AHEAD_US` beyond the last time that an
independent source confirmed, plus the time that the machine has run since. This bounds the sum of many small
steps, and also a restart with a wrong clock. A time is confirmed if the clock agrees with a witness or with
two units; otherwise two people confirm it (`accept`). A witness with another time puts the clock in doubt.
Once a witness or units have confirmed the clock, it is also in doubt if it moves ahead of the running time
within one boot by more than a correction, until one of them agrees: it was stepped, or the machine was
paused, which cannot be distinguished here. Time never runs backward and never stops: a clock behind the
trusted time is not trusted either, and time continues at half speed until the clock has caught up.

While the clock is in doubt, `now_us` gives the last trusted time plus the time run since, so that stamps stay
right, and `demand_sure` refuses what cannot be undone (a purge).

HOME/time.cbor keeps the confirmed time and the time run since. A newer confirmation there by another process
ends a doubt here. Anyone who can write it can also write the store; it guards against clocks, not against
root.
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

MAX_AHEAD_US = 2 * DAY_US  # a weekend without power is plausible; a year is not
MAX_BEHIND_US = 10 * MINUTE_US  # NTP may correct this much; with more, the clock was set back
AGREE_US = 10 * MINUTE_US  # how far two sources may differ and still agree
SAVE_EVERY_US = 10 * MINUTE_US
FILE = "time.cbor"
HEARD = frozenset({"witness", "units"})  # sources that report again, so that a doubt can end
PEOPLE = "people"
AHEAD, BEHIND = "ahead of", "behind"
SET_CLOCK = (
    "set the server's clock (timedatectl set-ntp true); if it is right, two people confirm it: "
    "department clock confirm"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks: wall clock and running time, both in microseconds, and the id of this boot."""

    wall: Callable[[], int] = now_us
    running: Callable[[], int] = boottime_us
    boot: Callable[[], str] = boot_id

    @classmethod
    def simulated(cls, clock: Callable[[], int]) -> Clocks:
        """A simulated clock whose steps count as time that passes: both readings move together."""
        start = clock()
        return cls(wall=clock, running=lambda: clock() - start, boot=lambda: f"simulated {start}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """`confirmed_us` was the time when this boot had run `running_us`; `ran_us`: running time before it."""

    confirmed_us: int
    source: str
    boot: str
    running_us: int
    ran_us: int
    seen_us: int  # running time of this boot when the mark was last written

    def elapsed(self, running: int) -> int:
        """The running time since the confirmation."""
        return self.ran_us + max(0, running - self.running_us)

    def after_boot(self, boot: str) -> _Mark:
        """The same mark in a new boot, whose running time starts at zero."""
        ran = self.ran_us + max(1, self.seen_us - self.running_us)  # above 0: the machine has been off since
        return replace(self, boot=boot, running_us=0, ran_us=ran, seen_us=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why the clock is in doubt: it is "ahead of" or "behind" another time by `by_us`.

    `held_us`: the time for stamps meanwhile. `stepped`: it moved while the machine ran, or the machine was
    paused.
    """

    direction: str
    by_us: int
    wall_us: int
    held_us: int
    stepped: bool = False


class DepartmentTime:
    """One department's time. Calling it returns UTC microseconds. Thread-safe."""

    def __init__(self, folder: Path, clocks: Clocks | None = None, *, keeps: bool = True) -> None:
        """`folder`: the department's home; without a mark, it starts from its newest `known` time.

        `keeps`: write marks there; False for programs that only read.
        """
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
        """How long the machine has run since it started."""
        return self._clocks.running()

    def wall_us(self) -> int:
        """The unchecked system clock, for one-time codes, which a person's phone confirms.

        People must be able to log in to resolve a doubt.
        """
        return self._clocks.wall()

    def run_on_us(self) -> int | None:
        """The last confirmed time plus the time run since: right if only the clock was stepped, not phones.

        None if the machine has been off since and the clock is not in doubt: the time would lag by as long as
        it was off, and an old code would be valid again.
        """
        with self._guard:
            if self._mark.ran_us and self.doubt() is None:
                return None
            return self._run_on(self._clocks.running())

    def now_us(self) -> int:
        """The department's time: the clock if confirmed, else the last trusted time plus running time."""
        with self._guard:
            wall, running = self._clocks.wall(), self._clocks.running()
            doubt = self._doubt_now(wall, running)
            # at least at half speed, so that a clock that is set back repeatedly does not stop time
            least = self._floor + max(0, running - self._floor_running) // 2 if self._floor else 0
            now = max(least, wall if doubt is None else doubt.held_us)
            self._floor, self._floor_running = now, running
            if running - self._written_running >= SAVE_EVERY_US:
                self._take_other()
                self._save(replace(self._mark, seen_us=running))
            return now

    def doubt(self) -> Doubt | None:
        """Why the clock is not trusted now; None if it is."""
        with self._guard:
            return self._doubt_now(self._clocks.wall(), self._clocks.running())

    def demand_sure(self) -> int:
        """The time for a step that cannot be undone, such as a purge. Raises ClockInDoubtError."""
        doubt = self.doubt()
        if doubt is None:
            return self.now_us()
        raise ClockInDoubtError(
            f"the purge waits: the clock is {span_text(doubt.by_us)} {doubt.direction} the confirmed time",
            where="clock",
            cure=SET_CLOCK,
        )

    def found(self) -> None:
        """Start the mark of a new home, while a person is present."""
        with self._guard:
            self._save(self._marked(self._clocks.wall(), PEOPLE, self._clocks.running()))

    # --- confirmations ----------------------------------------------------------------------------------

    def known(self, us: int) -> None:
        """Take in a time that has certainly passed: of an entry, a receipt or an older co-signature.

        Time never runs back before it. A home without a mark starts from the newest such time.
        """
        with self._guard:
            running = self._clocks.running()
            if self._unmarked and us > self._newest_known:
                self._newest_known = us
                self._mark = self._marked(us, "store", running)
            if self._floor < us <= self._ceiling(running):
                self._floor, self._floor_running = us, running

    def confirm(self, us: int, source: str) -> bool:
        """Take in an independent source's present time; returns whether clock and source agree."""
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
        """Take in the time of a unit's signed hello; it counts once a second unit agrees within a day."""
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
        """Record that two people confirmed the clock; returns whether it still runs as they saw it.

        `wall_us`: the clock when they confirmed it. A source that disagreed causes no new doubt while it
        stays as far off.
        """
        with self._guard:
            wall = self._clocks.wall()
            if abs(wall - wall_us) > DAY_US:
                return False  # the clock has been moved since
            running = self._clocks.running()
            self._save(self._marked(wall, PEOPLE, running))
            self._overrule(wall, running)
            return True

    # --- internals --------------------------------------------------------------------------------------

    def _overrule(self, wall: int, running: int) -> None:
        """Let people overrule the source that disagreed, while it stays as far off."""
        if self._dissent is not None:
            self._overruled_us = self._dissent[0] + running - self._dissent[1] - wall
        self._dissent = None

    def _run_on(self, running: int) -> int:
        return self._mark.confirmed_us + self._mark.elapsed(running)

    def _ceiling(self, running: int) -> int:
        return self._run_on(running) + MAX_AHEAD_US

    def _doubt_now(self, wall: int, running: int) -> Doubt | None:
        """The doubt by the newest mark of any process, since people can also confirm by a command."""
        doubt = self._doubt(wall, running)
        return self._doubt(wall, running) if doubt is not None and self._take_other() else doubt

    def _take_other(self) -> bool:
        """Take a newer confirmation of this boot by another process; returns whether there is one."""
        mark, unmarked = self._load()
        ours = self._mark if self._mark.boot == mark.boot else None
        if unmarked or mark.ran_us or (ours is not None and mark.running_us <= ours.running_us):
            return False
        if mark.source != PEOPLE and mark.source not in HEARD:  # it only copied the clock
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
        if abs(wall - said) > AGREE_US:  # otherwise the clock has been set right since
            believed = said if self._unmarked else self._run_on(running)
            believed = max(
                believed, min(said, wall)
            )  # no time ran without power: the earlier of the two clocks
            held = max(self._floor, min(believed, self._ceiling(running)))
            direction = AHEAD if wall > said else BEHIND
            return Doubt(direction=direction, by_us=abs(wall - said), wall_us=wall, held_us=held)
        stepped = self._mark.source in HEARD and not self._mark.ran_us
        if wall > (self._run_on(running) + AGREE_US if stepped else self._ceiling(running)):
            held = max(self._run_on(running), self._floor + since)
            return Doubt(direction=AHEAD, by_us=wall - held, wall_us=wall, held_us=held, stepped=stepped)
        if wall < max(self._floor, self._mark.confirmed_us) - MAX_BEHIND_US:
            # at half speed: stamps still rise, and a corrected clock catches up with them
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
        """Returns the mark, and whether there was none."""
        running, boot = self._clocks.running(), self._clocks.boot()
        try:
            mark = from_bytes(_Mark, self._path.read_bytes())
        except (OSError, StorageError):
            return self._marked(self._clocks.wall(), "start", running), True
        same = mark.boot == boot and running >= mark.running_us
        return mark if same else mark.after_boot(boot), False

    def _keep(self, mark: _Mark) -> None:
        """Keep a confirmation; write one per SAVE_EVERY_US, since a witness confirms with every answer.

        After a crash, the last written confirmation is at most that old.
        """
        late = mark.running_us - self._written_running >= SAVE_EVERY_US
        if late or self._unmarked or (mark.source, mark.boot) != (self._mark.source, self._mark.boot):
            self._save(mark)
        else:
            self._mark = mark

    def _save(self, mark: _Mark) -> None:
        self._mark, self._unmarked, self._written_running = mark, False, mark.seen_us
        if not self._keeps:
            return
        with contextlib.suppress(OSError):  # a full disk: a later mark is written, or people confirm
            files.replace(self._path, to_bytes(mark))


def span_text(us: int) -> str:
    """A span for people, in its largest unit: 3 days, or 5 hours, or 12 minutes."""
    for size, name in ((DAY_US, "days"), (HOUR_US, "hours"), (MINUTE_US, "minutes")):
        if us >= 2 * size:
            return f"{us // size} {name}"
    return f"{us // SECOND_US} seconds"


def apart_text(said_us: int, held_us: int) -> str:
    """How far apart two clocks are, for the person who must set one."""
    direction = BEHIND if said_us < held_us else AHEAD
    return f"the clock that signed is {span_text(abs(said_us - held_us))} {direction} the department's time"
