"""A unit's report on itself, as it travels with each conversation. Numbers and words of fixed lists; no I/O.

Promise: no field can carry a plate: there is no free text in it but the software's version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from sync.messages import Message, need

ALARM_WORDS: Mapping[str, str] = {
    "no_frames": "no pictures from the camera",
    "camera_dark": "the camera sees nothing but dark",
    "camera_covered": "the camera is covered",
    "camera_frozen": "the camera's picture does not change",
    "camera_knocked": "the camera was moved",
    "few_reads": "far fewer reads than usual",
    "hot": "too hot",
    "throttled": "slowed down by heat",
    "undervoltage": "the supply voltage is too low",
    "disk_low": "storage is almost full",
    "card_worn": "the memory card is worn out",
    "clock_loose": "the clock is not disciplined",
    "clock_unknown": "the clock's error is unknown",
    "sync_late": "sync is overdue",
    "configuration_refused": "a configuration was refused",
    "closed_log": "a closed log has reads that the department lacks",
    "clock_in_doubt": "the clock is in doubt",
    "purge_failed": "what was due is not purged, or files of it are still there: its log says which",
    "home_shut": "files of the unit are shut to it, or of another kind: its log says which and what to do",
    "list_expired": "alerts are off, as a hot list ended, is missing or refused: sync it or push the list",
    "list_in_doubt": "alerts are marked stale, as its clock knows no time: sync it, then set its clock",
    "sensor_failed": "a sensor failed",
    "update_given_up": "a system update did not start; the version before it runs again",
    "second_disk": "another disk has the labels of this unit's partitions",
}
"""What can be wrong at a unit, and the words for a person."""
ALARMS = tuple(ALARM_WORDS)
LATER_ALARMS = frozenset({"home_shut", "list_in_doubt", "purge_failed"})
"""Those that not every department knows: one that refuses a report for them gets it without."""
CLOCK_STATES = ("disciplined", "holdover", "unknown")
_VERSION = re.compile(r"[A-Za-z][A-Za-z0-9.+ _-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMessage(Message):
    """Unit: how I am. None: not fitted, or not known yet. Answered by HealthHeld."""

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
        known = set(self.alarms) <= set(ALARMS) and len(set(self.alarms)) == len(self.alarms)
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
