"""A unit's health report, sent with each conversation. Numbers and words from fixed lists. No I/O.

Promise: no field can carry a plate, since the only free text is the software's version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar

from storage.times import margin_text
from sync.messages import Message, need


class Alarm(StrEnum):
    """Everything that can be wrong at a unit: the name on the wire, and the words for a person."""

    words: str

    def __new__(cls, name: str, words: str = "") -> Alarm:
        made = str.__new__(cls, name)
        made._value_, made.words = name, words
        return made

    NO_FRAMES = "no_frames", "no pictures from the camera"
    DARK = "camera_dark", "the camera sees only darkness"
    COVERED = "camera_covered", "the camera is covered"
    FROZEN = "camera_frozen", "the camera's picture does not change"
    KNOCKED = "camera_knocked", "the camera was moved"
    UPSIDE_DOWN = "camera_upside_down", "the camera seems to be upside down: its reads are unreliable"
    FEW_READS = "few_reads", "far fewer reads than usual"
    HOT = "hot", "too hot"
    THROTTLED = "throttled", "slowed down by heat"
    UNDERVOLTAGE = "undervoltage", "the supply voltage is too low"
    DISK_LOW = "disk_low", "storage is almost full"
    CARD_WORN = "card_worn", "the memory card is worn out"
    CLOCK_LOOSE = "clock_loose", "the clock is not disciplined"
    CLOCK_UNKNOWN = "clock_unknown", "the clock's error is unknown"
    SYNC_LATE = "sync_late", "sync is overdue"
    CONFIGURATION_REFUSED = "configuration_refused", "a configuration was refused"
    CLOSED_LOG = "closed_log", "a closed log has reads that the department lacks"
    # custody does not follow the clock, or the clock drifted: see storage.clock_trust
    CLOCK_IN_DOUBT = "clock_in_doubt", "the clock is in doubt"
    PURGE_FAILED = (
        "purge_failed",
        "something due was not purged, or files of it remain: its log says which",
    )
    HOME_SHUT = (
        "home_shut",
        "it cannot open some of its files, or they are not plain files: its log says which and what to do",
    )
    LIST_EXPIRED = (
        "list_expired",
        "alerts are off: a hot list expired, is missing or was refused: sync it or push the list",
    )
    LIST_IN_DOUBT = (
        "list_in_doubt",
        "alerts are marked stale because its clock is not set: sync it, then set its clock",
    )
    SENSOR_FAILED = "sensor_failed", "a sensor failed"
    UPDATE_GIVEN_UP = "update_given_up", "a system update did not start; the version before it runs again"
    SECOND_DISK = "second_disk", "another disk has the labels of this unit's partitions"


LATER_ALARMS = frozenset({Alarm.HOME_SHUT, Alarm.LIST_IN_DOUBT, Alarm.PURGE_FAILED, Alarm.UPSIDE_DOWN})
"""Those that not every department knows: one that refuses a report for them gets it without."""
UNKNOWN = "unknown"
CLOCK_STATES = ("disciplined", "holdover", UNKNOWN)
_VERSION = re.compile(r"[A-Za-z][A-Za-z0-9.+ _-]{0,63}")


def clock_text(clock_state: str, error_us: int) -> str:
    """How well a unit knows the time, for a person; the error (us) of an unknown clock is no bound."""
    return UNKNOWN if clock_state == UNKNOWN else f"{clock_state}, within {margin_text(error_us)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMessage(Message):
    """Unit: its state. None: not fitted, or not known yet. Answered by HealthHeld."""

    KIND: ClassVar[str] = "health"
    LIMIT: ClassVar[int] = 8 * 1024
    log_id: bytes
    at_us: int
    software: str
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
    alarms: tuple[str, ...]

    def check_fields(self) -> None:
        need(len(self.log_id) == 32, "has 32 bytes", "health.log_id")
        need(bool(_VERSION.fullmatch(self.software)), "is not a version", "health.software")
        need(self.clock_state in CLOCK_STATES, "is not a clock state", "health.clock_state")
        known = set(self.alarms) <= set(Alarm) and len(set(self.alarms)) == len(self.alarms)
        need(known, "names an unknown alarm, or one twice", "health.alarms")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float):
                need(abs(value) < 1e12, "out of range", f"health.{field.name}")
            elif type(value) is int:
                need(0 <= value < 1 << 62, "out of range", f"health.{field.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthHeld(Message):
    """Department: the report is stored."""

    KIND: ClassVar[str] = "health-held"
    log_id: bytes
    at_us: int
