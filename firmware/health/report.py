"""The unit's health report, with alarms, for the console, the department and Prometheus.

Promise: it contains only numbers and words from fixed lists; nothing in it comes from a plate.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from firmware.health.custody import Custody
from firmware.health.list_health import ListHealth
from firmware.health.read_habit import ReadHabit
from firmware.health.system_marks import SystemMarks, system_marks
from firmware.health.wear import wear_budget
from hw.clock import TimeState, UtcTime
from hw.errors import HardwareError
from hw.power import PowerSource, Supply
from hw.vitals import Board, Vitals
from sync.health import Alarm

if TYPE_CHECKING:  # a report without a camera needs no numpy, which takes a second on a Pi
    import numpy as np
    from numpy.typing import NDArray

    from firmware.health.scene_watch import SceneWatch

HOT_C = 80.0  # the Pi's firmware throttles here
DISK_LOW_SHARE = 0.10
WORN_PERCENT = 90
SYNC_LATE_S = 24 * 3600.0
CLOCK_LOOSE_US = 2_000_000
RATE_WINDOW_S = 10.0
NO_FRAMES_S = 10.0
STARTING_S = 60.0  # a receiver finds the time within seconds of the start, chrony within a minute
LOOK_EVERY_S = 1.0
MOST_NAMED = 5  # files in an event


def first_named(lines: Sequence[str]) -> list[str]:
    """The first of these lines, and a line with the number of others."""
    more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """One report. None: not fitted, or not yet known. unacknowledged: records of reads and alerts without a
    receipt of the department. synced: whether a sync ever succeeded; if it did and since_sync_s is None, this
    clock is behind that time.
    """

    at_us: int
    clock_state: str
    clock_error_us: int
    running_s: float
    temperature_c: float | None
    throttled: bool | None
    undervoltage: bool | None
    disk_free_bytes: int
    disk_total_bytes: int
    card_wear_percent: int | None
    memory_free_bytes: int | None
    card_bytes_an_hour: float | None
    card_flushes_an_hour: float | None
    card_years: float | None
    swaps_to_card: bool | None
    frames_per_s: float
    frames: int
    frames_dropped: int
    reads: int
    reads_this_hour: int
    reads_usual_hour: float | None
    sharpness: float | None
    brightness: float | None
    log_records: int
    newer_than_anchors: int
    unacknowledged: int
    since_sync_s: float | None
    synced: bool
    alarms: tuple[Alarm, ...]

    def plain(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return asdict(self) | {"alarms": [str(alarm) for alarm in self.alarms]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """The measurements that a report judges. `settled`: the clock has had time to start."""

    now: UtcTime
    settled: bool
    vitals: Vitals
    custody: Custody
    supply: Supply | None
    supply_failed: bool
    lists: ListHealth
    marks: SystemMarks
    shut: bool
    seeing: tuple[str, ...]
    no_frames: bool


class HealthWatch:
    """Collects what the stages report and judges it. Thread-safe; looks at a frame only once a second."""

    def __init__(
        self,
        *,
        board: Board,
        power: PowerSource | None = None,
        now: Callable[[], UtcTime],
        habit: ReadHabit | None = None,
        custody: Callable[[], Custody] = Custody,
        monotonic: Callable[[], float] = time.monotonic,
        watching: bool = True,
        stays: bool = True,
        sync_late_s: float = SYNC_LATE_S,
        troubles: Callable[[], Sequence[str]] = tuple,
        card_tb: float | None = None,
        system: Callable[[], SystemMarks] = system_marks,
        scene: SceneWatch | None = None,
        shut: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """scene: judges the pictures of `frame_seen`; None without a camera. shut: gives a line for each part
        of the home that the unit cannot use.
        """
        self._shut = shut
        self._card_tb = card_tb
        self._system = system
        self._watching = watching  # False without a running reader: then missing frames raise no alarm
        self._board, self._power, self._now, self._custody = board, power, now, custody
        self._sync_late_s = sync_late_s
        self._stays = stays  # False in a vehicle, which has no site and so no habit
        self._troubles = troubles  # of other parts: receiver, sources of time
        self._monotonic = monotonic
        self._scene, self.habit = scene, habit or ReadHabit()
        self._lock = threading.Lock()
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._frames = self._reads = 0
        self._dropped: Callable[[], int] = lambda: 0
        self._silent_s: Callable[[], float | None] | None = None
        self._why_blind: Callable[[], str | None] = lambda: None
        self._upside_down: Callable[[], bool] = lambda: False
        self.forget_way_up: Callable[[], None] = lambda: None
        self._lists: Callable[[], ListHealth] = ListHealth
        self._net_failed: tuple[str, ...] = ()
        self._unread = 0  # frames for which a net gave no numbers
        self._begun_s = self._last_frame_s = monotonic()
        self._looked_s = -LOOK_EVERY_S

    def frame_seen(self, luma: NDArray[np.uint8]) -> None:
        """Judge a frame; luma: the small picture if there is one. Never kept."""
        now_s = self._monotonic()
        with self._lock:
            self._frames += 1
            self._arrivals.append(now_s)
            self._last_frame_s = now_s
            if self._scene is not None and now_s - self._looked_s >= LOOK_EVERY_S:
                self._looked_s = now_s
                self._scene.look(luma, now_s)

    def count_dropped(self, dropped: Callable[[], int]) -> None:
        """From now on, call this for the number of dropped frames."""
        self._dropped = dropped

    def follow(
        self, silent_s: Callable[[], float | None], why_blind: Callable[[], str | None] = lambda: None
    ) -> None:
        """From now on, ask the camera for its silence: a slow reader or quiet drop folder raises no alarm."""
        self._silent_s, self._why_blind = silent_s, why_blind

    def watch_way_up(self, upside_down: Callable[[], bool], forget: Callable[[], None]) -> None:
        """From now on, call this for whether the passes show that the camera hangs upside down.

        forget: called when a person has set which way up it hangs.
        """
        self._upside_down, self.forget_way_up = upside_down, forget

    def watch_lists(self, lists: Callable[[], ListHealth]) -> None:
        """From now on, call this for the state of the hot lists."""
        self._lists = lists

    def net_failed(self, what: str, frames: int = 1) -> None:
        """Count frames that were not read because a net gave no numbers; an alarm until the run ends."""
        self._unread += frames
        self._net_failed = (what,)

    @property
    def troubles(self) -> tuple[str, ...]:
        """The causes of `sensor_failed`, except for those of the supply."""
        nets = (f"{one} (frames not read so far: {self._unread})" for one in self._net_failed)
        return (*self._troubles(), *nets)

    def why(self, alarm: Alarm) -> str:
        """The cause of an alarm in words, if a part gave one; for the event log, never for a report."""
        if alarm is Alarm.SENSOR_FAILED:
            return "; ".join(self.troubles)
        if alarm is Alarm.PURGE_FAILED:
            return self._custody().purge_failed
        if alarm is Alarm.HOME_SHUT:
            return "; ".join(first_named(self._shut()))
        if alarm is Alarm.UPDATE_GIVEN_UP:
            return self._system().given_up
        if alarm is Alarm.SECOND_DISK:
            return self._system().other_disk
        return (self._why_blind() or "") if alarm is Alarm.NO_FRAMES else ""

    def read_stored(self) -> None:
        """Count a read that is in the log."""
        with self._lock:
            self._reads += 1
            if self._scene is not None:
                self._scene.read(self._monotonic())
            self.habit.read(self._now().us)

    def lit_anew(self) -> None:
        """Note that lamps or filter were switched: a changed picture is then not a changed view."""
        with self._lock:
            if self._scene is not None:
                self._scene.lit_anew()

    def report(self) -> HealthReport:
        """Judge everything and make a report."""
        now, now_s = self._now(), self._monotonic()
        vitals, custody = self._board.look(), self._custody()
        supply, supply_failed = self._supply()
        lists, marks = self._lists(), self._system()
        shut = bool(self._shut())  # a thousand folders, perhaps: not under the lock, which frames need
        with self._lock:
            self.habit.tick(now.us)
            looks = _Looks(
                now=now,
                settled=not self._watching or now_s - self._begun_s >= STARTING_S,
                vitals=vitals,
                custody=custody,
                supply=supply,
                supply_failed=supply_failed,
                lists=lists,
                marks=marks,
                shut=shut,
                seeing=() if self._scene is None else tuple(self._scene.alarms(now_s)),
                no_frames=self._no_frames(now_s),
            )
            if looks.seeing or looks.no_frames or now.state is TimeState.UNKNOWN:
                self.habit.blind()
            recent = [at for at in self._arrivals if now_s - at <= RATE_WINDOW_S]
            span_s = min(RATE_WINDOW_S, max(now_s - self._begun_s, 1e-3))
            alarms = self._alarms(looks)
            quality = None if self._scene is None else self._scene.quality
            wear = wear_budget(
                vitals.card,
                running_s=vitals.running_s,
                size_bytes=vitals.disk_total_bytes,
                card_tb=self._card_tb,
            )
            return HealthReport(
                at_us=now.us,
                clock_state=str(now.state),
                clock_error_us=now.error_us,
                running_s=vitals.running_s,
                temperature_c=vitals.temperature_c,
                throttled=supply.throttled if supply else None,
                undervoltage=supply.undervoltage if supply else None,
                disk_free_bytes=vitals.disk_free_bytes,
                disk_total_bytes=vitals.disk_total_bytes,
                card_wear_percent=vitals.card_wear_percent,
                memory_free_bytes=vitals.memory_free_bytes,
                card_bytes_an_hour=None if wear is None else wear.bytes_an_hour,
                card_flushes_an_hour=None if wear is None else wear.flushes_an_hour,
                card_years=None if wear is None else _rounded(wear.years),
                swaps_to_card=vitals.swaps_to_card,
                frames_per_s=round(len(recent) / span_s, 2),
                frames=self._frames,
                frames_dropped=self._dropped() + self._unread,
                reads=self._reads,
                reads_this_hour=self.habit.this_hour,
                reads_usual_hour=self.habit.usual(now.us),
                sharpness=None if quality is None else round(quality.sharpness, 1),
                brightness=None if quality is None else round(quality.mean, 1),
                log_records=custody.log_records,
                newer_than_anchors=custody.newer_than_anchors,
                unacknowledged=custody.unacknowledged,
                since_sync_s=_since_sync_s(custody, now),
                synced=custody.last_sync_us is not None,
                alarms=tuple(alarm for alarm in Alarm if alarm in alarms),
            )

    def _alarms(self, looks: _Looks) -> set[Alarm]:
        """The alarms of one moment. Under the lock."""
        now, vitals, custody, supply = looks.now, looks.vitals, looks.custody, looks.supply
        known_time = now.state is not TimeState.UNKNOWN
        judged = {
            Alarm.NO_FRAMES: looks.no_frames,
            Alarm.UPSIDE_DOWN: self._upside_down(),
            Alarm.FEW_READS: self._few_reads(now),
            Alarm.HOT: (vitals.temperature_c or 0.0) >= HOT_C,
            Alarm.THROTTLED: bool(supply and supply.throttled),
            Alarm.UNDERVOLTAGE: bool(supply and supply.undervoltage),
            Alarm.DISK_LOW: vitals.disk_free_bytes < vitals.disk_total_bytes * DISK_LOW_SHARE,
            Alarm.CARD_WORN: (vitals.card_wear_percent or 0) >= WORN_PERCENT,
            Alarm.CLOCK_UNKNOWN: looks.settled and not known_time,
            Alarm.CLOCK_LOOSE: looks.settled and known_time and now.error_us > CLOCK_LOOSE_US,
            Alarm.SYNC_LATE: self._sync_late(looks),
            Alarm.CONFIGURATION_REFUSED: custody.configuration_refused,
            Alarm.CLOSED_LOG: custody.closed_log,
            Alarm.CLOCK_IN_DOUBT: custody.clock_in_doubt,
            Alarm.PURGE_FAILED: bool(custody.purge_failed),
            Alarm.HOME_SHUT: looks.shut,
            Alarm.LIST_EXPIRED: looks.lists.failing > 0,
            Alarm.LIST_IN_DOUBT: looks.lists.in_doubt > 0,
            Alarm.SENSOR_FAILED: looks.supply_failed or bool(self.troubles),
            Alarm.UPDATE_GIVEN_UP: bool(looks.marks.given_up),
            Alarm.SECOND_DISK: bool(looks.marks.other_disk),
        }
        return {alarm for alarm, raised in judged.items() if raised} | {
            Alarm("camera_" + name) for name in looks.seeing
        }

    def _no_frames(self, now_s: float) -> bool:
        if not self._watching or now_s - self._last_frame_s < NO_FRAMES_S:
            return False
        return self._silent_s is None or self._silent_s() is not None

    def _sync_late(self, looks: _Looks) -> bool:
        """Whether no sync came for too long. What this clock dates in the future, it cannot measure: then the
        machine's running time counts, or how far ahead the date is, since a unit may restart each day.
        """
        custody = looks.custody
        age_s = custody.last_sync_ran_s
        if age_s is None:
            spoken_us = custody.enrolled_us if custody.last_sync_us is None else custody.last_sync_us
            if spoken_us is None:
                return custody.enrolled
            age_s = (looks.now.us - spoken_us) / 1e6
            age_s = max(looks.vitals.running_s, -age_s) if age_s < 0 else age_s
        return custody.enrolled and age_s > self._sync_late_s

    def _few_reads(self, now: UtcTime) -> bool:
        """Whether there are too few reads; False if the hour is unknown or the unit moves (no habit)."""
        known = self._watching and self._stays and now.state is not TimeState.UNKNOWN
        return known and self.habit.too_quiet(now.us)

    def _supply(self) -> tuple[Supply | None, bool]:
        if self._power is None:
            return None, False
        try:
            supply = self._power.look()
        except HardwareError:
            return None, True
        return supply, bool(supply.silent)


def _since_sync_s(custody: Custody, now: UtcTime) -> float | None:
    """How long ago the last sync was; None if there was none, or by this clock it is yet to come."""
    if custody.last_sync_us is None or custody.last_sync_ran_s is not None:
        return custody.last_sync_ran_s
    since_s = (now.us - custody.last_sync_us) / 1e6
    return None if since_s < 0 else since_s


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
