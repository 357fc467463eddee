"""A healthy unit's health watch with stand-ins of its parts, which a test breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from road_picture import road

from firmware.health.custody import Custody
from firmware.health.report import HealthWatch
from firmware.health.scene_watch import SceneWatch
from firmware.health.system_marks import SystemMarks
from hw.clock import SetClock
from hw.power import ScriptedPower
from hw.vitals import ScriptedBoard

T0_US = 1_777_777_200_000_000  # a whole hour
STARTED_S = 100.0


class Bench:
    """A healthy unit whose parts a test breaks."""

    def __init__(self, **settings: Any) -> None:
        self.board, self.power, self.clock, self.now_s = (
            ScriptedBoard(),
            ScriptedPower(),
            SetClock(T0_US),
            0.0,
        )
        self.custody = Custody(enrolled=True, last_sync_us=T0_US)
        self.troubles: tuple[str, ...] = ()
        self.marks = SystemMarks()
        self.watch = HealthWatch(
            board=self.board, power=self.power, now=self.clock.now, custody=lambda: self.custody,
            monotonic=lambda: self.now_s, troubles=lambda: self.troubles,
            system=lambda: self.marks, scene=SceneWatch(), **settings,
        )  # fmt: skip
        self.now_s = STARTED_S
        self.frame(road())

    def frame(self, luma: NDArray[np.uint8]) -> None:
        self.watch.frame_seen(luma)

    def alarms(self) -> set[str]:
        return {str(alarm) for alarm in self.watch.report().alarms}
