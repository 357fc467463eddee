"""When the unit syncs: windows, interval, jitter, network conditions, back-off. No I/O.

`decide` takes facts and returns Go or Wait with its reason; nothing here sleeps. An alert overrides windows
and conditions, but needs a network. What an alert starts does not shift the schedule; otherwise the time of a
sync would show that a wanted vehicle passed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from storage.times import DAY_US, MINUTE_US, SECOND_US
from sync.errors import InvalidInputError

DAY_MINUTES = 1440
ALERT_RETRY_S = 15  # the longest wait of an alert after a failed attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Minutes of the UTC day in which the unit may sync; `start` > `end` spans midnight."""

    start_min: int
    end_min: int

    def check(self) -> None:
        if not (0 <= self.start_min < DAY_MINUTES and 0 < self.end_min <= DAY_MINUTES):
            raise InvalidInputError("minutes of a day must be in 0 to 1440", where="sync.windows")

    def holds(self, minute: int) -> bool:
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def minutes_until(self, minute: int) -> int:
        """Minutes until it opens; 0 while it is open."""
        return 0 if self.holds(minute) else (self.start_min - minute) % DAY_MINUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The configuration of the uplink. Rates are bytes per second, 0 for no cap."""

    windows: tuple[Window, ...] = ()
    interval_s: int = 900
    jitter: float = 0.2
    networks: tuple[str, ...] = ()
    only_on_mains: bool = False
    bytes_per_s: int = 0
    metered_bytes_per_day: int = 200_000_000
    first_retry_s: int = 5
    last_retry_s: int = 1800

    def check(self) -> None:
        """Raises InvalidInputError naming the setting."""
        ranges = (
            ("interval_s", self.interval_s, 10, 7 * 86_400),
            ("jitter", self.jitter, 0.0, 0.5),
            ("bytes_per_s", self.bytes_per_s, 0, 1 << 40),
            ("metered_bytes_per_day", self.metered_bytes_per_day, 0, 1 << 50),
            ("first_retry_s", self.first_retry_s, 1, 600),
            ("last_retry_s", self.last_retry_s, self.first_retry_s, 86_400),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise InvalidInputError(f"{value} must be in {low} to {high}", where=f"sync.{name}")
        for window in self.windows:
            window.check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions around the unit. `network`: the name of its current network, None without one."""

    network: str | None = "any"
    metered: bool = False
    on_mains: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How the last attempts went. Times in microseconds UTC; 0 for never.

    ``alert_tried_us``, ``alert_failures``: for attempts that an alert started; the others exclude these.
    """

    tried_us: int = 0
    failures: int = 0
    alert_tried_us: int = 0
    alert_failures: int = 0
    metered_bytes_today: int = 0
    jitter_draw: float = 0.0


@dataclass(frozen=True, slots=True)
class Go:
    """Sync now. `for_alert`: because of an alert. `alerts_only`: conditions allow only alerts."""

    alerts_only: bool = False
    for_alert: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Do not sync before `until_us`, because of `why`."""

    until_us: int
    why: str


def decide(
    schedule: Schedule,
    conditions: Conditions,
    past: Past,
    *,
    now_us: int,
    day_us: int | None = None,
    alert: bool,
) -> Go | Wait:
    """Decide whether to sync now. `past.jitter_draw`, -1 to 1, spreads the units out.

    now_us: by the clock of `past`. day_us: the department's time, if known, by which windows open.
    """
    if conditions.network is None:
        return Wait(now_us + MINUTE_US, "no network")
    closed = closed_by(schedule, conditions, past, now_us, day_us)
    planned = _planned(schedule, past, closed, now_us)
    if not alert or isinstance(planned, Go):
        return planned
    if past.alert_failures and now_us < _alert_retry_us(schedule, past):
        return planned
    return Go(alerts_only=closed is not None, for_alert=True)


def _planned(schedule: Schedule, past: Past, closed: Wait | None, now_us: int) -> Go | Wait:
    """What the schedule says, regardless of alerts."""
    if past.failures and (held := next_retry_us(schedule, past)) > now_us:
        return Wait(held, f"backing off after {past.failures} failures")
    if closed is not None:
        return closed
    if past.failures:
        return Go()
    due = past.tried_us + int(schedule.interval_s * SECOND_US * (1 + schedule.jitter * past.jitter_draw))
    return Go() if past.tried_us == 0 or now_us >= due else Wait(due, "interval")


def closed_by(
    schedule: Schedule, conditions: Conditions, past: Past, now_us: int, day_us: int | None
) -> Wait | None:
    """What keeps everything but alerts from being sent now, or None. Times: see `decide`."""
    soon = now_us + MINUTE_US
    if schedule.networks and conditions.network not in schedule.networks:
        return Wait(soon, f"network {conditions.network} is not among those allowed")
    if schedule.only_on_mains and not conditions.on_mains:
        return Wait(soon, "not on mains power")
    if conditions.metered and past.metered_bytes_today >= schedule.metered_bytes_per_day:
        return Wait(soon, "the day's quota of the metered network is used")
    if schedule.windows:
        day_us = now_us if day_us is None else day_us
        minute = day_us % DAY_US // MINUTE_US
        left = min(window.minutes_until(minute) for window in schedule.windows)
        if left:
            begun_s = day_us % MINUTE_US // SECOND_US
            return Wait(now_us + left * MINUTE_US - begun_s * SECOND_US, "outside the windows")
    return None


def next_retry_us(schedule: Schedule, past: Past) -> int:
    """When to retry: exponential back-off with the same jitter, from the last attempt."""
    seconds = _doubled_s(schedule, past.failures)
    return past.tried_us + int(seconds * SECOND_US * (1 + schedule.jitter * past.jitter_draw))


def _alert_retry_us(schedule: Schedule, past: Past) -> int:
    """When to retry what an alert started, which is sooner."""
    seconds = min(_doubled_s(schedule, past.alert_failures), ALERT_RETRY_S)
    return past.alert_tried_us + int(seconds * SECOND_US * (1 + schedule.jitter * past.jitter_draw))


def _doubled_s(schedule: Schedule, failures: int) -> float:
    return min(schedule.first_retry_s * 2.0 ** min(failures - 1, 30), schedule.last_retry_s)


def draw(rng: random.Random | None = None) -> float:
    """A fresh jitter draw, uniform in -1 to 1."""
    return (rng or random.SystemRandom()).uniform(-1.0, 1.0)
